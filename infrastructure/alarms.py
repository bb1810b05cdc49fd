"""What is wrong and concerns no single request: raised by whoever sees it, shown by readyz until he clears it."""

from typing import Any

from psycopg import AsyncConnection


async def alarm(connection: AsyncConnection[Any], name: str, detail: str) -> None:
    """Say that something is wrong, or another thing than before."""
    await connection.execute(
        "insert into alarms (name, detail) values (%s, %s) on conflict (name) do update set detail = excluded.detail",
        (name, detail[:500]),
    )


async def all_clear(connection: AsyncConnection[Any], name: str) -> None:
    """It is wrong no more, if it ever was."""
    await connection.execute("delete from alarms where name = %s", (name,))
