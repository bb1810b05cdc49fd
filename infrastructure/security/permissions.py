"""What a user may do, read fresh from the guards: what append judges by is what a snapshot shows."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from application.catalogue import Module
from application.permission import Held, Snapshot, snapshot
from domain.module.guards import ACTION, SCOPE
from infrastructure.postgres import GroupRead
from infrastructure.security.callers import RIGHTS, rights_of

_READ = f"""
select p.user_id, case p.state when 'active' then p.role else '' end, case p.state when 'active' then {RIGHTS} end,
  (select max(c.position) from (values (p.user_id), (p.department_id)) as subject(id)
   join access_changes c on c.subject_id = subject.id),
  coalesce((select e.notification_id from stored_events e order by e.notification_id desc limit 1), 0),
  clock_timestamp(),
  case p.role when 'admin' then (select array_agg(k.value) from claims k where k.kind = '{ACTION}') end,
  case p.role when 'admin' then (select max(e.notification_id) from stored_events e
    where e.originator_id in (select k.owner from claims k where k.kind = '{ACTION}')) end
from principals p where p.user_id = any(%s)
"""


class Permissions:
    """Snapshots of users, coalesced. Its `run` must be at work."""

    def __init__(self, url: str) -> None:
        self._read = GroupRead(url, _held, name="chancery permissions")
        self.run = self._read.run

    async def snapshot(self, user_id: UUID) -> Snapshot | None:
        """As of now, never older; None: there is no such user. Raises Unavailable."""
        held = await self._read(user_id)
        return None if held is None else snapshot(user_id, held)


async def _held(connection: AsyncConnection[Any], users: list[UUID]) -> dict[UUID, Held]:
    cursor = connection.cursor(binary=True)
    await cursor.execute(_READ.encode(), (users,), prepare=True)
    return {row[0]: _of(*row[1:]) for row in await cursor.fetchall()}


def _of(
    role: str,
    held: str | None,
    changed: int | None,
    position: int,
    now: datetime,
    foreign: list[str] | None,
    modules_changed: int | None,
) -> Held:
    return Held(
        role=role,
        rights=rights_of(held),
        version=max(changed or 0, modules_changed or 0),
        position=position,
        now=now,
        foreign=frozenset(foreign or ()),
    )


class Rights:
    """Implements application.grant.Rights."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool

    async def lapsed(self, limit: int) -> Sequence[UUID]:
        """By the database's clock."""
        async with self._pool.connection() as connection:
            rows = await connection.execute(
                "select grant_id from rights where expires_at <= clock_timestamp() order by expires_at limit %s",
                (limit,),
            )
            return [grant_id for (grant_id,) in await rows.fetchall()]

    async def foreign(self) -> Sequence[Module]:
        """Sorted by name."""
        async with self._pool.connection() as connection:
            rows = await connection.execute(
                "select kind, split_part(value, ':', 1), split_part(value, ':', 2) from claims"
                " where kind = any(%s) order by value",
                ([ACTION, SCOPE],),
            )
            found: defaultdict[str, dict[str, list[str]]] = defaultdict(lambda: {ACTION: [], SCOPE: []})
            for kind, module, word in await rows.fetchall():
                found[module][kind].append(word)
        return [
            Module(module=name, actions=tuple(of[ACTION]), scope_types=("global", *of[SCOPE]), foreign=True)
            for name, of in found.items()
        ]
