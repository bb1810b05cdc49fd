"""How far a projection has come, kept beside what it wrote and moved in the same transaction."""

import hashlib
import re
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from msgspec import Struct
from psycopg import AsyncConnection

from domain.shared import Stored
from projections.projection import Batch, Projection
from workers.epoch import EpochMismatch

Connection = AsyncConnection[Any]
INDEX = re.compile(r"^create index [^;]*;", re.MULTILINE)


class Moved(Exception):
    """The checkpoint is not where this worker left it: somebody else moved it, or a rebuild took its place."""


class Checkpoint(Struct, frozen=True, kw_only=True):
    """`count` events, the last at `position`. `digest` runs over their ids, empty at first: sha256(digest + id)."""

    version: int
    position: int = 0
    count: int = 0
    digest: bytes = b""
    failure: str | None = None


def running(digest: bytes, event_ids: Iterable[UUID]) -> bytes:
    for event_id in event_ids:
        digest = hashlib.sha256(digest + event_id.bytes).digest()
    return digest


async def load(connection: Connection, name: str, place: str) -> Checkpoint | None:
    cursor = connection.cursor(binary=True)
    await cursor.execute(
        "select version, position, count, digest, failure from projections where name = %s and place = %s",
        (name, place),
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    return Checkpoint(version=row[0], position=row[1], count=row[2], digest=row[3], failure=row[4])


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
    event the store has, so what came over NATS need not be trusted. Raises Moved, EpochMismatch.
    """
    last = batch[-1]
    after = Checkpoint(
        version=at.version,
        position=last.position,
        count=at.count + len(batch),
        digest=running(at.digest, [each.event_id for each in batch]),
    )
    async with connection.transaction():
        cursor = connection.cursor()
        await cursor.execute(
            "update projections set position = %s, count = %s, digest = %s, failure = null, failed_at = null,"
            " updated_at = clock_timestamp() where name = %s and place = %s and version = %s and position = %s"
            " and exists (select from stored_events where notification_id = %s and event_id = %s)",
            (
                *(after.position, after.count, after.digest),
                *(projection.name, place, at.version, at.position),
                *(last.position, last.event_id),
            ),
            prepare=True,
        )
        if cursor.rowcount != 1:
            if await _known(connection, last):
                raise Moved(f"{projection.name} is no longer at {at.position}")
            raise EpochMismatch(f"event {last.event_id} at {last.position} is not the one the store has")
        await projection.apply(cursor, place, batch)
    return after


async def _known(connection: Connection, stored: Stored) -> bool:
    cursor = await connection.execute(
        "select from stored_events where notification_id = %s and event_id = %s",
        (stored.position, stored.event_id),
    )
    return cursor.rowcount == 1


async def fail(connection: Connection, name: str, place: str, at: Checkpoint, failure: str) -> None:
    """Say on the checkpoint why it stands still."""
    await connection.execute(
        "update projections set failure = %s, failed_at = coalesce(failed_at, clock_timestamp())"
        " where name = %s and place = %s and position = %s",
        (failure, name, place, at.position),
    )
