"""Coalesced look-ups by key: claims, accounts, and single records of the read models."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from msgspec import Struct
from psycopg import AsyncConnection

from application.proof import Account
from domain.user.guards import EMAIL
from infrastructure.guards import Blind
from infrastructure.positions import Parked
from infrastructure.postgres import GroupRead, connect
from infrastructure.security.refresh import IDLE, RESTED

_PARKED = "from parked_streams k where k.projection = p.name and k.place = p.place order by k.stream_id"


class Found(Struct, frozen=True, gc=False):
    """One record as its read model holds it; `version` 0: there is none. `position` is the read model's own.

    `parked`: from which position on its stream waits, 0: it does not.
    """

    version: int
    view: bytes
    position: int
    parked: int = 0


class Records:
    """Single records of one read model, with the position they are true at. `stream`: the column that names theirs."""

    def __init__(self, url: str, name: str, stream: str | None = None) -> None:
        self.name = name
        self._query = (
            f"""select p.position, r.id, r."{stream or "id"}", r.version, r.view, array(select k.stream_id {_PARKED}),
                  array(select k.position {_PARKED})
                from projections p left join read."{name}" r on r.id = any(%s)
                where p.name = '{name}' and p.place = 'read'"""
        ).encode()
        self._read = GroupRead(url, self._find, name=f"chancery read {name}")
        self.run = self._read.run

    async def __call__(self, record_id: UUID) -> Found:
        """Raises Parked for a record that is not whole, whether or not anything is there of it."""
        found = await self._read(record_id) or Found(0, b"", 0)
        if found.parked:
            raise Parked(found.parked - 1)
        return found

    async def _find(self, connection: AsyncConnection[Any], ids: list[UUID]) -> dict[UUID, Found]:
        cursor = connection.cursor(binary=True)
        await cursor.execute(self._query, (ids,), prepare=True)
        rows = await cursor.fetchall()
        position, parked = (rows[0][0], dict(zip(*rows[0][-2:], strict=True))) if rows else (0, {})
        found = {
            record_id: Found(version, view, position, parked.get(stream_id, 0))
            for _, record_id, stream_id, version, view, *_ in rows
            if record_id is not None
        }
        return {key: found.get(key) or Found(0, b"", position, parked.get(key, 0)) for key in ids}


class ClaimLookup:
    """Implements application.ports.Claims."""

    def __init__(self, url: str, blind: Blind) -> None:
        self._url, self._blind = url, blind
        self._read = GroupRead(url, _owners, name="chancery claims")
        self._last = GroupRead(url, _lasts, name="chancery last claims")
        self.run, self.run_last = self._read.run, self._last.run

    async def owner(self, kind: str, value: str, *, personal: bool = False) -> UUID | None:
        return await self._read((kind, self._blind(kind, value) if personal else value))

    async def owners(self, kind: str, prefix: str) -> Sequence[UUID]:
        """Not coalesced: what follows from a fact asks, not a request."""
        async with await connect(self._url, name="chancery claims under") as connection:
            cursor = await connection.execute(
                "select owner from claims where kind = %s and value >= %s and value < %s order by value",
                (kind, prefix, prefix.removesuffix(":") + ";"),
            )
            return [owner for (owner,) in await cursor.fetchall()]

    async def among(self, kind: str, prefix: str, end: str, most: int) -> Sequence[tuple[str, UUID]]:
        """Not coalesced: it is asked with a few commands alone."""
        async with await connect(self._url, name="chancery claims among") as connection:
            cursor = await connection.execute(
                "select value, owner from claims where kind = %s and value >= %s and value < %s"
                " order by value desc limit %s",
                (kind, prefix, end, most),
            )
            return await cursor.fetchall()

    async def last(self, kind: str, prefix: str) -> str | None:
        return await self._last((kind, prefix))


class AccountLookup:
    """Implements application.session.Accounts."""

    def __init__(self, url: str, *, idle: timedelta = IDLE) -> None:
        self._accounts = GroupRead(url, _accounts, name="chancery accounts")
        self._sessions = GroupRead(url, partial(_sessions, idle=idle), name="chancery sessions")
        self._used = GroupRead(url, _used, name="chancery session use")
        self.runs = (self._accounts.run, self._sessions.run, self._used.run)

    async def account(self, user_id: UUID) -> Account | None:
        return await self._accounts(user_id)

    async def sessions(self, user_id: UUID) -> frozenset[UUID]:
        return await self._sessions(user_id) or frozenset()

    async def last_used(self, session_ids: Collection[UUID]) -> dict[UUID, datetime]:
        """When each session last got a new access token by a refresh token, or its first one."""
        found = await asyncio.gather(*map(self._used, session_ids))
        return {key: at for key, at in zip(session_ids, found, strict=True) if at is not None}


async def _owners(
    connection: AsyncConnection[Any], claims: list[tuple[str, str]]
) -> dict[tuple[str, str], UUID]:
    cursor = await connection.execute(
        "select c.kind, c.value, k.owner from unnest(%s::text[], %s::text[]) as c(kind, value)"
        " join claims k on k.kind = c.kind and k.value = c.value",
        ([kind for kind, _ in claims], [value for _, value in claims]),
        prepare=True,
    )
    return {(kind, value): owner for kind, value, owner in await cursor.fetchall()}


async def _lasts(
    connection: AsyncConnection[Any], asked: list[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    cursor = await connection.execute(
        "select a.kind, a.prefix, k.value from unnest(%s::text[], %s::text[]) as a(kind, prefix), lateral"
        " (select value from claims where kind = a.kind and value >= a.prefix and value < rtrim(a.prefix, ':') || ';'"
        "  order by value desc limit 1) k",
        ([kind for kind, _ in asked], [prefix for _, prefix in asked]),
        prepare=True,
    )
    return {(kind, prefix): value for kind, prefix, value in await cursor.fetchall()}


async def _accounts(connection: AsyncConnection[Any], ids: list[UUID]) -> dict[UUID, Account]:
    cursor = await connection.execute(
        "select p.user_id, c.password_hash, p.state, m.value from principals p"
        " left join credentials c on c.user_id = p.user_id"
        " left join claims m on m.owner = p.user_id and m.kind = %s where p.user_id = any(%s) and p.role <> 'client'",
        (EMAIL, ids),
        prepare=True,
    )
    return {
        user_id: Account(user_id=user_id, password_hash=password_hash, state=state, login=login)
        for user_id, password_hash, state, login in await cursor.fetchall()
    }


async def _used(connection: AsyncConnection[Any], ids: list[UUID]) -> dict[UUID, datetime]:
    cursor = await connection.execute(
        "select session_id, rotated_at from refreshes where session_id = any(%s)", (ids,), prepare=True
    )
    return dict(await cursor.fetchall())


async def _sessions(
    connection: AsyncConnection[Any], ids: list[UUID], *, idle: timedelta
) -> dict[UUID, frozenset[UUID]]:
    cursor = await connection.execute(
        "select s.user_id, array_agg(s.session_id) from sessions s where s.user_id = any(%(ids)s) and not s.ended"
        f" and s.expires_at > clock_timestamp() and not {RESTED} group by s.user_id".encode(),
        {"ids": ids, "idle": idle},
        prepare=True,
    )
    return {user_id: frozenset(sessions) for user_id, sessions in await cursor.fetchall()}
