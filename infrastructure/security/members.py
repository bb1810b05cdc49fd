"""Who belongs to a department, by the guards."""

from typing import Any
from uuid import UUID

from psycopg_pool import AsyncConnectionPool


class Members:
    """Implements application.department.Members."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool

    async def any_in(self, department_id: UUID) -> bool:
        """Whether anybody belongs to it, in whatever state."""
        async with self._pool.connection() as connection:
            rows = await connection.execute(
                "select exists (select from principals where department_id = %s)", (department_id,)
            )
            row = await rows.fetchone()
        return row is not None and bool(row[0])
