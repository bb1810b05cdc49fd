"""What each event changed of what people and API clients may do: the feed for whoever keeps snapshots.

It follows the guards that events give, the same that commands are judged by. What a role holds is not written here but
added when the feed is read.
"""

import pkgutil
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from importlib import import_module
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct, structs
from psycopg import AsyncConnection, AsyncCursor

import domain
from domain.module.guards import ACTION
from domain.shared import Actor, Claim, Event, Guard, Principal, Recorded, RightGone, RightHeld, Stored
from projections.permission_tables import DDL, TABLES, Held, Person, Tables, Window
from projections.projection import Batch


class Standing(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the rights of one who may act follow from, as far as a change is about it.

    `foreign`: rights to other systems' modules, which an administrator has. Without a role: he may not act.
    """

    role: str | None = None
    foreign: tuple[str, ...] = ()
    windows: tuple[Window, ...] = ()


class Holder(Struct, frozen=True, kw_only=True):
    """One who may hold rights; `type` is `user` or `client`."""

    type: str
    id: UUID


class PermissionChange(Struct, frozen=True, kw_only=True):
    """One holder before and after one event. `grant_id`: the grant it is about, also when a department holds it."""

    position: int
    event_id: UUID
    topic: str
    recorded_at: datetime
    actor: Actor
    subject: Holder
    grant_id: UUID | None
    before: Standing
    after: Standing


class Page(Struct, frozen=True, kw_only=True):
    """Changes in the order of the log, always all of a position; `reached`: how far the read model was."""

    rows: tuple[bytes, ...]
    last: int
    has_more: bool
    reached: int


Guards = Callable[[UUID, Any], tuple[Guard, ...]]
_encode = msgspec.json.Encoder(order="deterministic").encode


class PermissionChanges:
    """Event by event, since each stands on what the one before it left, and they are few."""

    name = "permission_change"
    version = 1
    halts = "whoever keeps snapshots would go on granting what was taken away"
    tables = TABLES

    def __init__(self) -> None:
        self._guards = _of_nouns()

    def ddl(self, schema: str) -> str:
        return DDL.format(schema=schema)

    def takes(self, stored: Stored) -> bool:
        return stored.topic.partition(".")[0] in self._guards

    async def apply(self, cursor: AsyncCursor[Any], schema: str, batch: Batch) -> None:
        tables, found = Tables(cursor, schema), list[PermissionChange]()
        for recorded in batch:
            if isinstance(recorded, Recorded) and self.takes(recorded):
                guards = self._guards[recorded.topic.partition(".")[0]]
                for guard in guards(recorded.stream_id, recorded.event):
                    found += await _taken(tables, recorded, guard)
        if found:
            await tables.write(
                [each.position for each in found],
                [each.subject.id for each in found],
                [_encode(each) for each in found],
            )


async def changes(connection: AsyncConnection[Any], after: int, limit: int) -> Page:
    """The changes that follow position `after`: about `limit`, more where a department's members share a position."""
    cursor = connection.cursor(binary=True)
    await cursor.execute(_PAGE, {"after": after, "limit": limit}, prepare=True)
    rows = await cursor.fetchall()
    reached, last = rows[0][0], rows[0][1]
    return Page(
        rows=tuple(body for *_, body in rows if body is not None),
        last=max(after, reached) if last is None else last,
        has_more=last is not None and last < reached,
        reached=reached,
    )


_PAGE = b"""
with now as (select coalesce(max(position), 0) as position from projections
               where name = 'permission_change' and place = 'read'),
     last as (select position from read.permission_change where position > %(after)s
                order by position, subject_id offset %(limit)s - 1 limit 1)
select now.position, last.position, c.body
from now left join last on true
left join read.permission_change c on c.position > %(after)s and c.position <= coalesce(last.position, now.position)
order by c.position, c.subject_id
"""


async def _taken(tables: Tables, recorded: Recorded[Event], guard: Guard) -> list[PermissionChange]:
    match guard:
        case Principal():
            return await _principal(tables, recorded, guard)
        case RightHeld():
            window = msgspec.convert(guard, Window, from_attributes=True)
            right = Held(recorded.stream_id, guard.subject_id, window)
            reached = await tables.reached_by(right)
            await tables.put_right(right)
            return _of_grant(recorded, reached, right, await _foreign(tables, *reached))
        case RightGone():
            if (gone := await tables.right(recorded.stream_id)) is None:
                return []
            reached = await tables.reached_by(gone)
            await tables.end_right(gone.grant_id)
            return _of_grant(recorded, reached, None, await _foreign(tables, *reached))
        case Claim(kind=kind) if kind == ACTION:
            return await _module(tables, recorded, guard.values)
        case _:
            return []


async def _principal(tables: Tables, recorded: Recorded[Event], guard: Principal) -> list[PermissionChange]:
    before = await tables.person(recorded.stream_id)
    given = {name: getattr(guard, name) for name in ("role", "state", "department_id")}
    after = structs.replace(before, **{name: value for name, value in given.items() if value is not UNSET})
    if after == before:
        return []
    await tables.put_person(after)
    held = await tables.held_by(after.id, before.department_id, after.department_id)
    foreign = await _foreign(tables, before, after)
    was, now = (
        _standing(
            each, [one.window for one in held if one.subject_id in (each.id, each.department_id)], foreign
        )
        for each in (before, after)
    )
    return _changed(recorded, after, was, now)


async def _module(
    tables: Tables, recorded: Recorded[Event], rights: tuple[str, ...]
) -> list[PermissionChange]:
    """Other lists of another system's module: administrators have what is in them."""
    before = await tables.put_module(recorded.stream_id, rights)
    found: list[PermissionChange] = []
    for each in await tables.administrators():
        windows = [one.window for one in await tables.held_by(each.id, each.department_id)]
        was, now = (_standing(each, windows, foreign) for foreign in (before, rights))
        found += _changed(recorded, each, was, now)
    return found


def _of_grant(
    recorded: Recorded[Event],
    reached: Mapping[Person, list[Held]],
    right: Held | None,
    foreign: tuple[str, ...],
) -> list[PermissionChange]:
    """Each whom it reaches, before and after the grant became this, or nothing."""
    found: list[PermissionChange] = []
    for person, rights in reached.items():
        others = [each for each in rights if each.grant_id != recorded.stream_id]
        was, now = (
            _standing(person, [one.window for one in held], foreign)
            for held in (rights, [*others, right] if right else others)
        )
        found += _changed(recorded, person, was, now, grant_id=recorded.stream_id)
    return found


async def _foreign(tables: Tables, *people: Person) -> tuple[str, ...]:
    return await tables.foreign() if any(each.role == "admin" for each in people) else ()


def _standing(person: Person, windows: Iterable[Window], foreign: tuple[str, ...]) -> Standing:
    if person.acting is None:
        return Standing()
    return Standing(
        role=person.acting,
        foreign=foreign if person.acting == "admin" else (),
        windows=tuple(sorted(set(windows), key=_order)),
    )


def _order(window: Window) -> tuple[Any, ...]:
    return window.right, str(window.not_before), str(window.expires_at)


def _changed(
    recorded: Recorded[Event], person: Person, was: Standing, now: Standing, *, grant_id: UUID | None = None
) -> list[PermissionChange]:
    """At most one. A right that is as it was is left out, unless a role that changed may give it too."""
    if was == now:
        return []
    earlier, later = _by_right(was), _by_right(now)
    same = {right for right, windows in earlier.items() if later.get(right) == windows}
    if (was.role, was.foreign) != (now.role, now.foreign):
        same = {right for right in same if right[0] != "global"}
    before, after = (
        structs.replace(side, windows=tuple(each for each in side.windows if each.right not in same))
        for side in (was, now)
    )
    return [
        PermissionChange(
            position=recorded.position,
            event_id=recorded.event_id,
            topic=recorded.topic,
            recorded_at=recorded.recorded_at,
            actor=recorded.metadata.actor,
            subject=Holder(type="client" if person.role == "client" else "user", id=person.id),
            grant_id=grant_id,
            before=before,
            after=after,
        )
    ]


def _by_right(standing: Standing) -> dict[tuple[str, ...], list[Window]]:
    found: dict[tuple[str, ...], list[Window]] = {}
    for window in standing.windows:
        found.setdefault(window.right, []).append(window)
    return found


def _of_nouns() -> dict[str, Guards]:
    """Noun to its guards function, of the nouns that say who may act and what is held."""
    found: dict[str, Guards] = {}
    for package in pkgutil.iter_modules(domain.__path__):
        if package.ispkg and (module := _guards_of(package.name)) is not None:
            names = vars(module).keys()
            if names & {Principal.__name__, RightHeld.__name__, "ACTION"}:
                found[package.name] = module.guards
    return found


def _guards_of(noun: str) -> Any:
    package = import_module(f"domain.{noun}")
    known = any(module.name == "guards" for module in pkgutil.iter_modules(package.__path__))
    return import_module(f"domain.{noun}.guards") if known else None


projection = PermissionChanges()
