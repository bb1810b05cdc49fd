"""A proxy on one edge between two processes: it passes, or delays, cuts, swallows, or cuts after a commit."""

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
PIECE = 1 << 16

Address = Path | int
"""A Unix socket, or a port of 127.0.0.1."""


class Mode(Enum):
    """What an edge does to what comes along it."""

    PASS = "passes"
    DELAY = "delays"
    CUT = "cuts"
    SWALLOW = "swallows both ways"
    SWALLOW_ANSWERS = "swallows the answers"
    CUT_AFTER_COMMIT = "cuts after a commit was sent"


class Edge:
    """`cuts` counts connections that it ended, by mode."""

    def __init__(
        self, name: str, listen: Address, upstream: Address, run: Callable[[Coroutine[Any, Any, Any]], Any]
    ) -> None:
        self.name, self.listen, self.upstream = name, listen, upstream
        self.cuts: Counter[Mode] = Counter()
        self.delay = 0.2
        self._run, self._mode = run, Mode.PASS
        self._healed = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()

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
            self._server = await asyncio.start_unix_server(self._connected, self.listen)
            self.listen.chmod(0o777)
        else:
            self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.listen)

    @property
    def port(self) -> int:
        """Where it listens, once it serves; chosen by the system when `listen` was 0."""
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _set(self, mode: Mode) -> None:
        self._mode = mode
        healed, self._healed = self._healed, asyncio.Event()
        healed.set()
        if mode is Mode.CUT:
            self.cuts[mode] += len(self._open)
            for each in list(self._open):
                each.transport.abort()

    async def _connected(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        directions: list[asyncio.Task[None]] = []
        to_server: asyncio.StreamWriter | None = None
        self._open.add(to_client)
        try:
            if self._mode is Mode.CUT:
                return
            server, to_server = await self._reach()
            fate = _Fate()
            directions = [
                asyncio.create_task(self._ask(client, to_server, fate)),
                asyncio.create_task(self._answer(server, to_client, fate)),
            ]
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            pass  # the server is away: so is whoever asked for it, a moment later
        finally:
            self._open.discard(to_client)
            for task in directions:
                task.cancel()
            await asyncio.gather(*directions, return_exceptions=True)
            for each in (to_client, to_server):
                if each is not None:
                    each.transport.abort()

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.upstream, Path):
            return await asyncio.open_unix_connection(self.upstream)
        return await asyncio.open_connection("127.0.0.1", self.upstream)

    async def _ask(
        self, client: asyncio.StreamReader, to_server: asyncio.StreamWriter, fate: "_Fate"
    ) -> None:
        while data := await client.read(PIECE):
            fate.writes = fate.writes or WRITER in data
            await self._held(answers=False)
            if self._mode is Mode.CUT_AFTER_COMMIT and fate.writes and data.endswith(SYNC):
                fate.sealed = True
            to_server.write(data)
            await to_server.drain()

    async def _answer(
        self, server: asyncio.StreamReader, to_client: asyncio.StreamWriter, fate: "_Fate"
    ) -> None:
        while data := await server.read(PIECE):
            if fate.sealed:
                self.cuts[Mode.CUT_AFTER_COMMIT] += 1
                return
            await self._held(answers=True)
            to_client.write(data)
            await to_client.drain()

    async def _held(self, *, answers: bool) -> None:
        """For as long as the mode keeps back what goes this way."""
        while True:
            match self._mode:
                case Mode.PASS | Mode.CUT | Mode.CUT_AFTER_COMMIT:
                    return
                case Mode.DELAY:
                    await asyncio.sleep(self.delay)
                    return
                case Mode.SWALLOW_ANSWERS if not answers:
                    return
                case Mode.SWALLOW | Mode.SWALLOW_ANSWERS:
                    await self._healed.wait()
                case unknown:
                    assert_never(unknown)


class _Fate:
    """Of one connection: whether it writes events, and whether its next answer is its last."""

    def __init__(self) -> None:
        self.writes = self.sealed = False


class Edges:
    """All edges of a run, in a thread of their own."""

    def __init__(self) -> None:
        self.all: list[Edge] = []
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

    def heal(self) -> None:
        for edge in self.all:
            edge.set(Mode.PASS)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
