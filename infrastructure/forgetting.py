"""Who was erased by any process is forgotten in this one, too: his key, and what was remembered of him."""

import asyncio
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any, Never
from uuid import UUID

import structlog
from psycopg_pool import AsyncConnectionPool

from infrastructure.personal_data import KEPT_SECONDS
from infrastructure.postgres import LOST

EVERY = 0.5
"""Seconds between two looks."""
BACK = timedelta(seconds=2 * KEPT_SECONDS)
"""How far each look goes back: no key is kept for longer anyway, and none that was read meanwhile slips through."""

_log = structlog.get_logger()


class Forgetting:
    """`keys` drops keys, again and again; `states` whatever is remembered, once for each who was erased."""

    def __init__(
        self,
        pool: AsyncConnectionPool[Any],
        keys: Callable[[Collection[UUID]], None],
        states: Callable[[], None],
    ) -> None:
        self._pool, self._keys, self._states = pool, keys, states
        self._seen: frozenset[UUID] = frozenset()

    async def run(self) -> Never:
        """For ever. While the database is away keys run out by themselves."""
        while True:
            try:
                await self.look()
            except LOST as problem:
                _log.debug("forgetting.away", error=str(problem))
            await asyncio.sleep(EVERY)

    async def look(self) -> None:
        async with self._pool.connection() as connection:
            rows = await connection.execute(
                "select subject_id from subject_keys where destroyed_at > clock_timestamp() - %s", (BACK,)
            )
            erased = frozenset(subject for (subject,) in await rows.fetchall())
        self._keys(erased)
        if erased - self._seen:
            self._states()
        self._seen = erased
