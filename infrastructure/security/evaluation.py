"""What questions about rights are answered from: the guards for now, the log for any moment."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import UNSET, UnsetType
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from application.access import Right
from application.decision import Known
from application.evaluation import Given, Moment, Wanted
from domain.shared import Event, Principal, Recorded, RightGone, RightHeld
from infrastructure.event_codec import EventCodec
from infrastructure.guards import of_noun
from infrastructure.postgres import GroupRead
from infrastructure.security.callers import RIGHTS, rights_of
from projections.leaf import STORED_COLUMNS, stored_of_row

HEAD = "coalesce((select e.notification_id from stored_events e order by e.notification_id desc limit 1), 0)"

_STANDING = f"""
select asked.id, coalesce(p.role, ''), coalesce(p.state, ''), p.department_id, {RIGHTS}, {HEAD}, clock_timestamp()
from unnest(%s::uuid[]) as asked(id) left join principals p on p.user_id = asked.id
"""

_EVENTS = (
    f"select {STORED_COLUMNS} from stored_events where originator_id = any(%s)"
    " and (%s::bigint is null or notification_id <= %s) order by originator_id, originator_version"
)

# The clock never runs backwards along the log, so the place of an instant is found by halving it.
_AT_INSTANT = f"""
with recursive half(low, high) as (
  select 0::bigint, {HEAD}
  union all
  select case when e.recorded_at <= %(instant)s then m.middle else half.low end,
         case when e.recorded_at <= %(instant)s then half.high else m.middle - 1 end
  from half cross join lateral (select (half.low + half.high + 1) / 2 as middle) m
  join stored_events e on e.notification_id = m.middle where half.low < half.high)
select low, %(instant)s::timestamptz from half
where low = high and low > 0 and %(instant)s <= clock_timestamp()
"""
_AT_POSITION = "select notification_id, recorded_at from stored_events where notification_id = %s"
_AT_EVENT = "select notification_id, recorded_at from stored_events where event_id = %s"

_HOLDERS = """
with wanted as (select * from unnest(%(types)s::text[], %(ids)s::text[]) as w(scope_type, scope_id))
select id from (
  (select g.subject_id as id from wanted w join rights g on g.module = %(module)s and g.action = %(action)s
     and g.scope_type = w.scope_type and g.scope_id = w.scope_id
   where g.subject_kind = %(kind)s and g.subject_id > %(after)s order by 1 limit %(limit)s)
  union
  (select p.user_id from wanted w join rights g on g.module = %(module)s and g.action = %(action)s
     and g.scope_type = w.scope_type and g.scope_id = w.scope_id and g.subject_kind = 'department'
   join principals p on p.department_id = g.subject_id and p.user_id > %(after)s
   where %(kind)s = 'user' order by 1 limit %(limit)s)
  union
  (select p.user_id from principals p where p.role = any(%(roles)s) and p.user_id > %(after)s
   order by 1 limit %(limit)s)
) as found order by id limit %(limit)s
"""
_HOLDERS_ONCE = """
with wanted as (select * from unnest(%(types)s::text[], %(ids)s::text[]) as w(scope_type, scope_id))
select id from (
  (select g.subject_id as id from wanted w join read.permission_right g on g.module = %(module)s
     and g.action = %(action)s and g.scope_type = w.scope_type and g.scope_id = w.scope_id
   where g.subject_id > %(after)s order by 1 limit %(limit)s)
  union
  (select p.holder_id from wanted w join read.permission_right g on g.module = %(module)s
     and g.action = %(action)s and g.scope_type = w.scope_type and g.scope_id = w.scope_id
   join read.permission_past p on p.fact = 'department:' || g.subject_id and p.holder_id > %(after)s
   order by 1 limit %(limit)s)
  union
  (select p.holder_id from read.permission_past p where p.fact = any(%(facts)s) and p.holder_id > %(after)s
   order by 1 limit %(limit)s)
) as found order by id limit %(limit)s
"""
"""The same for whoever was or held it once. What is found is judged one by one."""


class OfEvents:
    """Who somebody was and what he held, as events left it: by the guards that these give, wherever they come from."""

    def __init__(self) -> None:
        self._guards = of_noun()

    def known(
        self, subject: Sequence[Recorded[Event]], grants: Mapping[UUID, Sequence[Recorded[Event]]], at: Moment
    ) -> Known:
        person: dict[str, Any] = {}
        for each in subject:
            for guard in self._of(each):
                if isinstance(guard, Principal):
                    fields = {name: getattr(guard, name) for name in ("role", "state", "department_id")}
                    person |= {name: value for name, value in fields.items() if value is not UNSET}
        rights = (self._right(grant_id, events) for grant_id, events in grants.items())
        return Known(**person, rights=tuple(each for each in rights if each), position=at.position, at=at.at)

    def role(self, subject: Sequence[Recorded[Event]]) -> Given | None:
        given: Given | None = None
        for each in subject:
            for guard in self._of(each):
                if isinstance(guard, Principal) and not isinstance(guard.role, UnsetType):
                    given = Given(
                        name=guard.role,
                        given_by=each.metadata.actor,
                        given_at=each.recorded_at,
                        position=each.position,
                        event_id=each.event_id,
                    )
        return given

    def _right(self, grant_id: UUID, events: Sequence[Recorded[Event]]) -> Right | None:
        held: Right | None = None
        for guard in (guard for each in events for guard in self._of(each)):
            if isinstance(guard, RightHeld):
                held = Right(
                    grant_id=grant_id,
                    scope_type=guard.scope_type,
                    scope_id=guard.scope_id,
                    module=guard.module,
                    action=guard.action,
                    grantable=guard.grantable,
                    not_before=guard.not_before,
                    expires_at=guard.expires_at,
                )
            elif isinstance(guard, RightGone):
                held = None
        return held

    def _of(self, each: Recorded[Event]) -> Sequence[Any]:
        of_noun_ = self._guards.get(each.topic.partition(".")[0])
        return of_noun_(each.stream_id, each.event) if of_noun_ else ()


class Standings(OfEvents):
    """Implements application.evaluation.Source. Its `run` must be at work."""

    def __init__(self, url: str, pool: AsyncConnectionPool[Any], codec: EventCodec) -> None:
        super().__init__()
        self._pool, self._codec = pool, codec
        self._standing = GroupRead(url, _standing, name="chancery evaluation")
        self.run = self._standing.run

    async def standing(self, subject: UUID) -> Known:
        known = await self._standing(subject)
        assert known is not None, "the statement answers for every id"
        return known

    async def events(
        self, streams: Collection[UUID], up_to: int | None
    ) -> Mapping[UUID, Sequence[Recorded[Event]]]:
        found: defaultdict[UUID, list[Recorded[Event]]] = defaultdict(list)
        for row in await self._rows(_EVENTS, (list(streams), up_to, up_to)):
            stored = stored_of_row(row)
            found[stored.stream_id].append(self._codec.decode(stored, {}))
        return found

    async def holders(
        self, wanted: Wanted, at: Moment | None, after: UUID | None, limit: int
    ) -> Sequence[UUID]:
        module, _, action = wanted.right.partition(":")
        parameters: dict[str, Any] = {
            "module": module,
            "action": action,
            "types": [scope_type for scope_type, _ in wanted.scopes],
            "ids": [scope_id for _, scope_id in wanted.scopes],
            "kind": wanted.kind,
            "roles": list(wanted.roles),
            "facts": [f"role:{role}" for role in wanted.roles],
            "after": after or UUID(int=0),
            "limit": limit,
        }
        rows = await self._rows(_HOLDERS if at is None else _HOLDERS_ONCE, parameters)
        return [row[0] for row in rows]

    async def moment(self, as_of: datetime | int | UUID) -> Moment | None:
        """The place of an instant, a position or an event's id; None: before the first event, ahead, or unknown."""
        match as_of:
            case datetime():
                rows = await self._rows(_AT_INSTANT, {"instant": as_of})
            case int():
                rows = await self._rows(_AT_POSITION, (as_of,))
            case UUID():
                rows = await self._rows(_AT_EVENT, (as_of,))
        return Moment(position=rows[0][0], at=rows[0][1]) if rows else None

    async def _rows(self, query: str, parameters: Any) -> list[Any]:
        async with self._pool.connection() as connection:
            cursor = connection.cursor(binary=True)
            await cursor.execute(query.encode(), parameters, prepare=True)
            rows: list[Any] = await cursor.fetchall()
            return rows


async def _standing(connection: AsyncConnection[Any], subjects: list[UUID]) -> dict[UUID, Known]:
    cursor = connection.cursor(binary=True)
    await cursor.execute(_STANDING.encode(), (subjects,), prepare=True)
    return {
        subject: Known(
            role=role,
            state=state,
            department_id=department_id,
            rights=rights_of(held),
            position=position,
            at=now,
        )
        for subject, role, state, department_id, held, position, now in await cursor.fetchall()
    }
