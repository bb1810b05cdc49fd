"""A read model built again from the events, beside the one in use: to compare the two, and to take its place."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import structlog
from msgspec import Struct
from psycopg import errors

from domain.shared import Stored
from infrastructure.event_log import EventLog
from infrastructure.postgres import connect
from infrastructure.role import Connection
from infrastructure.tasks import end
from projections.projection import Batch, Projection, discover
from projections.projection import Rows as RecordRows
from workers import checkpoint
from workers.checkpoint import Checkpoint, running

BATCH = 5_000
REBUILD = 4251
"""Advisory lock, with the projection's name as its second key: one rebuild of it at a time."""

LIVE, NEXT, KEPT = "read", "read_next", "read_prev"
OPTIONS = (
    "-c lock_timeout=2s -c jit=off -c enable_seqscan=off -c plan_cache_mode=force_generic_plan"
    " -c maintenance_work_mem=256MB -c synchronous_commit=off"  # what a crash takes away here is built again
)
SWAP_TRIES = 30

Told = Callable[[int, int], None]
"""Called with the position reached and the one to reach."""

log = structlog.get_logger()


class Busy(Exception):
    """The same projection is being built by somebody else, or is in such use that it cannot be swapped."""


class Rows(Struct, frozen=True, kw_only=True):
    """A table's content: how many rows, and a sha256 over the sha256 of each row's text, in the order of these.

    `views` stands instead where records are compared by what is shown of them: the sha256 over the sha256 of each one's
    id and view, ordered by id. It takes a sixth of the time, and is the same for whoever replays without a database.
    """

    table: str
    count: int
    sha256: str = ""
    views: str | None = None


class Comparison(Struct, frozen=True, kw_only=True):
    """Two builds of one read model at one position."""

    position: int
    same_events: bool
    live: tuple[Rows, ...]
    built: tuple[Rows, ...]

    @property
    def equal(self) -> bool:
        return self.same_events and self.live == self.built


class Built(Struct, frozen=True, kw_only=True):
    """How a build went. Without a comparison: nothing of this projection was in use, or it was ahead of the store."""

    at: Checkpoint
    live_version: int | None
    comparison: Comparison | None


class Verified(Struct, frozen=True, kw_only=True):
    """What the checkpoint says and what the store says, of the events up to its position."""

    at: Checkpoint
    count: int
    digest: bytes

    @property
    def right(self) -> bool:
        return (self.at.count, self.at.digest) == (self.count, self.digest)


async def rebuild(
    url: str, events: EventLog, projection: Projection, told: Told = lambda _at, _of: None
) -> Built:
    """Build beside, compare, swap; what was in use is kept in `read_prev`. Queries never see an empty table."""
    async with _alone(url, projection) as connection:
        built = await _built(connection, events, projection, told)
        for _ in range(SWAP_TRIES):
            try:
                return Built(
                    at=await _swap(connection, events, projection),
                    live_version=built.live_version,
                    comparison=built.comparison,
                )
            except errors.LockNotAvailable:
                log.info("rebuild.waits", projection=projection.name)
        raise Busy(f"{projection.name} is in use without a pause")


async def compare(
    url: str, events: EventLog, projection: Projection, told: Told = lambda _at, _of: None
) -> Built:
    """Build beside, compare, and drop what was built."""
    async with _alone(url, projection) as connection:
        built = await _built(connection, events, projection, told)
        await _drop(connection, projection, NEXT)
        return built


async def drop_older(url: str, position: int) -> None:
    """What was built before that position and is not in use: kept aside by a rebuild, or left by one that died.

    Raises Busy while one of them is being built: then it is about to come into use.
    """
    async with await connect(url, options=OPTIONS, name="chancery rebuild") as connection:
        rows = await connection.execute(
            "select name, place from projections where place = any(%s) and position < %s",
            ([NEXT, KEPT], position),
        )
        old = await rows.fetchall()
    known = discover()
    for name, place in old:
        if name in known:
            async with _alone(url, known[name]) as connection:
                await _drop(connection, known[name], place)


async def verify(url: str, name: str) -> Verified | None:
    """Whether the checkpoint's count and digest are those of the store's events; None without a checkpoint."""
    async with await connect(url, options=OPTIONS, name="chancery verify") as connection:
        at = await checkpoint.load(connection, name, LIVE)
        if at is None:
            return None
        count, digest = 0, b""
        cursor = connection.cursor(binary=True)
        for start in range(0, at.position, 50_000):
            await cursor.execute(
                "select event_id from stored_events where notification_id > %s and notification_id <= %s"
                " order by notification_id",
                (start, min(start + 50_000, at.position)),
            )
            ids = [event_id for (event_id,) in await cursor.fetchall()]
            count, digest = count + len(ids), running(digest, ids)
        return Verified(at=at, count=count, digest=digest)


@asynccontextmanager
async def _alone(url: str, projection: Projection) -> AsyncGenerator[Connection]:
    async with await connect(url, options=OPTIONS, name="chancery rebuild") as connection:
        cursor = await connection.execute(
            "select pg_try_advisory_lock(%s, hashtext(%s))", (REBUILD, projection.name)
        )
        if await cursor.fetchone() != (True,):
            raise Busy(f"{projection.name} is being rebuilt already")
        yield connection


async def _built(connection: Connection, events: EventLog, projection: Projection, told: Told) -> Built:
    await _drop(connection, projection, NEXT)
    await checkpoint.begin(connection, projection, NEXT, indexed=False)
    at = Checkpoint(version=projection.version)
    live = await checkpoint.load(connection, projection.name, LIVE)
    comparison = None
    if live is not None:
        at = await _build(connection, events, projection, at, live.position, told)
        live, rows = await snapshot(connection, projection, LIVE)
        at = await _build(connection, events, projection, at, live.position, told)
        _, ours = await snapshot(connection, projection, NEXT)
        same = (live.position, live.count, live.digest) == (at.position, at.count, at.digest)
        comparison = Comparison(position=live.position, same_events=same, live=rows, built=ours)
    at = await _build(connection, events, projection, at, await events.head(), told)
    await checkpoint.index(connection, projection, NEXT)
    at = await _build(connection, events, projection, at, await events.head(), told)
    return Built(at=at, live_version=live.version if live else None, comparison=comparison)


async def _build(
    connection: Connection, events: EventLog, projection: Projection, at: Checkpoint, up_to: int, told: Told
) -> Checkpoint:
    """Go on to exactly `up_to`; the next batch is read and decoded while this one is written."""
    coming = asyncio.create_task(_read(events, at.position, up_to, projection.takes))
    try:
        while batch := await coming:
            coming = asyncio.create_task(_read(events, batch[-1].position, up_to, projection.takes))
            at = await checkpoint.advance(connection, projection, NEXT, at, batch)
            told(at.position, up_to)
        return at
    finally:
        await end(coming)


async def _read(events: EventLog, after: int, up_to: int, takes: Callable[[Stored], bool]) -> Batch:
    if after >= up_to:
        return []
    return await events.opened(await events.read(after, min(BATCH, up_to - after)), takes)


async def replayed(
    url: str, events: EventLog, projection: Projection, position: int, told: Told = lambda _at, _of: None
) -> tuple[Rows, ...]:
    """What the read model holds after the events up to `position`, built beside and dropped."""
    async with _alone(url, projection) as connection:
        await _drop(connection, projection, NEXT)
        await checkpoint.begin(connection, projection, NEXT, indexed=False)
        await _build(connection, events, projection, Checkpoint(version=projection.version), position, told)
        _, rows = await snapshot(connection, projection, NEXT, shown=True)
        await _drop(connection, projection, NEXT)
        return rows


async def snapshot(
    connection: Connection, projection: Projection, place: str, *, shown: bool = False
) -> tuple[Checkpoint, tuple[Rows, ...]]:
    """Checkpoint and rows at one instant, while others go on writing; one statement for each table.

    `shown`: of records only what is shown of them.
    """
    async with connection.transaction():
        await connection.execute("set transaction isolation level repeatable read, read only")
        await connection.execute("set local timezone = 'UTC'")
        await connection.execute("set local datestyle = 'ISO'")
        at = await checkpoint.load(connection, projection.name, place)
        if at is None:
            raise LookupError(f"{projection.name} has no checkpoint in {place}")
        records = projection.name if shown and isinstance(projection, RecordRows) else None
        rows = [await _rows(connection, place, table, shown=table == records) for table in projection.tables]
        return at, tuple(rows)


async def _rows(connection: Connection, place: str, table: str, *, shown: bool) -> Rows:
    row_hash, order = (
        ("sha256(uuid_send(id) || view)", "id") if shown else ("sha256(convert_to(t::text, 'UTF8'))", "null")
    )
    query = (
        "select count(*), encode(sha256(coalesce(string_agg(h, null order by o, h), '')), 'hex')"  # noqa: S608 - our names
        f" from (select {row_hash} as h, {order} as o from {place}.{table} t) as hashed"
    )
    row = await (await connection.execute(query.encode())).fetchone()
    count, digest = row or (0, "")
    return (
        Rows(table=table, count=count, views=digest)
        if shown
        else Rows(table=table, count=count, sha256=digest)
    )


async def _swap(connection: Connection, events: EventLog, projection: Projection) -> Checkpoint:
    """In one transaction, with the live checkpoint locked: its worker then finds it moved, and goes on from ours."""
    async with connection.transaction():
        await connection.execute("set local synchronous_commit = on")
        cursor = await connection.execute(
            "select position from projections where name = %s and place = %s for update",
            (projection.name, LIVE),
        )
        live = await cursor.fetchone()
        at = await checkpoint.load(connection, projection.name, NEXT)
        if at is None:
            raise LookupError(f"{projection.name} has no checkpoint in {NEXT}")
        if live is not None:
            at = await _build(connection, events, projection, at, live[0], lambda _at, _of: None)
            await _drop(connection, projection, KEPT)
            await _move(connection, projection, LIVE, KEPT)
        await _move(connection, projection, NEXT, LIVE)
        return at


async def _move(connection: Connection, projection: Projection, source: str, target: str) -> None:
    for table in projection.tables:
        await connection.execute(f"alter table if exists {source}.{table} set schema {target}".encode())
    await connection.execute(
        "update projections set place = %s where name = %s and place = %s", (target, projection.name, source)
    )


async def _drop(connection: Connection, projection: Projection, place: str) -> None:
    async with connection.transaction():
        for table in projection.tables:
            await connection.execute(f"drop table if exists {place}.{table}".encode())
        await connection.execute(
            "delete from projections where name = %s and place = %s", (projection.name, place)
        )
