"""Signing keys on a test's database, as the application keeps them, with a clock that the test moves."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from application.execute import Execute
from application.signing_key import Schedule, SigningKeys
from infrastructure.postgres import open_pool
from infrastructure.security.callers import SessionCallers
from infrastructure.security.signing_keys import KeyHalves, KeyRing
from infrastructure.security.tokens import Tokens
from tests.store import WRAPPING, open_store


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def passes(self, **time: float) -> None:
        self.now += timedelta(**time)


@asynccontextmanager
async def signing_keys(
    dsn: str, clock: Callable[[], datetime], schedule: Schedule | None = None
) -> AsyncIterator[SigningKeys]:
    pool = await open_pool(dsn, size=4)
    async with open_store(dsn) as (store, _):
        execute = Execute(store, SessionCallers(dsn), clock)
        yield SigningKeys(execute, store, KeyHalves(dsn, pool, WRAPPING), clock, schedule or Schedule())
    await pool.close()


async def tokens_of(dsn: str, issuer: str, wrapping=WRAPPING) -> Tokens:
    """Another process's, with the keys as they are now."""
    ring = KeyRing(dsn, wrapping)
    try:
        await ring.look()
    finally:
        await ring.close()
    return Tokens(ring, issuer=issuer)
