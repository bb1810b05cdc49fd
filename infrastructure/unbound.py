"""Files that nothing binds, as the claims tell."""

from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg_pool import AsyncConnectionPool

from domain.file.guards import BINDING, OBJECT

_FIND = f"""
select distinct f.owner from claims f
where f.kind = '{OBJECT}' and f.owner < %s
  and not exists (select from claims b where b.kind = '{BINDING}' and b.value = f.owner::text)
order by f.owner limit %s
"""


class UnboundFiles:
    """Implements application.file_upkeep.Unbound."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool

    async def __call__(self, before: UUID, limit: int) -> list[UUID]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_FIND.encode(), (before, limit))
            return [row[0] for row in await cursor.fetchall()]


def id_of_time(instant: datetime) -> UUID:
    """Not later than any UUIDv7 (RFC 9562) made at that instant, and later than all made before it."""
    return UUID(int=int(instant.timestamp() * 1000) << 80)
