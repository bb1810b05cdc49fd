"""Answers that go on: server-sent events, so many at once, each ended by its source, its reader or the server."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import aclosing, contextmanager, suppress
from typing import Any
from uuid import UUID

import structlog
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from api.admission import Place
from api.answers import Answer, Header
from api.problems import Unavailable
from infrastructure.tasks import end
from infrastructure.watch import figures

MOST, MOST_OF_ONE = 200, 20
"""Streams of one process, and of one caller there."""
TURN = 900.0
"""Seconds after which a stream ends, and its reader comes again with Last-Event-ID."""
HEARTBEAT = 15.0
"""Seconds after which a stream that has nothing to say shows that it is there."""
SLOW = 30.0
"""Seconds a reader may leave what was sent to him untouched; nothing is kept for him meanwhile but one piece."""
CLOSING = 1.0

EVENTS: tuple[Header, ...] = ((b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no"))
PING = b": ping\n\n"
FAREWELL = b": the server stops, come again\nretry: 500\n\n"
"""Without `data` it is no event; a browser comes again by itself after so many milliseconds (WHATWG HTML 9.2.6)."""
_log = structlog.get_logger("api.streams")


class StreamsFull(Unavailable):
    """So many streams are open, yours or everybody's, that there is no place for another."""

    code, status = "streams.full", 503


class Streams:
    """The streams of one process."""

    def __init__(
        self,
        *,
        most: int = MOST,
        most_of_one: int = MOST_OF_ONE,
        turn: float = TURN,
        slow: float = SLOW,
        stopping: asyncio.Event | None = None,
    ) -> None:
        self._most, self._most_of_one, self.turn, self.slow = most, most_of_one, turn, slow
        # bounded: by `most`, then StreamsFull
        self._open: Counter[UUID] = Counter()
        self.stopping = stopping or asyncio.Event()

    def cheap(self, most: int) -> "Streams":
        """Places of their own for streams that cost next to nothing; they stop with these."""
        return Streams(
            most=most,
            most_of_one=self._most_of_one,
            turn=self.turn,
            slow=self.slow,
            stopping=self.stopping,
        )

    def stop(self) -> None:
        """Every stream ends now, and a new one as soon as it has begun: the server is about to stop."""
        if not self.stopping.is_set():
            _log.info("stopping", streams=self.count)
        self.stopping.set()

    @property
    def count(self) -> int:
        return self._open.total()

    @contextmanager
    def place(self, reader: UUID) -> Generator[None]:
        """Raises StreamsFull."""
        if self.count >= self._most or self._open[reader] >= self._most_of_one:
            raise StreamsFull(retry_after=5)
        self._open[reader] += 1
        figures.STREAMS.inc()
        try:
            yield
        finally:
            figures.STREAMS.dec()
            self._open[reader] -= 1
            if not self._open[reader]:
                del self._open[reader]


class Stream(Answer[bytes]):
    """What `pieces` yields, each sent when the one before it is gone: a slow reader has nothing kept for him."""

    def __init__(self, streams: Streams, reader: UUID, pieces: AsyncGenerator[bytes, None]) -> None:
        self.status, self.body, self.fields = 200, b"", [*EVENTS]
        self._streams, self._reader, self._pieces = streams, reader, pieces

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIResponse:
        return _Flowing(self)

    async def flow(self, receive: Receive, send: Any) -> None:
        """Raises StreamsFull before anything is sent; later on what goes wrong ends the stream, and is logged."""
        with self._streams.place(self._reader):
            await send({"type": "http.response.start", "status": self.status, "headers": self.fields})
            sending = asyncio.create_task(_send(self._pieces, send, self._streams.slow))
            leaving = asyncio.create_task(_gone(receive))
            stopping = asyncio.create_task(self._streams.stopping.wait())
            try:
                await asyncio.wait(
                    (sending, leaving, stopping),
                    timeout=self._streams.turn,
                    return_when=asyncio.FIRST_COMPLETED,
                )
            finally:
                left = leaving.done()
                await end(sending, leaving, stopping)
            if not left:
                with suppress(TimeoutError):
                    async with asyncio.timeout(CLOSING):
                        last = FAREWELL if self._streams.stopping.is_set() else b""
                        await send({"type": "http.response.body", "body": last, "more_body": False})


class _Flowing(ASGIResponse):
    """What Litestar sends. The parent's constructor is not called, as in api.answers."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A stream has a place of its own kind, so it gives back the one of a read."""
        place: Place = scope["place"]  # type: ignore[typeddict-item]
        place.leave()
        await self.stream.flow(receive, send)


async def _send(pieces: AsyncGenerator[bytes, None], send: Any, slow: float) -> None:
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                async with asyncio.timeout(slow):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
    except TimeoutError:
        _log.info("a reader was too slow")
    except Exception as error:  # noqa: BLE001 - the answer has begun: its end is all that can be said
        _log.warning("a stream broke", exc_info=error)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def message(position: int | None, data: bytes, name: str | None = None) -> bytes:
    """A server-sent event (WHATWG HTML 9.2.6): JSON has no line breaks of its own.

    Without a position the reader stays where he is.
    """
    head = b"" if name is None else b"event: %s\n" % name.encode()
    place = b"" if position is None else b"id: %d\n" % position
    return b"%b%bdata: %b\n\n" % (head, place, data)


def silence(position: int) -> bytes:
    """A ping that also says how far he is; without `data` it is no event (WHATWG HTML 9.2.6, the empty data buffer)."""
    return b": ping\nid: %d\n\n" % position


async def beating(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The same; an empty piece is a moment of silence, and becomes a comment when it has lasted long enough."""
    loop = asyncio.get_running_loop()
    spoke = loop.time()
    yield PING  # the reader learns at once that he is heard
    async for piece in pieces:
        if piece or loop.time() - spoke >= HEARTBEAT:
            yield piece or PING
            spoke = loop.time()
