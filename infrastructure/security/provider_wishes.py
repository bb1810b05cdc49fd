"""What the identity provider is still to be told: one sealed row per person, until it has been told."""

from collections.abc import Mapping
from typing import Any

import msgspec
from psycopg_pool import AsyncConnectionPool

from application.provider import Waiting, Wish
from infrastructure.personal_data import Wrapping


class ProviderWishes:
    """Implements application.provider.Wishes."""

    def __init__(self, pool: AsyncConnectionPool[Any], wrapping: Wrapping) -> None:
        self._pool, self._wrapping = pool, wrapping

    def key(self, person: str) -> str:
        return self._wrapping.blind("provider.wish", person)

    async def keep(self, person: str, wish: Wish) -> Waiting:
        """Joined with the one that waits: what is said later counts."""
        key = self.key(person)
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(
                "insert into provider_wishes (person, sealed, edition) values (%s, %s, 0) on conflict do nothing",
                (key, self._seal(key, wish)),
            )
            found = await connection.execute(
                "select sealed from provider_wishes where person = %s for update", (key,)
            )
            row = await found.fetchone()
            assert row is not None
            joined = _joined(self._open(key, row[0]), wish)
            kept = await connection.execute(
                "update provider_wishes set sealed = %s, edition = edition + 1 where person = %s"
                " returning edition, made_at",
                (self._seal(key, joined), key),
            )
            row = await kept.fetchone()
            assert row is not None
        return Waiting(wish=joined, edition=row[0], since=row[1].isoformat())

    async def waiting(self, key: str) -> Waiting | None:
        async with self._pool.connection() as connection:
            found = await connection.execute(
                "select sealed, edition, made_at from provider_wishes where person = %s", (key,)
            )
            row = await found.fetchone()
        if row is None:
            return None
        return Waiting(wish=self._open(key, row[0]), edition=row[1], since=row[2].isoformat())

    async def told(self, key: str, edition: int) -> None:
        """Unless more was wished meanwhile."""
        async with self._pool.connection() as connection:
            await connection.execute(
                "delete from provider_wishes where person = %s and edition = %s", (key, edition)
            )

    async def all(self) -> Mapping[str, Waiting]:
        """There are few: those of an outage."""
        async with self._pool.connection() as connection:
            found = await connection.execute("select person, sealed, edition, made_at from provider_wishes")
            rows = await found.fetchall()
        return {
            key: Waiting(wish=self._open(key, sealed), edition=edition, since=since.isoformat())
            for key, sealed, edition, since in rows
        }

    def _seal(self, key: str, wish: Wish) -> bytes:
        return self._wrapping.wrap(msgspec.json.encode(wish), _purpose(key))

    def _open(self, key: str, sealed: bytes) -> Wish:
        return msgspec.json.decode(self._wrapping.unwrap(sealed, _purpose(key)), type=Wish)


def _joined(before: Wish, after: Wish) -> Wish:
    said = {name: value for name, value in msgspec.structs.asdict(after).items() if value is not None}
    return msgspec.structs.replace(before, **said)


def _purpose(key: str) -> bytes:
    return b"provider wish " + key.encode()
