"""A poisoned stream set aside for one read model, by an operator, and taken back in order.

The events that wait are those of the stream from the poison to the checkpoint: the log keeps them, nobody copies them.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial
from uuid import UUID

import structlog
from msgspec import Struct

from domain.shared import Stored
from infrastructure.event_log import EventLog
from infrastructure.role import UNREACHABLE, Connection
from projections.copies import tells_of_forgetting
from projections.parking import Halting, Refolding
from projections.projection import Projection
from workers import checkpoint
from workers.checkpoint import Checkpoint
from workers.failure import told
from workers.parked import Parked, keep, parked, release
from workers.places import LIVE, Refused, alone, insist

MOST = 100
"""Streams parked of one projection. Where more fail, it is not the streams."""

_REBUILD = "run chancery projections rebuild"

log = structlog.get_logger()


class Unparked(Struct, frozen=True, kw_only=True):
    """How it went: `failure` names the event that cannot be applied, and the stream stays parked."""

    stream_id: UUID
    applied: int
    failure: str | None = None


async def park(url: str, projection: Projection) -> Parked:
    """Set the stream of the event that stops the projection aside: it goes on with all others. Raises Refused, Busy."""
    name = projection.name
    if isinstance(projection, Halting) and projection.halts:
        raise Refused(f"{name} is never parked: {projection.halts}; mend what fails")
    async with alone(url, projection) as connection:
        return await insist(projection, partial(_park, connection, name))


async def _park(connection: Connection, name: str) -> Parked:
    async with connection.transaction():
        await connection.execute("set local synchronous_commit = on")
        at = await _locked(connection, name)
        if at.failed_event is None:
            why = f"stopped for another reason: {at.failure}" if at.failure else "not stopped"
            raise Refused(f"nothing to park: {name} is {why}")
        if len(at.parked) >= MOST:
            raise Refused(f"{len(at.parked)} streams of {name} are parked already: mend what fails")
        cursor = await connection.execute(
            "select originator_id, topic from stored_events where notification_id = %s and event_id = %s",
            (at.position + 1, at.failed_event),
        )
        row = await cursor.fetchone()
        if row is None:
            raise Refused(f"the event after {at.position} is not {at.failed_event}, which {name} stopped at")
        stream_id, topic = row
        if tells_of_forgetting(topic):
            raise Refused(f"event {at.failed_event} forgets a person, which cannot wait: mend what fails")
        waiting = Parked(
            stream_id=stream_id, position=at.position + 1, event_id=at.failed_event, failure=at.failure or ""
        )
        await keep(connection, name, LIVE, waiting)
        log.warning("projection.parked", projection=name, stream=str(stream_id), position=waiting.position)
        return waiting


async def unpark(
    url: str, events: EventLog, projection: Projection, stream_ids: Sequence[UUID] = ()
) -> list[Unparked]:
    """Apply what waited, of these streams or of all, each in a transaction of its own. Raises Refused, Busy."""
    async with alone(url, projection) as connection:
        found = await parked(connection, projection.name, LIVE)
        if not found:
            raise Refused(f"nothing of {projection.name} is parked")
        if unknown := set(stream_ids) - {each.stream_id for each in found}:
            raise Refused(f"not parked: {', '.join(sorted(map(str, unknown)))}")
        wanted = [each for each in found if not stream_ids or each.stream_id in stream_ids]
        return [await _unparked(connection, events, projection, each) for each in wanted]


async def _unparked(
    connection: Connection, events: EventLog, projection: Projection, waiting: Parked
) -> Unparked:
    replay = _Replay(connection, events, projection, waiting)
    try:
        return await insist(projection, replay.whole)
    except _Failed:
        failure = await replay.failing()
        log.warning("projection.still_parked", projection=projection.name, failure=failure)
        return Unparked(stream_id=waiting.stream_id, applied=0, failure=failure)


class _Failed(Exception):
    """The projection cannot apply the stream."""


class _Replay:
    """A stream's whole past, from its first event, in the place of what the read model had of it."""

    def __init__(
        self, connection: Connection, events: EventLog, projection: Projection, waiting: Parked
    ) -> None:
        self._connection, self._events, self._projection = connection, events, projection
        self._waiting = waiting
        # bounded: one stream, while it is unparked
        self._stream: list[Stored] = []

    async def whole(self) -> Unparked:
        """Up to the checkpoint, whose row is held: the projection's worker then goes on with the event after it.

        Raises Refused, _Failed.
        """
        name, stream_id = self._projection.name, self._waiting.stream_id
        async with self._connection.transaction():
            await self._connection.execute("set local synchronous_commit = on")
            at = await _locked(self._connection, name)
            if at.version != self._projection.version:
                raise Refused(f"{name} was built by version {at.version}: {_REBUILD} {name}")
            self._stream = await self._events.stream(stream_id, up_to=at.position)
            await self._apply(len(self._stream))
            await release(self._connection, name, LIVE, stream_id)
        applied = sum(each.position >= self._waiting.position for each in self._stream)
        log.info("projection.unparked", projection=name, stream=str(stream_id), applied=applied)
        return Unparked(stream_id=stream_id, applied=applied)

    async def failing(self) -> str:
        """The first event that it cannot go on with, found by halves; each try is rolled back."""
        good, bad = 0, len(self._stream)
        while bad - good > 1:
            middle = (good + bad) // 2
            good, bad = (middle, bad) if await self._failure(middle) is None else (good, middle)
        poison = self._stream[bad - 1]
        return f"event {poison.event_id} at position {poison.position}: {await self._failure(bad)}"

    async def _failure(self, count: int) -> str | None:
        try:
            async with self._connection.transaction(force_rollback=True):
                await self._apply(count)
        except _Failed as error:
            return str(error)
        return None

    async def _apply(self, count: int) -> None:
        """Its first events, so many. Raises Refused, _Failed."""
        name, projection = self._projection.name, self._projection
        with _failing():
            stream = await self._events.opened(self._stream[:count], projection.takes)
        if not isinstance(projection, Refolding) or not projection.alone(stream):
            raise Refused(f"what {name} has of this stream follows from others, too: {_REBUILD} {name}")
        with _failing():
            await projection.refold(self._connection.cursor(), LIVE, stream)


@contextmanager
def _failing() -> Generator[None]:
    """Whatever a handler raises is _Failed, unless the database is away or busy."""
    try:
        yield
    except UNREACHABLE:
        raise
    except Exception as error:
        raise _Failed(told(error)) from error


async def _locked(connection: Connection, name: str) -> Checkpoint:
    """The checkpoint in use, held until the transaction ends. Raises Refused."""
    await connection.execute(
        "select from projections where name = %s and place = %s for update", (name, LIVE)
    )
    at = await checkpoint.load(connection, name, LIVE)
    if at is None:
        raise Refused(f"{name} has not begun")
    return at
