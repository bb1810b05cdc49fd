"""What the feed of changed permissions stands on: who may act, in which department, and which rights are held."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct
from psycopg import AsyncCursor

from projections.packing import Packed, a_bytes, a_int8, a_uuid

DDL = """
create table {schema}.permission_holder (
  id            uuid primary key,
  role          text collate "C" not null,
  state         text collate "C" not null,
  department_id uuid,
  unique (department_id, id)
);
create table {schema}.permission_past (
  fact      text collate "C",  -- role:<name> or department:<id>: so it was once, or is
  holder_id uuid,
  primary key (fact, holder_id)
);
create table {schema}.permission_right (
  grant_id   uuid primary key,
  subject_id uuid not null,
  scope_type text collate "C" not null,
  scope_id   text collate "C" not null,
  module     text collate "C" not null,
  action     text collate "C" not null,
  not_before timestamptz,
  expires_at timestamptz,
  held       boolean not null,  -- what was taken away stays, for questions about the past
  unique (subject_id, module, action, scope_type, scope_id, grant_id),
  unique (module, action, scope_type, scope_id, subject_id, grant_id)
);
create table {schema}.permission_module (
  id     uuid primary key,
  rights text[] not null
);
create table {schema}.permission_change (
  position   bigint,
  subject_id uuid,
  body       bytea not null,
  primary key (position, subject_id)
);
"""
"""Unique constraints instead of indexes, since the fold itself looks things up: a rebuild makes indexes last."""

TABLES = (
    "permission_change",
    "permission_holder",
    "permission_past",
    "permission_right",
    "permission_module",
)


class Window(Struct, frozen=True, kw_only=True, omit_defaults=True, order=True):
    """A right that a grant gives from `not_before` until just before `expires_at`."""

    scope_type: str
    scope_id: str
    module: str
    action: str
    not_before: datetime | None = None
    expires_at: datetime | None = None

    @property
    def right(self) -> tuple[str, str, str, str]:
        return self.scope_type, self.scope_id, self.module, self.action


class Person(Struct, frozen=True):
    """One who may hold rights: a user, or an API client."""

    id: UUID
    role: str = ""
    state: str = ""
    department_id: UUID | None = None

    @property
    def acting(self) -> str | None:
        """The role, of one who may act."""
        return self.role if self.state == "active" else None


class Held(Struct, frozen=True):
    """A right that is held, by a person or a department."""

    grant_id: UUID
    subject_id: UUID
    window: Window


class Tables:
    """The rows as they are in the middle of a batch."""

    def __init__(self, cursor: AsyncCursor[Any], schema: str) -> None:
        self._cursor, self._schema = cursor, schema

    async def person(self, person_id: UUID) -> Person:
        """Without a role, when nobody has that id yet."""
        rows = await self._rows(
            "select id, role, state, department_id from @permission_holder where id = %s", person_id
        )
        return Person(*rows[0]) if rows else Person(person_id)

    async def put_person(self, person: Person) -> None:
        await self._do(
            "insert into @permission_holder values (%s, %s, %s, %s) on conflict (id) do update set"
            " role = excluded.role, state = excluded.state, department_id = excluded.department_id",
            *(person.id, person.role, person.state, person.department_id),
        )
        facts = [f"role:{person.role}", f"department:{person.department_id}"]
        await self._do(
            "insert into @permission_past select fact, %s from unnest(%s::text[]) as fact on conflict do nothing",
            *(person.id, facts),
        )

    async def administrators(self) -> list[Person]:
        rows = await self._rows(
            "select h.id, h.role, h.state, h.department_id from @permission_past p"
            " join @permission_holder h on h.id = p.holder_id where p.fact = 'role:admin' and h.role = 'admin'"
        )
        return [Person(*row) for row in rows]

    async def held_by(self, *subjects: UUID | None) -> list[Held]:
        rows = await self._rows(
            "select grant_id, subject_id, scope_type, scope_id, module, action, not_before, expires_at"
            " from @permission_right where subject_id = any(%s) and held",
            [each for each in subjects if each is not None],
        )
        return [_held(*row) for row in rows]

    async def right(self, grant_id: UUID) -> Held | None:
        """As it is held, or was last."""
        rows = await self._rows(
            "select grant_id, subject_id, scope_type, scope_id, module, action, not_before, expires_at"
            " from @permission_right where grant_id = %s",
            grant_id,
        )
        return _held(*rows[0]) if rows else None

    async def put_right(self, right: Held) -> None:
        window = right.window
        await self._do(
            "insert into @permission_right values (%s, %s, %s, %s, %s, %s, %s, %s, true)"
            " on conflict (grant_id) do update set not_before = excluded.not_before,"
            " expires_at = excluded.expires_at, held = true",
            *(right.grant_id, right.subject_id, *window.right, window.not_before, window.expires_at),
        )

    async def end_right(self, grant_id: UUID) -> None:
        await self._do("update @permission_right set held = false where grant_id = %s", grant_id)

    async def reached_by(self, right: Held) -> dict[Person, list[Held]]:
        """Whom a grant reaches, himself or as a member, each with everything that gives him the same right."""
        rows = await self._rows(
            "select h.id, h.role, h.state, h.department_id, r.grant_id, r.subject_id,"
            " r.scope_type, r.scope_id, r.module, r.action, r.not_before, r.expires_at"
            " from @permission_holder h left join @permission_right r on r.held"
            " and r.subject_id = any(array[h.id, h.department_id])"
            " and r.scope_type = %s and r.scope_id = %s and r.module = %s and r.action = %s"
            " where h.id = %s or h.department_id = %s",
            *(*right.window.right, right.subject_id, right.subject_id),
        )
        found: dict[Person, list[Held]] = {}
        for row in rows:
            same = found.setdefault(Person(*row[:4]), [])
            if row[4] is not None:
                same.append(_held(*row[4:]))
        return found

    async def foreign(self) -> tuple[str, ...]:
        """Every right to other systems' modules."""
        rows = await self._rows("select unnest(rights) as one from @permission_module order by one")
        return tuple(one for (one,) in rows)

    async def put_module(self, module_id: UUID, rights: tuple[str, ...]) -> tuple[str, ...]:
        """Its rights from now on; answers those it had."""
        rows = await self._rows("select rights from @permission_module where id = %s", module_id)
        await self._do(
            "insert into @permission_module values (%s, %s)"
            " on conflict (id) do update set rights = excluded.rights",
            *(module_id, list(rights)),
        )
        return tuple(rows[0][0]) if rows else ()

    async def write(
        self, positions: Sequence[int], subjects: Sequence[UUID], bodies: Sequence[bytes]
    ) -> None:
        rows: tuple[Packed, ...] = a_int8(positions), a_uuid(subjects), a_bytes(bodies)
        await self._do(
            "insert into @permission_change select * from unnest(%b::bigint[], %b::uuid[], %b::bytea[])",
            *rows,
        )

    async def _rows(self, query: str, *parameters: Any) -> list[Any]:
        await self._do(query, *parameters)
        return await self._cursor.fetchall()

    async def _do(self, query: str, *parameters: Any) -> None:
        await self._cursor.execute(query.replace("@", f"{self._schema}.").encode(), parameters, prepare=True)


def _held(
    grant_id: UUID,
    subject_id: UUID,
    scope_type: str,
    scope_id: str,
    module: str,
    action: str,
    not_before: datetime | None,
    expires_at: datetime | None,
) -> Held:
    window = Window(
        scope_type=scope_type,
        scope_id=scope_id,
        module=module,
        action=action,
        not_before=not_before,
        expires_at=expires_at,
    )
    return Held(grant_id, subject_id, window)
