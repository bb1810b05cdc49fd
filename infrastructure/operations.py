"""Operations: asked for once, done under a lease, closed only by the attempt that holds it."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from application import spans
from infrastructure.event_store import new_id
from infrastructure.logging import request_id

LEASE = timedelta(seconds=60)
"""How long an attempt may be silent; then it counts as dead and another may begin."""
MOST_ATTEMPTS = 8
MOST_IN_OUTAGES = 34
"""Attempts when a server of ours is away: the last some 24 hours after the first, as pauses grow up to an hour."""
TRACEPARENT = "traceparent"
"""Stands in `about` while the trace of who asked is sampled: the attempt goes on with it."""
OFFER_AGAIN = timedelta(seconds=10)
"""After which an id that nobody took is given to the broker again: so much a flushed broker costs."""


class Taken(Struct, frozen=True, kw_only=True):
    """One attempt at an operation. `id` is also the idempotency key for whatever it does outside. `handed_over`: an
    earlier attempt has begun to do what must not be done twice, and nobody knows whether it did. `request_id`: of the
    request that it follows from.
    """

    id: UUID
    kind: str
    about: dict[str, Any]
    attempt: int
    handed_over: bool = False
    request_id: str = ""


class Hopeless(Exception):
    """It is given up at once: another attempt would end the same way, or must not be made."""


class Operations:
    """`lease` and `offer_again` are shorter in tests."""

    def __init__(
        self,
        pool: AsyncConnectionPool[Any],
        *,
        lease: timedelta = LEASE,
        offer_again: timedelta = OFFER_AGAIN,
    ) -> None:
        self._pool, self.lease, self._offer_again = pool, lease, offer_again

    async def ask(self, kind: str, about: dict[str, Any], *, occasion: str | None = None) -> bool:
        """False when the occasion has asked before."""
        async with self._pool.connection() as connection:
            return await ask(connection, kind, about, occasion=occasion)

    async def due(self, limit: int = 500) -> list[UUID]:
        """What should be offered to the broker now: queued and due, or run by an attempt that has gone silent."""
        return [row[0] for row in await self._rows(DUE, (self._offer_again, limit))]

    async def take(self, operation_id: UUID) -> Taken | None:
        """The lease; None when it is not due, held by another, or ended."""
        rows = await self._rows(TAKE, (self.lease, operation_id))
        return None if not rows else Taken(**dict(zip(Taken.__struct_fields__, rows[0], strict=True)))

    async def renew(self, taken: Taken) -> bool:
        """Still at it; False when the lease is lost, and then the attempt must stop."""
        return bool(await self._rows(RENEW, (self.lease, taken.id, taken.attempt)))

    async def hand_over(self, taken: Taken) -> bool:
        """From now on this attempt alone does what must not be done twice; False when the lease is lost."""
        return bool(await self._rows(HAND_OVER, (taken.id, taken.attempt)))

    async def hand_back(self, taken: Taken) -> None:
        """It was certainly not done: another attempt may."""
        await self._rows(HAND_BACK, (taken.id, taken.attempt))

    async def done(self, taken: Taken) -> bool:
        """False when another attempt has taken over meanwhile: its word counts."""
        return bool(await self._rows(DONE, (taken.id, taken.attempt)))

    async def failed(self, taken: Taken, error: str, *, most: int = MOST_ATTEMPTS) -> bool:
        """Back in the queue with a growing pause; True when it is given up, after `most` attempts."""
        pause = timedelta(seconds=min(2**taken.attempt, 3600))
        rows = await self._rows(FAILED, (most, most, error[:2000], pause, taken.id, taken.attempt))
        return bool(rows) and rows[0][0] == "failed"

    async def left(self, taken: Taken) -> None:
        """Back in the queue at once: the worker was asked to end."""
        await self._rows(LEFT, (taken.id, taken.attempt))

    async def _rows(self, query: bytes, parameters: tuple[Any, ...]) -> list[Any]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(query, parameters)
            rows: list[Any] = await cursor.fetchall()
            return rows


async def ask(
    connection: AsyncConnection[Any],
    kind: str,
    about: dict[str, Any],
    *,
    occasion: str | None = None,
    after: timedelta = timedelta(),
) -> bool:
    """In the caller's transaction: what must be done, `after` a while, is a row before it is anything else."""
    if (here := spans.current()) is not None:
        about = {**about, TRACEPARENT: str(here.place)}
    cursor = await connection.execute(
        "insert into operations (id, kind, about, occasion, run_at, request_id)"
        " values (%s, %s, %s, %s, clock_timestamp() + %s, %s) on conflict (occasion) do nothing",
        (new_id(), kind, msgspec.json.encode(about).decode(), occasion, after, request_id.get() or None),
    )
    return cursor.rowcount == 1


DUE = b"""update operations set offered_at = clock_timestamp() where id in (
  select id from operations
  where (state = 'queued' and run_at <= clock_timestamp() or state = 'running' and leased_until < clock_timestamp())
    and (offered_at is null or offered_at < greatest(clock_timestamp() - %s, run_at))
  order by run_at limit %s for update skip locked) returning id"""
TAKE = b"""update operations set state = 'running', attempt = attempt + 1, leased_until = clock_timestamp() + %s
  where id = %s and (state = 'queued' and run_at <= clock_timestamp()
                     or state = 'running' and leased_until < clock_timestamp())
  returning id, kind, about, attempt, handed_over_at is not null, coalesce(request_id, '')"""
HAND_OVER = b"""update operations set handed_over_at = clock_timestamp()
  where id = %s and attempt = %s and state = 'running' returning id"""
HAND_BACK = b"""update operations set handed_over_at = null
  where id = %s and attempt = %s and state = 'running' returning id"""
RENEW = b"""update operations set leased_until = clock_timestamp() + %s
  where id = %s and attempt = %s and state = 'running' returning id"""
DONE = b"""update operations set state = 'done', ended_at = clock_timestamp(), leased_until = null, last_error = null
  where id = %s and attempt = %s and state = 'running' returning id"""
LEFT = b"""update operations set state = 'queued', leased_until = null, offered_at = null
  where id = %s and attempt = %s and state = 'running' returning id"""
FAILED = b"""update operations set
    state = case when attempt >= %s then 'failed' else 'queued' end,
    ended_at = case when attempt >= %s then clock_timestamp() end,
    last_error = %s, leased_until = null, run_at = clock_timestamp() + %s
  where id = %s and attempt = %s and state = 'running' returning state"""
