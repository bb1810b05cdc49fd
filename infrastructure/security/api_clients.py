"""API clients as the guards know them now: one coalesced statement for whoever asks with a key."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from application.access import Caller
from application.api_client import KnownClient
from domain.api_client.guards import ROLE
from domain.shared import Actor
from infrastructure.postgres import LOST, GroupRead
from infrastructure.security.callers import RIGHTS, rights_of

USED_EVERY = timedelta(seconds=60)
"""How exact `last_used_at` is."""

_READ = f"""
select c.client_key, c.client_id, c.kind, p.state, c.expires_at <= clock_timestamp(), s.access_version,
  c.allowed_origins, c.allowed_ips, c.allowed_paths, c.rate_limit_per_min, u.used_at,
  (select array_agg(array[h.key_id, h.hash]) from unnest(c.key_ids, c.keys_retire_at) as k(id, retires_at)
   join client_keys h on h.client_id = c.client_id and h.key_id = k.id
   where k.retires_at is null or k.retires_at > clock_timestamp()),
  {RIGHTS}
from clients c join principals p on p.user_id = c.client_id join sessions s on s.session_id = c.client_id
left join client_uses u on u.client_id = c.client_id
where c.client_key = any(%s)
"""


class ApiClientLookup:
    """Implements api.client_key.Clients. Its `run` must be at work."""

    def __init__(self, url: str, pool: AsyncConnectionPool[Any]) -> None:
        self._read = GroupRead(url, read_clients, name="chancery clients")
        self._pool = pool
        # bounded: one of each client, while it is written
        self._noting: dict[UUID, asyncio.Task[None]] = {}
        self.run = self._read.run

    async def known(self, client_key: str) -> KnownClient | None:
        """Never remembered: whoever changes its terms has changed them for its next request. Raises Unavailable."""
        return await self._read(client_key)

    def used(self, client: KnownClient) -> None:
        """Notes in the background that it asked just now, once a minute."""
        client_id = client.caller.actor.id
        noted = client.used_at is not None and datetime.now(UTC) - client.used_at < USED_EVERY
        if not noted and client_id not in self._noting:
            task = self._noting[client_id] = asyncio.create_task(self._do(_USE, client_id))
            task.add_done_callback(lambda _: self._noting.pop(client_id, None))

    async def upgrade(self, client: KnownClient, before: tuple[str, str], after: str) -> None:
        """A slow hash gives way to a quick one, unless somebody has changed it meanwhile."""
        key_id, hashed = before
        await self._do(_UPGRADE, after, client.caller.actor.id, key_id, hashed)

    async def last_used(self, client_ids: Sequence[UUID]) -> dict[UUID, datetime]:
        """When each asked last, within a minute; those that never did are not among them."""
        async with self._pool.connection() as connection:
            rows = await connection.execute(
                "select client_id, used_at from client_uses where client_id = any(%s)", (list(client_ids),)
            )
            return dict(await rows.fetchall())

    async def _do(self, statement: bytes, *values: Any) -> None:
        """What is lost with the database's attention is done at the next request."""
        with suppress(*LOST):
            async with self._pool.connection() as connection:
                await connection.execute(statement, values)


_USE = b"""
insert into client_uses as u (client_id, used_at) values (%s, clock_timestamp())
on conflict (client_id) do update set used_at = excluded.used_at
where u.used_at < excluded.used_at - interval '60 seconds'
"""
_UPGRADE = b"update client_keys set hash = %s where client_id = %s and key_id = %s and hash = %s"


async def read_clients(connection: AsyncConnection[Any], client_keys: list[str]) -> dict[str, KnownClient]:
    cursor = connection.cursor(binary=True)
    await cursor.execute(_READ.encode(), (client_keys,), prepare=True)
    return {row[0]: _known(*row) for row in await cursor.fetchall()}


def _known(
    client_key: str,
    client_id: UUID,
    kind: str,
    state: str,
    expired: bool | None,  # noqa: FBT001 - a column of the row
    access_version: int,
    origins: list[str],
    ips: list[str],
    paths: list[str],
    rate_limit_per_min: int | None,
    used_at: datetime | None,
    hashes: list[list[str]] | None,
    held: str | None,
) -> KnownClient:
    return KnownClient(
        caller=Caller(
            actor=Actor(kind="client", id=client_id),
            role=ROLE,
            session_id=client_id,
            access_version=access_version,
            rights=rights_of(held),
        ),
        client_key=client_key,
        kind=kind,
        active=state == "active",
        expired=bool(expired),
        allowed_origins=tuple(origins),
        allowed_ips=tuple(ips),
        allowed_paths=tuple(paths),
        rate_limit_per_min=rate_limit_per_min,
        hashes=tuple((key_id, hashed) for key_id, hashed in hashes or ()),
        used_at=used_at,
    )
