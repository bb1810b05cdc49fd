"""What is wrong and concerns no single request: raised by whoever sees it, shown by readyz until he clears it."""

import asyncio
from collections.abc import Mapping
from typing import Any, Never

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

LOOK_SECONDS = 2.0


async def alarm(connection: AsyncConnection[Any], name: str, detail: str) -> None:
    """Say that something is wrong, or another thing than before."""
    await connection.execute(
        "insert into alarms (name, detail) values (%s, %s) on conflict (name) do update set detail = excluded.detail",
        (name, detail[:500]),
    )


async def all_clear(connection: AsyncConnection[Any], name: str) -> None:
    """It is wrong no more, if it ever was."""
    await connection.execute("delete from alarms where name = %s", (name,))


class Alarms:
    """`raised` is what was found at the last look, by name."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self.raised: Mapping[str, str] = {}
        self._pool = pool

    async def run(self) -> Never:
        """Looks for ever; while the database is away, readyz says so anyway."""
        while True:
            try:
                async with self._pool.connection() as connection:
                    rows = await connection.execute("select name, detail from alarms order by name")
                    self.raised = dict[str, str](await rows.fetchall())
            except (psycopg.OperationalError, psycopg.InterfaceError):
                pass  # the last look stands
            await asyncio.sleep(LOOK_SECONDS)
