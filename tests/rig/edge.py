"""A proxy on one edge between two processes: it passes, is slow, cuts, swallows, forgets one end, cuts after commit."""

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, assert_never

SYNC = b"S\x00\x00\x00\x04"
"""The last message of every statement a client sends (PostgreSQL protocol 3.0, extended query)."""
WRITER = b"chancery writer"
"""The name, in its first message, of a connection whose every statement is a transaction with events."""
PIECE, DROP = 1 << 16, 1 << 12
"""Bytes taken at once, usually and when it trickles."""

Address = Path | int
"""A Unix socket, or a port of 127.0.0.1."""


class Mode(Enum):
    """What an edge does to what comes along it."""

    PASS = "passes"
    DELAY = "delays"
    CUT = "cuts"
    TRICKLE = "lets little through at a time"
    SWALLOW = "is a black hole: nothing comes through, until it does"
    SWALLOW_ANSWERS = "is a black hole for answers alone"
    HALF_OPEN = "ends at the server, and the client is not told before it heals"
    CUT_AFTER_COMMIT = "cuts after a commit was sent"
    CUT_NEXT_COMMIT = "cuts after the next commit was sent, then passes"


class Edge:
    """`cuts` counts connections that it ended, by mode; `longest`: bytes of the longest request without an answer."""

    def __init__(
        self, name: str, listen: Address, upstream: Address, run: Callable[[Coroutine[Any, Any, Any]], Any]
    ) -> None:
        self.name, self.listen, self.upstream = name, listen, upstream
        self.cuts: Counter[Mode] = Counter()
        self.delay = 0.2
        self._run, self._mode = run, Mode.PASS
        self._healed = asyncio.Event()
        self._open: set[_Line] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def set(self, mode: Mode) -> None:
        """From any thread; returns when it holds."""
        self._run(self._set(mode))

    @contextlib.contextmanager
    def doing(self, mode: Mode) -> Iterator[None]:
        self.set(mode)
        try:
            yield
        finally:
            self.set(Mode.PASS)

    async def serve(self) -> None:
        if isinstance(self.listen, Path):
            self._server = await asyncio.start_unix_server(self._let_in, self.listen)
            self.listen.chmod(0o777)
        else:
            self._server = await asyncio.start_server(self._let_in, "127.0.0.1", self.listen)

    def close(self) -> None:
        self._server.close()

    @property
    def port(self) -> int:
        """Where it listens, once it serves; chosen by the system when `listen` was 0."""
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def longest(self) -> int:
        return max((line.unanswered for line in list(self._open)), default=0)

    async def _set(self, mode: Mode) -> None:
        self._mode = mode
        healed, self._healed = self._healed, asyncio.Event()
        healed.set()
        if mode in (Mode.CUT, Mode.HALF_OPEN):
            self.cuts[mode] += len(self._open)
        for line in list(self._open):
            if mode is Mode.HALF_OPEN:
                line.forgotten = True
                line.to_server.transport.abort()
            elif mode is Mode.CUT or line.forgotten:
                line.to_client.transport.abort()

    def _let_in(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """Whatever becomes of its task, even before it begins, the connection ends with it."""
        task = asyncio.create_task(self._connected(client, to_client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: to_client.transport.abort())

    async def _connected(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        directions: list[asyncio.Task[None]] = []
        to_server: asyncio.StreamWriter | None = None
        try:
            if self._mode is Mode.CUT:
                return
            while self._forgets():
                await self._healed.wait()
            server, to_server = await self._reach()
            line = _Line(to_client, to_server)
            self._open.add(line)
            directions = [
                asyncio.create_task(self._ask(client, line)),
                asyncio.create_task(self._answer(server, line)),
            ]
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            while line.forgotten and self._forgets():
                await self._healed.wait()
        except OSError:
            pass  # the server is away: so is whoever asked for it, a moment later
        finally:
            self._open = {each for each in self._open if each.to_client is not to_client}
            if to_server is not None:
                to_server.transport.abort()
            for task in directions:
                task.cancel()
            await asyncio.gather(*directions, return_exceptions=True)

    def _forgets(self) -> bool:
        return self._mode is Mode.HALF_OPEN

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.upstream, Path):
            return await asyncio.open_unix_connection(self.upstream)
        return await asyncio.open_connection("127.0.0.1", self.upstream)

    async def _ask(self, client: asyncio.StreamReader, line: "_Line") -> None:
        while data := await client.read(PIECE if self._mode is not Mode.TRICKLE else DROP):
            line.writes = line.writes or WRITER in data
            await self._held(answers=False)
            if line.writes and data.endswith(SYNC):
                line.sealed = line.sealed or self._mode is Mode.CUT_AFTER_COMMIT
                if self._mode is Mode.CUT_NEXT_COMMIT:
                    line.sealed, self._mode = True, Mode.PASS
            line.unanswered += len(data)
            line.to_server.write(data)
            await line.to_server.drain()

    async def _answer(self, server: asyncio.StreamReader, line: "_Line") -> None:
        while data := await server.read(PIECE):
            line.unanswered = 0
            if line.sealed:
                self.cuts[Mode.CUT_AFTER_COMMIT] += 1
                return
            await self._held(answers=True)
            line.to_client.write(data)
            await line.to_client.drain()

    async def _held(self, *, answers: bool) -> None:
        """For as long as the mode keeps back what goes this way."""
        while True:
            match self._mode:
                case Mode.PASS | Mode.CUT | Mode.CUT_AFTER_COMMIT | Mode.CUT_NEXT_COMMIT:
                    return
                case Mode.DELAY:
                    await asyncio.sleep(self.delay)
                    return
                case Mode.TRICKLE:
                    await asyncio.sleep(self.delay / 10)
                    return
                case Mode.SWALLOW_ANSWERS if not answers:
                    return
                case Mode.SWALLOW | Mode.SWALLOW_ANSWERS | Mode.HALF_OPEN:
                    await self._healed.wait()
                case unknown:
                    assert_never(unknown)


class _Line:
    """One connection: whether it writes events, whether its next answer is its last, whether its server left."""

    def __init__(self, to_client: asyncio.StreamWriter, to_server: asyncio.StreamWriter) -> None:
        self.to_client, self.to_server = to_client, to_server
        self.writes = self.sealed = self.forgotten = False
        self.unanswered = 0


class Edges:
    """All edges of a run, in a thread of their own."""

    def __init__(self) -> None:
        self.all: list[Edge] = []
        self._servers: list[asyncio.Server] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def add(self, name: str, listen: Address, upstream: Address) -> Edge:
        edge = Edge(name, listen, upstream, self.run)
        self.run(edge.serve())
        self.all.append(edge)
        return edge

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def close_too(self, server: asyncio.Server) -> None:
        """Another one that was opened by `run`."""
        self._servers.append(server)

    def heal(self) -> None:
        for edge in self.all:
            edge.set(Mode.PASS)

    def close(self) -> None:
        """Whatever else was begun on the loop ends too."""
        self.run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        for edge in self.all:
            edge.close()
        for server in self._servers:
            server.close()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
