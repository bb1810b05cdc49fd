"""Whoever acts without being there: the user or API client as whom a job writes, as the guards know him now."""

from typing import Any

from psycopg_pool import AsyncConnectionPool

from application.access import Caller
from domain.shared import Actor
from infrastructure.security.callers import RIGHTS, rights_of

_READ = f"""
select p.role, p.department_id, p.must_change_password, {RIGHTS}
from principals p where p.user_id = %s and p.state = 'active'
""".encode()


class Actors:
    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool

    async def caller(self, actor: Actor) -> Caller | None:
        """With the rights he has now, and no session; None: he may not act any more."""
        async with self._pool.connection() as connection:
            row = await (await connection.execute(_READ, (actor.id,), prepare=True)).fetchone()
        if row is None:
            return None
        role, department_id, must_change_password, held = row
        return Caller(
            actor=actor,
            role=role,
            department_id=department_id,
            must_change_password=must_change_password,
            rights=rights_of(held),
        )
