"""A closed loop of several steps over HTTP/1.1: each caller makes a record, and goes on with it step by step.

As a program it reads a Plan from its standard input and prints what it found; its own processor time is told apart.
"""

import asyncio
import secrets
import subprocess
import sys
import time
from collections import Counter
from itertools import count
from typing import cast

import msgspec
import uvloop

from bench.figures import quantile
from bench.load import length

BEHIND = b"503"
"""A read model that has not caught up: asked again at once, in the same latency."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """`{id}` is what the first step made, `{key}` new each time (36 characters each), `{position}` that of the last
    command: in a header only, since lengths are fixed."""

    name: str
    request: bytes
    status: int


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    port: int
    connections: int
    seconds: float
    steps: list[Step]


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """Of one step, or of all together."""

    answers: int
    p50: float
    p99: float


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """`cpu`: seconds of processor time of the client itself. `again`: reads that were asked again."""

    seconds: float
    cpu: float
    whole: Taken
    steps: dict[str, Taken]
    again: int
    others: dict[str, int]


def measure(plan: Plan) -> Found:
    """In a process of its own. Raises RuntimeError when an answer had another status."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.mix"],
        input=msgspec.json.encode(plan),
        stdout=subprocess.PIPE,
        check=True,
        timeout=plan.seconds + 60,
    )
    found = msgspec.json.decode(done.stdout, type=Found)
    if found.others:
        raise RuntimeError(f"unexpected answers: {found.others}")
    return found


class Tally:
    """What all callers of one run found."""

    def __init__(self, steps: list[Step]) -> None:
        self.latencies: list[list[float]] = [[] for _ in steps]
        self.others: Counter[str] = Counter()
        self.again = 0
        self.run, self.keys = secrets.token_hex(4).encode(), count(1)


class Caller(asyncio.Protocol):
    """One connection: the steps in turn, from the first again after the last."""

    def __init__(self, steps: list[Step], end: float, tally: Tally, finished: asyncio.Future[None]) -> None:
        self._steps, self._end, self._tally, self._finished = steps, end, tally, finished
        self._at, self._id, self._position, self._read = 0, b"", b"0", b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by class
        self._asked = time.perf_counter()
        self._send()

    def data_received(self, data: bytes) -> None:
        read = self._read = self._read + data
        head = read.find(b"\r\n\r\n")
        if head < 0 or len(read) < head + 4 + length(read, head):
            return
        self._read = b""
        if read[9:12] == BEHIND and b"{position}" in self._steps[self._at].request:
            self._tally.again += 1
            self._send()
            return
        now = time.perf_counter()
        self._tally.latencies[self._at].append(now - self._asked)
        if read[9:12] != b"%d" % self._steps[self._at].status:
            told = f"{self._steps[self._at].name}: {read[9:12].decode()} {read[head + 4 :][:200].decode()}"
            self._tally.others[told] += 1
            self._transport.close()
            return
        self._learn(read, head)
        self._at = (self._at + 1) % len(self._steps)
        if now >= self._end and self._at == 0:  # each one ends with a whole round
            self._transport.close()
            return
        self._asked = now
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self._tally.others[f"connection lost: {exc}"] += 1
        self._finished.set_result(None)

    def _send(self) -> None:
        key = b"%b-0000-7000-8000-%012x" % (self._tally.run, next(self._tally.keys))
        request = self._steps[self._at].request.replace(b"{id}", self._id).replace(b"{key}", key)
        self._transport.write(request.replace(b"{position}", self._position))

    def _learn(self, read: bytes, head: int) -> None:
        if self._at == 0:
            at = read.index(b'"id":"', head) + 6
            self._id = read[at : at + 36]
        if (at := read.find(b"x-event-position: ", 0, head)) > 0:
            self._position = read[at + 18 : read.index(b"\r\n", at)]


def taken(latencies: list[float]) -> Taken:
    ordered = sorted(latencies)
    return Taken(answers=len(ordered), p50=quantile(ordered, 0.5), p99=quantile(ordered, 0.99))


async def ask(plan: Plan) -> Found:
    loop, tally = asyncio.get_running_loop(), Tally(plan.steps)
    finished: list[asyncio.Future[None]] = []
    spent, began = time.process_time(), time.perf_counter()
    for _ in range(plan.connections):
        finished.append(loop.create_future())
        caller = Caller(plan.steps, began + plan.seconds, tally, finished[-1])
        await loop.create_connection(lambda caller=caller: caller, "127.0.0.1", plan.port)
    await asyncio.gather(*finished)
    return Found(
        seconds=time.perf_counter() - began,
        cpu=time.process_time() - spent,
        whole=taken([each for step in tally.latencies for each in step]),
        steps={step.name: taken(each) for step, each in zip(plan.steps, tally.latencies, strict=True)},
        again=tally.again,
        others=dict(tally.others),
    )


if __name__ == "__main__":
    wanted = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(ask(wanted))))
