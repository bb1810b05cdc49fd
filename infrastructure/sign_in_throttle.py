"""Wrong passwords are counted before they are verified, per login and network; a known device counts its own."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil
from typing import Any
from uuid import UUID
from weakref import WeakValueDictionary

from psycopg_pool import AsyncConnectionPool

from application.proof import Settle, Throttled
from infrastructure.bounded import Busy
from infrastructure.guards import Blind

WAITING, PATIENCE = 256, 2.0
"""How many calls of one process may wait for others of the same login to be settled, and for how many seconds."""
PAUSE = 0.02
"""Seconds between two looks; of those who wait for one login only the first looks."""


class SignInThrottle:
    """Implements application.proof.Throttle, exactly over all processes: see migration 0010."""

    def __init__(self, pool: AsyncConnectionPool[Any], blind: Blind) -> None:
        self._pool, self._blind = pool, blind
        self._waiting = 0
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def blinded(self, kind: str, form: str) -> str:
        return self._blind(kind, form)

    @asynccontextmanager
    async def trial(self, login: str, address: str | None, device_id: UUID | None) -> AsyncGenerator[Settle]:
        """Raises Throttled, Busy. What ends without a verdict, but not by an error, counts as wrong."""
        buckets = self._buckets(login, address, device_id)
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
            await asyncio.shield(asyncio.ensure_future(self._settle(buckets, outcome)))

    def _buckets(
        self, login: str, address: str | None, device_id: UUID | None
    ) -> tuple[list[str], list[str]]:
        """Kinds and keys."""
        if device_id is not None:
            return ["device"], [str(device_id)]
        found = {"login": login} | ({} if address is None else {"network": network(address)})
        return list(found), [self._blind(f"sign-in {kind}", key) for kind, key in found.items()]

    async def _take(self, buckets: tuple[list[str], list[str]]) -> None:
        if (closed := await self._asked(buckets)) < 0:
            closed = await self._waited(buckets)
        if closed > 0:
            raise Throttled(ceil(closed))

    async def _waited(self, buckets: tuple[list[str], list[str]]) -> float:
        """Several right passwords at once are no attack, so the verdict on those before is waited for."""
        if self._waiting >= WAITING:
            raise Busy("sign-ins")
        turn = self._turns.setdefault(buckets[1][0], asyncio.Lock())
        self._waiting += 1
        try:
            async with asyncio.timeout(PATIENCE), turn:
                while (closed := await self._asked(buckets)) < 0:  # noqa: ASYNC110 - other processes settle, too
                    await asyncio.sleep(PAUSE)
                return closed
        except TimeoutError:
            raise Busy("sign-ins") from None
        finally:
            self._waiting -= 1

    async def _asked(self, buckets: tuple[list[str], list[str]]) -> float:
        async with self._pool.connection() as connection:
            cursor = await connection.execute("select take_sign_in(%s, %s)", buckets)
            row = await cursor.fetchone()
        assert row is not None
        return float(row[0])

    async def _settle(self, buckets: tuple[list[str], list[str]], outcome: str) -> None:
        async with self._pool.connection() as connection:
            await connection.execute("select settle_sign_in(%s, %s, %s)", (*buckets, outcome))


def network(address: str) -> str:
    """Neighbours count as one: IPv4 by /24, IPv6 by /56, what one customer is given at least (RIPE-690)."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or found
    return str(ip_network((found, 24 if found.version == 4 else 56), strict=False))
