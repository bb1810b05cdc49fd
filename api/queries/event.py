"""The event feed: everything that happened, in order and without a gap, as pages or as a stream that goes on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol
from uuid import UUID

from litestar import Router, get
from litestar.params import HeaderParameter, QueryParameter
from msgspec import UNSET, Struct, UnsetType

from api import answers
from api.answers import Answer
from api.auth import caller_of
from api.conditions import PositionUnknown, min_position
from api.openapi import problems
from api.problems import ParameterInvalid
from api.queries.event_sight import EventSight
from api.queries.records import Asked, MinPosition, Progress
from api.streams import Stream, Streams, StreamsFull, beating, message
from application.access import AccessError, Caller
from domain.shared import Actor, Metadata, Stored
from infrastructure.positions import Behind

EVENTS, MOST_EVENTS = 100, 1_000
PIECE = 100
"""Events read at once, so that neither a page of large ones nor a stream's next piece fills the memory."""
MOST_BYTES = 4 << 20
"""Of stored events after which a page ends early."""
LOOK = 1.0
"""Seconds between two looks at a quiet stream's caller: by the clock, too, a right or a session ends."""
READERS = 2
"""Streams of a process that read the log at the same moment."""

After = Annotated[
    int, QueryParameter(name="after", description="The last position you know; 0 is the beginning.")
]
Limit = Annotated[
    int, QueryParameter(name="limit", description=f"From 1; above {MOST_EVENTS} counts as {MOST_EVENTS}.")
]
StartAfter = Annotated[
    int | None,
    QueryParameter(
        name="after", description="The last position you know; without it the stream begins with now."
    ),
]
LastEventId = Annotated[
    str | None,
    HeaderParameter(name="Last-Event-ID", description="The last position you know; it goes before `after`."),
]


class FeedEvent(Struct, frozen=True, kw_only=True):
    """A fact as it was stored. In `data` personal fields are open, and null once their person was erased.

    One that is not yours to know has `hidden`, its position and its topic, so that you know of no gap; `data` is null.
    """

    position: int
    event_id: UUID | UnsetType = UNSET
    topic: str
    stream_id: UUID | UnsetType = UNSET
    version: int | UnsetType = UNSET
    recorded_at: datetime | UnsetType = UNSET
    actor: Actor | UnsetType = UNSET
    hidden: Literal[True] | UnsetType = UNSET
    data: Any = None


class Feed(Struct, frozen=True, kw_only=True):
    """Ascending; ask again with `next_after`, at once if `has_more`."""

    data: list[FeedEvent]
    next_after: int
    has_more: bool


class Log(Protocol):
    async def read(self, after: int, limit: int) -> list[Stored]: ...
    async def told(self, stored: Sequence[Stored]) -> list[tuple[Metadata, dict[str, Any]]]: ...


class Head(Protocol):
    async def beyond(self, position: int, seconds: float) -> bool: ...


Renew = Callable[[Caller], Awaitable[Caller]]
"""The same caller as the guards know him now. Raises SessionEnded."""


class Follower:
    """The log as callers may see it."""

    def __init__(
        self, log: Log, head: Head, sight: EventSight, renew: Renew, over: Callable[[], object]
    ) -> None:
        """`over`: whether this process has broken, so that its streams must end."""
        self._log, self._head, self._sight, self._renew, self._over = log, head, sight, renew, over
        self._reading = asyncio.Semaphore(READERS)

    async def page(self, caller: Caller, after: int, limit: int) -> list[FeedEvent]:
        """The next events, at most so many, fewer if they are large. Raises Behind."""
        found: list[FeedEvent] = []
        size = 0
        while len(found) < limit and size < MOST_BYTES:
            piece, at = min(PIECE, limit - len(found)), after + len(found)
            stored = await self._log.read(at, piece)
            found += await self._shown(caller, stored)
            size += sum(len(each.state) for each in stored)
            if len(stored) < piece:
                break
        return found

    async def follow(self, caller: Caller, after: int) -> AsyncIterator[bytes]:
        """What happens from now on, and b"" whenever a while has passed; it ends with the session, or the right.

        Who he is, is read after the log: what was stored later than the end of his right is not among what is shown.
        """
        while not self._over():
            try:
                async with self._reading:
                    stored = await self._log.read(after, PIECE)
                    caller = await self._renew(caller)
                    self._sight.require(caller)
                    shown = await self._shown(caller, stored)
            except AccessError:
                return
            except Behind:  # a read model it judges by lags: the reader hears that the stream lives
                yield b""
                continue
            for event in shown:
                yield message(event.position, answers.encode(event))
                after = event.position
            if not shown:
                yield b""
                await self._head.beyond(after, LOOK)

    async def _shown(self, caller: Caller, stored: list[Stored]) -> list[FeedEvent]:
        seen = await self._sight.seen(caller, stored)
        open_to_him = [event for event, his in zip(stored, seen, strict=True) if his]
        told = iter(await self._log.told(open_to_him))
        return [
            _shown(event, *next(told))
            if his
            else FeedEvent(position=event.position, topic=event.topic, hidden=True)
            for event, his in zip(stored, seen, strict=True)
        ]


def routes(follower: Follower, sight: EventSight, progress: Progress, streams: Streams) -> Router:
    @get("/", responses=problems(PositionUnknown))
    async def events(
        request: Asked, after: After = 0, limit: Limit = EVENTS, at_least: MinPosition = None
    ) -> Answer[Feed]:
        """What happened after a position, in order and without a gap.

        `events:read` held globally shows everything; held in a scope, what happened to the records there. What you may
        not see comes with `hidden`. Waits for nothing but the log: an event is here as soon as it is stored.
        """
        caller = caller_of(request)
        sight.require(caller)
        if after < 0 or limit < 1:
            raise ParameterInvalid("`after` is a position, and `limit` at least 1.")
        head = await progress.written(max(after, min_position(at_least) or 0))
        data = await follower.page(caller, after, min(limit, MOST_EVENTS))
        last = data[-1].position if data else after
        head = max(head, last)
        body = Feed(data=data, next_after=last, has_more=last < head)
        return answers.json_answer(body, headers=[(b"x-projection-position", b"%d" % head)])

    @get("/stream", media_type="text/event-stream", responses=problems(PositionUnknown, StreamsFull))
    async def events_stream(
        request: Asked, after: StartAfter = None, last_event_id: LastEventId = None
    ) -> Answer[bytes]:
        """The same as server-sent events: `id` is the position, `data` the event.

        A comment every 15 seconds shows that the stream is there. It ends after 15 minutes, when the session ends, the
        right goes or the server stops: come again with `Last-Event-ID`, as browsers do by themselves.
        """
        caller = caller_of(request)
        sight.require(caller)
        start = start_of(after, last_event_id)
        head = await progress.written(start or 0)
        pieces = beating(follower.follow(caller, head if start is None else start))
        return Stream(streams, caller.actor.id, pieces)

    return Router("/events", route_handlers=[events, events_stream])


def start_of(after: int | None, last_event_id: str | None) -> int | None:
    """None: with now. Raises ParameterInvalid."""
    if last_event_id is not None:
        if not (last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) <= 18):
            raise ParameterInvalid("Last-Event-ID is a position: a whole number.")
        return int(last_event_id)
    if after is not None and after < 0:
        raise ParameterInvalid("`after` is a position.")
    return after


def _shown(event: Stored, metadata: Metadata, data: dict[str, Any]) -> FeedEvent:
    return FeedEvent(
        position=event.position,
        event_id=event.event_id,
        topic=event.topic,
        stream_id=event.stream_id,
        version=event.version,
        recorded_at=event.recorded_at,
        actor=metadata.actor,
        data=data,
    )
