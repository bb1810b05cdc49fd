"""Commands that come at their own pace, answered or not: each is timed from when it was due (no coordinated omission).

As a program it reads a Plan from its standard input and prints what it found; its own processor time is told apart.
"""

import asyncio
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import cast

import msgspec
import uvloop

from bench.figures import quantile
from bench.load import length, new_request

PATIENCE = 10.0
"""Seconds in which the last ones may still be answered."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`rate` requests a second; placeholders as in `bench.load.Plan`."""

    port: int
    connections: int
    rate: float
    seconds: float
    request: bytes
    status: int
    start: int = 1


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds. `behind`: how many had not been answered when the last one was due. `others`: other answers, or none."""

    answers: int
    rate: float
    p50: float
    p99: float
    p999: float
    most: float
    behind: int
    cpu: float
    others: dict[str, int]


def measure(plan: Plan) -> Found:
    """In a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.arrivals"],
        input=msgspec.json.encode(plan),
        stdout=subprocess.PIPE,
        check=True,
        timeout=plan.seconds + PATIENCE + 30,
    )
    return msgspec.json.decode(done.stdout, type=Found)


def main() -> None:
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(Arrivals(plan).run())))


class Arrivals:
    """What is due and waits for a connection, and what became of the others."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.due: deque[float] = deque()
        self.idle: list[Connection] = []
        self.latencies: list[float] = []
        self.wrong: Counter[str] = Counter()
        self.next: Callable[[], bytes] = new_request(plan.request, count(plan.start))

    async def run(self) -> Found:
        plan, loop = self.plan, asyncio.get_running_loop()
        for _ in range(plan.connections):
            await loop.create_connection(partial(Connection, self), "127.0.0.1", plan.port)
        spent, began, asked = time.process_time(), time.perf_counter(), 0
        while (now := time.perf_counter() - began) < plan.seconds:
            while asked < now * plan.rate:
                self.due.append(began + asked / plan.rate)
                asked += 1
            self.flow()
            await asyncio.sleep(0.001)
        behind = asked - len(self.latencies)
        until = time.perf_counter() + PATIENCE
        while len(self.latencies) < asked and time.perf_counter() < until:  # noqa: ASYNC110 - so for the loop above
            await asyncio.sleep(0.01)
        if missing := asked - len(self.latencies):
            self.wrong["no answer"] += missing
        ordered = sorted(self.latencies)
        return Found(
            answers=len(ordered),
            rate=asked / plan.seconds,
            p50=quantile(ordered, 0.5),
            p99=quantile(ordered, 0.99),
            p999=quantile(ordered, 0.999),
            most=ordered[-1],
            behind=behind,
            cpu=time.process_time() - spent,
            others=dict(self.wrong),
        )

    def flow(self) -> None:
        while self.due and self.idle:
            self.idle.pop().ask(self.due.popleft(), self.next())


class Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals, self._status = arrivals, b"%d" % arrivals.plan.status
        self._read, self._due = b"", 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by class
        self._arrivals.idle.append(self)

    def ask(self, due: float, request: bytes) -> None:
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        read = self._read = self._read + data if self._read else data
        head = read.find(b"\r\n\r\n")
        if head < 0 or len(read) < head + 4 + length(read, head):
            return
        arrivals = self._arrivals
        arrivals.latencies.append(time.perf_counter() - self._due)
        if read[9:12] != self._status:
            arrivals.wrong[read[9:12].decode()] += 1
        self._read = b""
        arrivals.idle.append(self)
        arrivals.flow()


if __name__ == "__main__":
    main()
