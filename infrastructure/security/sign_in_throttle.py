"""Wrong passwords are counted before they are verified, per login and network; a known device counts its own."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil
from typing import Any
from uuid import UUID
from weakref import WeakValueDictionary

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from application.proof import Settle, Throttled
from infrastructure.bounded import Busy
from infrastructure.guards import Blind
from infrastructure.postgres import GroupRead

AT_ONCE = 64
"""Passwords of one process that are on their way at once; more than the threads that verify them ever have in line."""
PATIENCE, PAUSE = 2.0, 0.02
"""Seconds to wait for others of the same login to be settled, and between two looks at them."""

Bucket = tuple[str, str]
"""Kind and key."""


class SignInThrottle:
    """Implements application.proof.Throttle, exactly over all processes (migration 0010). Its `run` must be at work."""

    def __init__(self, url: str, pool: AsyncConnectionPool[Any], blind: Blind) -> None:
        self._pool, self._blind = pool, blind
        self._closed = GroupRead(url, _closed, name="chancery sign-ins")
        self.run = self._closed.run
        self._inside = 0
        # bounded: by AT_ONCE: what nobody holds goes
        self._turns: WeakValueDictionary[Bucket, asyncio.Lock] = WeakValueDictionary()

    def blinded(self, kind: str, form: str) -> str:
        return self._blind(kind, form)

    @asynccontextmanager
    async def trial(self, login: str, address: str | None, device_id: UUID | None) -> AsyncGenerator[Settle]:
        """Raises Throttled, Busy. What ends without a verdict, but not by an error, counts as wrong."""
        buckets = self._buckets(login, address, device_id)
        if found := [each for each in await asyncio.gather(*map(self._closed, buckets)) if each]:
            raise Throttled(ceil(max(found)))  # a flood of guesses ends here
        if self._inside >= AT_ONCE:
            raise Busy("sign-ins")
        self._inside += 1
        try:
            async with self._place(buckets) as settle:
                yield settle
        finally:
            self._inside -= 1

    def _buckets(self, login: str, address: str | None, device_id: UUID | None) -> list[Bucket]:
        if device_id is not None:
            return [("device", str(device_id))]
        found = [("login", login)] + ([] if address is None else [("network", network(address))])
        return [(kind, self._blind(f"sign-in {kind}", key)) for kind, key in found]

    @asynccontextmanager
    async def _place(self, buckets: list[Bucket]) -> AsyncGenerator[Settle]:
        await self._take(buckets)
        outcome = "wrong"

        def settle(right: bool) -> None:  # noqa: FBT001 - the verdict
            nonlocal outcome
            outcome = "right" if right else "wrong"

        try:
            yield settle
        except Exception:
            outcome = "unknown"
            raise
        finally:  # also when the caller has gone: who guesses and hangs up is counted
            settled = self._call("select settle_sign_in(%s, %s, %s)", buckets, outcome)
            await asyncio.shield(asyncio.ensure_future(settled))

    async def _take(self, buckets: list[Bucket]) -> None:
        """Several right passwords at once are no attack, so the verdict on those before is waited for."""
        turn = self._turns.setdefault(buckets[0], asyncio.Lock())
        try:
            async with asyncio.timeout(PATIENCE), turn:
                while (closed := await self._call("select take_sign_in(%s, %s)", buckets)) < 0:  # noqa: ASYNC110
                    await asyncio.sleep(PAUSE)  # other processes settle, too
        except TimeoutError:
            raise Busy("sign-ins") from None
        if closed > 0:
            raise Throttled(ceil(closed))

    async def _call(self, function: str, buckets: list[Bucket], *more: str) -> Any:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(function.encode(), (*_columns(buckets), *more))
            row = await cursor.fetchone()
        assert row is not None
        return row[0]


async def _closed(connection: AsyncConnection[Any], buckets: list[Bucket]) -> dict[Bucket, float]:
    """For how many seconds each bucket stays closed, if it is."""
    cursor = await connection.execute(
        "select a.kind, a.key, extract(epoch from f.opens_at - clock_timestamp())::float8"
        " from unnest(%s::text[], %s::text[]) as a(kind, key)"
        " join sign_in_failures f on f.kind = a.kind and f.key = a.key where f.opens_at > clock_timestamp()",
        _columns(buckets),
        prepare=True,
    )
    return {(kind, key): seconds for kind, key, seconds in await cursor.fetchall()}


def _columns(buckets: list[Bucket]) -> tuple[list[str], list[str]]:
    return [kind for kind, _ in buckets], [key for _, key in buckets]


def network(address: str) -> str:
    """Neighbours count as one: IPv4 by /24, IPv6 by /56, what one customer is given at least (RIPE-690)."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or found
    return str(ip_network((found, 24 if found.version == 4 else 56), strict=False))
