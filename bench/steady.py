"""An open loop: so many requests a second, whatever becomes of them, timed from when each was due.

As a program it reads a Plan from its standard input and prints a Window of what it found for each few seconds.
"""

import asyncio
import sys
import time
from collections import Counter, deque
from functools import partial
from typing import cast

import httpx
import msgspec
import uvloop

from bench import companies
from bench.figures import quantile
from bench.load import length

TICK = 0.005
RENEWED = 240.0
"""Seconds after which the caller signs in again: an access token is good for ten minutes."""
SETTLED = 30.0
"""Seconds after which a company is read that was added: this is no test of how far behind the read model is."""
API = "/api/v1/organisations"
MIX = "wrwwrlwrww"
"""Of ten requests: six companies are added, three are read, one page of the list is asked for."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`start`: the number of the first company. `window`: seconds between two lines of what was found."""

    port: int
    login: str
    password: str
    rate: float
    seconds: float
    connections: int = 64
    window: float = 5.0
    start: int = 1


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """`answers` by status; seconds at the median and the 99th percentile; how many wait for a connection at its end."""

    answers: dict[int, int]
    p50: float
    p99: float
    waiting: int


class Driver:
    """Everything in flight and what became of it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.token = ""
        self.due: deque[tuple[float, bytes]] = deque()
        self.idle: list[Connection] = []
        self.latencies: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.made: deque[tuple[float, bytes]] = deque(maxlen=50_000)
        self._asked, self._number = 0, plan.start

    async def run(self) -> None:
        renewing = asyncio.create_task(self._sign_in())
        await renewing
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        for _ in range(self.plan.connections):
            await loop.create_connection(partial(Connection, self), "127.0.0.1", self.plan.port)
        renewed = told = began
        while (now := time.perf_counter()) < began + self.plan.seconds:
            while self._asked < (now - began) * self.plan.rate:
                self.due.append((began + self._asked / self.plan.rate, self._next()))
                self._asked += 1
            self.flow()
            if now - told >= self.plan.window:
                told = now
                self._tell()
            if now - renewed >= RENEWED:
                renewed, renewing = now, asyncio.create_task(self._sign_in())
            if renewing.done():
                renewing.result()
            await asyncio.sleep(TICK)

    def flow(self) -> None:
        while self.due and self.idle:
            self.idle.pop().ask(*self.due.popleft())

    def _next(self) -> bytes:
        match MIX[self._asked % len(MIX)]:
            case "r" if self.made and time.perf_counter() - self.made[0][0] > SETTLED:
                return self._head("GET", f"{API}/{self.made.popleft()[1].decode()}") + b"\r\n"
            case "l":
                return self._head("GET", f"{API}?page_size=20") + b"\r\n"
            case _:
                body = companies.body(companies.identifiers(self._number))
                self._number += 1
                more = b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
                return self._head("POST", API) + more + body

    def _head(self, method: str, path: str) -> bytes:
        return f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: {self.token}\r\n".encode()

    async def _sign_in(self) -> None:
        """Again, where the server has too much to do just now: the token in use is good for a while yet."""
        said = {"login": self.plan.login, "password": self.plan.password}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.plan.port}/api/v1") as client:
            async with asyncio.timeout(RENEWED):
                while (answer := await client.post("/auth/login", json=said, timeout=60)).status_code == 503:  # noqa: ASYNC110
                    await asyncio.sleep(float(answer.headers["retry-after"]))
        self.token = f"Bearer {answer.raise_for_status().json()['access_token']}"

    def _tell(self) -> None:
        ordered, self.latencies = sorted(self.latencies), []
        window = Window(
            answers=dict(self.statuses),
            p50=quantile(ordered, 0.5) if ordered else 0.0,
            p99=quantile(ordered, 0.99) if ordered else 0.0,
            waiting=len(self.due),
        )
        self.statuses.clear()
        print(msgspec.json.encode(window).decode(), flush=True)


class Connection(asyncio.Protocol):
    """One request at a time; opened again when the server ends it."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._read, self._due, self._busy = b"", 0.0, False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by class
        self._driver.idle.append(self)

    def ask(self, due: float, request: bytes) -> None:
        self._due, self._busy = due, True
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        read = self._read = self._read + data if self._read else data
        head = read.find(b"\r\n\r\n")
        if head < 0 or len(read) < head + 4 + length(read, head):
            return
        self._read, self._busy = b"", False
        driver = self._driver
        driver.latencies.append(time.perf_counter() - self._due)
        driver.statuses[int(read[9:12])] += 1
        if read[9:12] == b"201":
            at = read.index(b'"id":"', head) + 6
            driver.made.append((time.perf_counter(), read[at : at + 36]))
        driver.idle.append(self)
        driver.flow()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - as asyncio calls it
        driver = self._driver
        if self._busy:
            driver.statuses[0] += 1
        elif self in driver.idle:
            driver.idle.remove(self)
        loop = asyncio.get_running_loop()
        self._again = loop.create_task(
            loop.create_connection(partial(Connection, driver), "127.0.0.1", driver.plan.port)
        )


if __name__ == "__main__":
    uvloop.run(Driver(msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)).run())
