"""Roles that one process at a time may hold: a session's advisory lock, gone with its connection."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Never

import psycopg
import structlog
from psycopg import AsyncConnection

from infrastructure.postgres import PROBES, TIMEOUTS, connect
from infrastructure.watch import figures

TRY_SECONDS = 0.2
"""How long a role stands empty at most after its holder died."""

STAND_BACK = 1.0
"""How long who gave way leaves the role to whoever else stands by."""

PROBING = f"{TIMEOUTS} {PROBES}"
Connection = AsyncConnection[Any]
UNREACHABLE = (psycopg.OperationalError, psycopg.InterfaceError)
"""What a lost, refused or overloaded database raises; everything else is a mistake that stays one on a retry."""

log = structlog.get_logger()


class GivesWay(Exception):
    """Who holds the role cannot do its work, and another process may: of a newer release, say."""


async def hold(
    url: str, name: str, key: int, work: Callable[[Connection], Awaitable[None]], *, options: str = PROBING
) -> Never:
    """Stand by until the role is free, then do its work on the connection that holds it; again when that is lost.

    `name` also is the second key of the lock. What the role writes it should write on this connection: then it cannot
    go on after losing the role. An exception of the work that is not about the connection goes up, but for GivesWay.
    """
    reachable = True
    while True:
        try:
            async with await connect(url, name=f"chancery {name}", options=options) as connection:
                while not await _take(connection, key, name):  # noqa: ASYNC110 - another process frees it
                    await asyncio.sleep(TRY_SECONDS)
                reachable = True
                log.info("role.taken", role=name)
                with figures.held(name):
                    await work(connection)
        except GivesWay as reason:
            log.warning("role.given_up", role=name, reason=str(reason))
            await asyncio.sleep(STAND_BACK)
        except UNREACHABLE as error:
            if reachable:
                log.warning("role.lost", role=name, error=str(error).strip())
            reachable = False
            await asyncio.sleep(TRY_SECONDS)


async def _take(connection: Connection, key: int, name: str) -> bool:
    row = await (
        await connection.execute("select pg_try_advisory_lock(%s, hashtext(%s))", (key, name))
    ).fetchone()
    return bool(row and row[0])


async def holders(connection: Connection, key: int, names: list[str]) -> set[str]:
    """Which of these roles somebody holds now, in this database."""
    rows = await connection.execute(
        "select name from unnest(%s::text[]) as name join pg_locks l on l.locktype = 'advisory' and l.granted"
        " and l.classid = %s::int and l.objid::int8 = (hashtext(name)::int8 & 4294967295)"
        " and l.database = (select oid from pg_database where datname = current_database())",
        (names, key),
    )
    return {name for (name,) in await rows.fetchall()}
