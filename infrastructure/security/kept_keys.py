"""The last key set of each outside issuer, for a process that starts while the issuer is away.

Sealed, since what is believed here decides who signs in.
"""

from typing import Any

import structlog
from cryptography.exceptions import InvalidTag
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from infrastructure.personal_data import Wrapping
from infrastructure.postgres import LOST

_log = structlog.get_logger("kept_keys")


class KeptKeys:
    """Implements infrastructure.security.jwks.KeptSets."""

    def __init__(self, pool: AsyncConnectionPool[Any], wrapping: Wrapping) -> None:
        self._pool, self._wrapping = pool, wrapping

    async def load(self, issuer: str) -> tuple[bytes, float] | None:
        """A row that was not sealed here, for this issuer, is as good as none."""
        async with self._pool.connection() as connection:
            found = await connection.execute(
                "select sealed, extract(epoch from fetched_at)::float from issuer_keys where issuer = %s",
                (issuer,),
            )
            row = await found.fetchone()
        try:
            return None if row is None else (self._wrapping.unwrap(row[0], _purpose(issuer)), row[1])
        except InvalidTag:
            _log.error("issuer.kept_keys_refused", issuer=issuer)
            return None

    async def keep(self, issuer: str, raw: bytes) -> None:
        """A convenience only: without the database the keys are good all the same."""
        try:
            async with self._pool.connection() as connection:
                await connection.execute(
                    "insert into issuer_keys (issuer, sealed) values (%s, %s) on conflict (issuer) do update"
                    " set sealed = excluded.sealed, fetched_at = clock_timestamp()",
                    (issuer, self._wrapping.wrap(raw, _purpose(issuer))),
                )
        except (*LOST, PoolTimeout) as problem:
            _log.warning("issuer.keys_not_kept", issuer=issuer, problem=str(problem))


def _purpose(issuer: str) -> bytes:
    return b"issuer keys " + issuer.encode()
