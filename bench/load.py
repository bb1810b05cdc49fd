"""A closed-loop HTTP/1.1 client that costs little: of an answer it reads the status and the length.

As a program it reads a Plan from its standard input and prints what it found; its own processor time is told apart.
"""

import asyncio
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count, cycle
from typing import cast

import msgspec
import uvloop

from bench.companies import identifiers
from bench.figures import Sample, quantile


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask for `seconds`. `{siren}` and `{nic}`, or `{id}`, in a request become new ones, from `start` on.

    Connections take the requests in turn and keep to theirs, or take the next one each time they ask (`roaming`).
    """

    port: int
    connections: int
    seconds: float
    requests: list[bytes]
    status: int
    start: int = 1
    roaming: bool = False


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """`cpu`: seconds of processor time, user and system, that the client itself took."""

    answers: int
    seconds: float
    p50: float
    p99: float
    cpu: float
    others: dict[str, int]

    @property
    def sample(self) -> Sample:
        return Sample(self.answers, self.seconds, self.p50, self.p99)


def measure(plan: Plan) -> Found:
    """In a process of its own. Raises RuntimeError when an answer had another status."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=msgspec.json.encode(plan),
        stdout=subprocess.PIPE,
        check=True,
        timeout=plan.seconds + 30,
    )
    found = msgspec.json.decode(done.stdout, type=Found)
    if found.others:
        raise RuntimeError(f"expected {plan.status}, got {found.others}")
    return found


def main() -> None:
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(_ask(plan))))


async def _ask(plan: Plan) -> Found:
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    wrong: Counter[str] = Counter()
    finished: list[asyncio.Future[None]] = []
    numbers = count(plan.start)
    roam = cycle(plan.requests)
    end = time.perf_counter() + plan.seconds
    spent, began = time.process_time(), time.perf_counter()
    for number in range(plan.connections):
        request = plan.requests[number % len(plan.requests)]
        asks = partial(next, roam) if plan.roaming else new_request(request, numbers)
        finished.append(loop.create_future())
        connection = Connection(asks, b"%d" % plan.status, end, latencies, wrong, finished[-1])
        await loop.create_connection(partial(_same, connection), "127.0.0.1", plan.port)
    await asyncio.gather(*finished)
    seconds, spent = time.perf_counter() - began, time.process_time() - spent
    ordered = sorted(latencies)
    return Found(
        answers=len(ordered),
        seconds=seconds,
        p50=quantile(ordered, 0.5),
        p99=quantile(ordered, 0.99),
        cpu=spent,
        others=dict(wrong),
    )


def _same(connection: "Connection") -> "Connection":
    return connection


def new_request(request: bytes, numbers: Iterator[int]) -> Callable[[], bytes]:
    """The request with its placeholders filled anew each time."""
    if b"{id}" in request:
        start, _, end = request.partition(b"{id}")
        return lambda: b"%b00000000-0000-7000-8000-%012x%b" % (start, next(numbers), end)
    if b"{siren}" not in request:
        return partial(bytes, request)
    before, _, rest = request.partition(b"{siren}")
    between, _, after = rest.partition(b"{nic}")

    def new() -> bytes:
        numbered = identifiers(next(numbers))
        return b"%b%b%b%b%b" % (
            before,
            (numbered.siren or "").encode(),
            between,
            (numbered.nic or "").encode(),
            after,
        )

    return new


class Connection(asyncio.Protocol):
    """One caller: asks again as soon as the whole answer is there."""

    def __init__(
        self,
        request: Callable[[], bytes],
        status: bytes,
        end: float,
        latencies: list[float],
        wrong: Counter[str],
        finished: asyncio.Future[None],
    ) -> None:
        self._request, self._status, self._end = request, status, end
        self._latencies, self._wrong, self._finished = latencies, wrong, finished
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by class
        self._send()

    def data_received(self, data: bytes) -> None:
        read = self._read = self._read + data if self._read else data
        head = read.find(b"\r\n\r\n")
        if head < 0 or len(read) < head + 4 + length(read, head):
            return
        now = time.perf_counter()
        self._latencies.append(now - self._asked)
        if read[9:12] != self._status:
            self._wrong[read[:head].split(b"\r\n")[0].decode() + " " + read[head + 4 :][:300].decode()] += 1
        self._read = b""
        if now < self._end:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if time.perf_counter() < self._end:
            self._wrong[f"connection lost: {exc}"] += 1
        self._finished.set_result(None)

    def _send(self) -> None:
        self._asked = time.perf_counter()
        self._transport.write(self._request())


def length(read: bytes, head: int) -> int:
    at = read.find(b"content-length: ", 0, head)
    return int(read[at + 16 : read.index(b"\r\n", at)]) if at > 0 else 0


class Trivial(asyncio.Protocol):
    """A server that answers everything alike at once: against it, what the client itself costs is seen."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by class

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - as asyncio calls it
        self._transport.write(b"HTTP/1.1 201 Created\r\ncontent-length: 90\r\n\r\n" + bytes(90))


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(Trivial, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1:] == ["trivial"]:
        uvloop.run(_serve())
    else:
        main()
