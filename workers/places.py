"""Where a read model's tables stand: in use, being built beside, kept aside; and who may move them."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import structlog
from psycopg import errors

from infrastructure.postgres import connect
from infrastructure.role import Connection
from projections.projection import Projection, discover

T = TypeVar("T")
REBUILD = 4251
"""Advisory lock, with the projection's name as its second key: one at a time builds, swaps, parks or unparks."""

LIVE, NEXT, KEPT = "read", "read_next", "read_prev"
OPTIONS = (
    "-c lock_timeout=2s -c jit=off -c enable_seqscan=off -c plan_cache_mode=force_generic_plan"
    " -c maintenance_work_mem=256MB -c synchronous_commit=off"  # what a crash takes away here is built again
)
TRIES = 30

log = structlog.get_logger()


class Busy(Exception):
    """The same projection is looked after by somebody else, or is in such use that it cannot be swapped."""


class Refused(Exception):
    """What was asked for would not be right, or there is nothing to do it to; it says what to do instead."""


@asynccontextmanager
async def alone(url: str, projection: Projection) -> AsyncGenerator[Connection]:
    """A connection whose owner alone builds, swaps or parks this one. Raises Busy."""
    async with await connect(url, options=OPTIONS, name="chancery rebuild") as connection:
        cursor = await connection.execute(
            "select pg_try_advisory_lock(%s, hashtext(%s))", (REBUILD, projection.name)
        )
        if await cursor.fetchone() != (True,):
            raise Busy(f"{projection.name} is being rebuilt or looked after already")
        yield connection


async def insist(projection: Projection, work: Callable[[], Awaitable[T]]) -> T:
    """Do it as soon as nobody holds a lock in its way, for a minute at most. Raises Busy."""
    for _ in range(TRIES):
        try:
            return await work()
        except errors.LockNotAvailable:
            log.info("rebuild.waits", projection=projection.name)
    raise Busy(f"{projection.name} is in use without a pause")


async def move(connection: Connection, projection: Projection, source: str, target: str) -> None:
    """Tables, checkpoint, and with it what is parked there."""
    for table in projection.tables:
        await connection.execute(f"alter table if exists {source}.{table} set schema {target}".encode())
    await connection.execute(
        "update projections set place = %s where name = %s and place = %s", (target, projection.name, source)
    )


async def drop(connection: Connection, projection: Projection, place: str) -> None:
    async with connection.transaction():
        for table in projection.tables:
            await connection.execute(f"drop table if exists {place}.{table}".encode())
        await connection.execute(
            "delete from projections where name = %s and place = %s", (projection.name, place)
        )


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
            async with alone(url, known[name]) as connection:
                await drop(connection, known[name], place)
