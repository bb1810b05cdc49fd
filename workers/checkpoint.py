"""How far a projection has come, kept beside what it wrote and moved in the same transaction."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace
from psycopg import AsyncConnection, AsyncCursor

from domain.shared import Stored
from projections.copies import tells_of_erasure, tells_of_forgetting
from projections.projection import Batch, Projection, Rows
from workers.epoch import EpochMismatch

Connection = AsyncConnection[Any]
STANDING = ("version", "position", "count", "digest", "failure", "failed_event", "fence")
LOAD = b"""select version, position, count, digest, failure, failed_event, fence,
  array(select k.stream_id from parked_streams k where k.projection = name and k.place = p.place order by 1),
  array(select k.position from parked_streams k where k.projection = name and k.place = p.place order by k.stream_id)
from projections p where name = %b and place = %b"""
INDEX = re.compile(r"^create index [^;]*;", re.MULTILINE)


class Moved(Exception):
    """The checkpoint is not as this worker left it: somebody moved it, set a stream aside, or swapped the tables."""


class Checkpoint(Struct, frozen=True, kw_only=True):
    """`count` events, the last at `position`. `digest` runs over their ids, empty at first: sha256(digest + id).

    `parked`: streams set aside, with the position from which on their events are passed but not applied.
    `fence`: another one whenever that changes. `failed_event`: the event after `position`, if that cannot be applied.
    """

    version: int
    position: int = 0
    count: int = 0
    digest: bytes = b""
    failure: str | None = None
    failed_event: UUID | None = None
    fence: UUID = UUID(int=0)
    parked: Mapping[UUID, int] = {}

    def aside(self, stored: Stored) -> bool:
        """Whether the event waits with its parked stream."""
        begin = self.parked.get(stored.stream_id)
        return begin is not None and stored.position >= begin

    def taken(self, projection: Projection) -> Callable[[Stored], bool]:
        """What is to be opened for the projection: what waits need not even be readable."""
        if not self.parked:
            return projection.takes
        return lambda stored: not self.aside(stored) and projection.takes(stored)


def running(digest: bytes, event_ids: Iterable[UUID]) -> bytes:
    for event_id in event_ids:
        digest = hashlib.sha256(digest + event_id.bytes).digest()
    return digest


async def load(connection: Connection, name: str, place: str) -> Checkpoint | None:
    cursor = connection.cursor(binary=True)
    await cursor.execute(LOAD, (name, place))
    row = await cursor.fetchone()
    if row is None:
        return None
    *standing, streams, positions = row
    return Checkpoint(
        **dict(zip(STANDING, standing, strict=True)), parked=dict(zip(streams, positions, strict=True))
    )


async def begin(connection: Connection, projection: Projection, place: str, *, indexed: bool = True) -> None:
    """Make the tables, with a checkpoint at nothing; who comes second finds them made."""
    async with connection.transaction():
        made = await connection.execute(
            "insert into projections (name, place, version) values (%s, %s, %s) on conflict do nothing",
            (projection.name, place, projection.version),
        )
        if made.rowcount:
            ddl = projection.ddl(place)
            await connection.execute((ddl if indexed else INDEX.sub("", ddl)).encode())


async def index(connection: Connection, projection: Projection, place: str) -> None:
    """Make the indexes that `begin` left out: filling a table is many times quicker without them."""
    async with connection.transaction():
        for statement in INDEX.findall(projection.ddl(place)):
            await connection.execute(statement.encode())


async def advance(
    connection: Connection, projection: Projection, place: str, at: Checkpoint, batch: Batch
) -> Checkpoint:
    """Apply the batch that follows `at`, all or nothing, and answer the new checkpoint.

    The checkpoint moves first, and only from `at`: a second worker waits here, then writes nothing. It moves only to an
    event the store has, so what came over NATS need not be trusted. What waits with a parked stream is passed, and
    counted. Raises Moved, EpochMismatch.
    """
    last = batch[-1]
    after = replace(
        at,
        position=last.position,
        count=at.count + len(batch),
        digest=running(at.digest, [each.event_id for each in batch]),
        failure=None,
        failed_event=None,
    )
    async with connection.transaction():
        cursor = connection.cursor()
        await cursor.execute(
            "update projections set position = %s, count = %s, digest = %s, failure = null, failed_at = null,"
            " failed_event = null, updated_at = clock_timestamp()"
            " where name = %s and place = %s and version = %s and position = %s"
            " and fence = %s"
            " and exists (select from stored_events where notification_id = %s and event_id = %s)",
            (
                *(after.position, after.count, after.digest),
                *(projection.name, place, at.version, at.position, at.fence),
                *(last.position, last.event_id),
            ),
            prepare=True,
        )
        if cursor.rowcount != 1:
            if await _known(connection, last):
                raise Moved(f"{projection.name} is no longer at {at.position}")
            raise EpochMismatch(f"event {last.event_id} at {last.position} is not the one the store has")
        await projection.apply(cursor, place, await _applied(cursor, projection, place, at, batch))
    return after


async def _applied(
    cursor: AsyncCursor[Any], projection: Projection, place: str, at: Checkpoint, batch: Batch
) -> Batch:
    """Without what waits. An erasure does not wait: the person's copies go, and the record he is, until it is whole."""
    waiting = [each for each in batch if at.aside(each)] if at.parked else []
    if not waiting:
        return batch
    erased = [each.stream_id for each in waiting if tells_of_forgetting(each.topic)]
    if erased and isinstance(projection, Rows):
        await projection.remove(cursor, place, erased)
    return [each for each in batch if not at.aside(each) or tells_of_erasure(each)]


async def _known(connection: Connection, stored: Stored) -> bool:
    cursor = await connection.execute(
        "select from stored_events where notification_id = %s and event_id = %s",
        (stored.position, stored.event_id),
    )
    return cursor.rowcount == 1


async def fail(
    connection: Connection, name: str, place: str, at: Checkpoint, failure: str, event_id: UUID | None = None
) -> None:
    """Say on the checkpoint why it stands still; `event_id`: of the event that cannot be applied. Raises Moved."""
    said = await connection.execute(
        "update projections set failure = %s, failed_event = %s, failed_at = coalesce(failed_at, clock_timestamp())"
        " where name = %s and place = %s and position = %s and fence = %s",
        (failure, event_id, name, place, at.position, at.fence),
    )
    if said.rowcount != 1:
        raise Moved(f"{name} is no longer at {at.position}")
