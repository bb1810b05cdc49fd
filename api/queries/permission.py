"""What there is to be allowed, what one is allowed now, and what changed of it for anybody."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Protocol
from uuid import UUID

import msgspec
from litestar import Router, get
from litestar.params import QueryParameter
from msgspec import Struct
from psycopg_pool import AsyncConnectionPool

from api import answers
from api.answers import Answer
from api.auth import caller_of
from api.conditions import PositionUnknown, min_position
from api.openapi import problems
from api.problems import NotFound, ParameterInvalid
from api.queries.records import Asked, Clock, IfNoneMatch, MinPosition, Progress, Read
from application.access import Caller, require
from application.catalogue import OWN, Module
from application.permission import Snapshot, Standing, Window, difference
from domain.shared import Actor
from projections.permission_change import changes, projection

VIEW = "grant:view"
CHANGES, MOST_CHANGES = 100, 1_000

After = Annotated[
    int, QueryParameter(name="after", description="The position from which on changes are asked for.")
]
Limit = Annotated[
    int,
    QueryParameter(
        name="limit",
        description=f"From 1; above {MOST_CHANGES} counts as {MOST_CHANGES}. A position is never split.",
    ),
]


class Permissions(Protocol):
    async def snapshot(self, user_id: UUID) -> Snapshot | None: ...


class Rights(Protocol):
    async def foreign(self) -> Sequence[Module]: ...


class Subject(Struct, frozen=True, kw_only=True):
    type: str
    id: UUID


class Change(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one event changed of one subject's permissions.

    A permission that stands in `removed` or `added` is told whole there: forget what you know of it, keep what `added`
    says. It counts from `not_before` until just before `expires_at`. Both are empty where his role gives it anyway.
    `sub` is what other systems call a user, his own id where no identity provider brought him; `subject.id` is always
    ours. `version` compares with a snapshot's: greater, it is not in there yet. `grant` is the grant that was given,
    changed or ended, his own or his department's; without one his role, state or department changed.
    """

    position: int
    version: int
    event_id: UUID
    topic: str
    recorded_at: datetime
    actor: Actor
    sub: str
    subject: Subject
    grant: UUID | None = None
    added: list[Window]
    removed: list[Window]


class Changes(Struct, frozen=True, kw_only=True):
    """Ascending; ask again with `next_after`, at once if `has_more`."""

    data: list[Change]
    next_after: int
    has_more: bool


class _Kept(Struct, frozen=True, kw_only=True):
    """A change as the read model keeps it."""

    position: int
    event_id: UUID
    topic: str
    recorded_at: datetime
    actor: Actor
    subject: Subject
    grant_id: UUID | None
    before: Standing
    after: Standing


class _User(Struct, frozen=True):
    sub: str


_kept = msgspec.json.Decoder(_Kept)
_known = msgspec.json.Decoder(_User)


class Catalogue(Struct, frozen=True, kw_only=True):
    data: list[Module]


def routes(
    permissions: Permissions,
    rights: Rights,
    progress: Progress,
    users: Read,
    pool: AsyncConnectionPool[Any],
    clock: Clock,
) -> Router:
    @get("/me/permissions/snapshot")
    async def permission_snapshot(
        request: Asked, at_least: MinPosition = None, if_none_match: IfNoneMatch = None
    ) -> Answer[Snapshot]:
        """Everything you may do now. Keep it until `next_change_at` at the latest, and ask with its ETag whether it is
        still so.
        """
        if (position := min_position(at_least)) is not None:
            await progress.written(position)
        caller = caller_of(request)
        found = await permissions.snapshot(caller.actor.id)
        if found is None:
            raise NotFound
        if caller.sub is not None:
            found = msgspec.structs.replace(found, sub=caller.sub)
        same = answers.encode(msgspec.structs.replace(found, position=0))
        return answers.record(
            answers.encode(found), found.version, found.position, if_none_match, identity=same
        )

    @get("/permissions/catalogue")
    async def permission_catalogue(at_least: MinPosition = None) -> Answer[Catalogue]:
        """Every module, its actions, and the scope types they can be granted in: ours, then other systems'."""
        head = await progress.written(min_position(at_least) or 0)
        body = Catalogue(data=[*OWN, *await rights.foreign()])
        return answers.json_answer(body, headers=[(b"x-projection-position", b"%d" % head)])

    @get("/permissions/changes", responses=problems(PositionUnknown))
    async def permission_changes(
        request: Asked, after: After = 0, limit: Limit = CHANGES, at_least: MinPosition = None
    ) -> Answer[Changes]:
        """Every change of anybody's permissions after a position, without a gap, for those who keep snapshots.

        Begin with a snapshot and its `position`, or with 0 and nothing. All changes of one position come in one answer:
        a department's grant changes what each of its members may do. A right that begins or lapses by the clock is told
        when it is given, and its end once more when the log notes it.
        """
        auditor(caller_of(request), clock())
        if after < 0 or limit < 1:
            raise ParameterInvalid("`after` is a position, and `limit` at least 1.")
        await progress.written(after)
        if (position := min_position(at_least)) is not None:
            await progress.reached(projection.name, position)
        async with pool.connection() as connection:
            page = await changes(connection, after, min(limit, MOST_CHANGES))
        await progress.reached(users.name, page.last)
        kept = [_kept.decode(row) for row in page.rows]
        subs = await _subs({each.subject.id for each in kept if each.subject.type == "user"}, users)
        body = Changes(
            data=[_told(each, subs.get(each.subject.id)) for each in kept],
            next_after=page.last,
            has_more=page.has_more,
        )
        return answers.json_answer(body, headers=[(b"x-projection-position", b"%d" % page.reached)])

    return Router("/", route_handlers=[permission_snapshot, permission_catalogue, permission_changes])


def auditor(caller: Caller, now: datetime) -> None:
    """API clients and who may view all grants. Raises Forbidden."""
    if caller.actor.kind != "client":
        require(caller, VIEW, now)


async def _subs(user_ids: set[UUID], users: Read) -> dict[UUID, str]:
    """What other systems call them."""
    found = await asyncio.gather(*map(users, user_ids))
    return {
        user_id: _known.decode(user.view).sub
        for user_id, user in zip(user_ids, found, strict=True)
        if user.version
    }


def _told(kept: _Kept, sub: str | None) -> Change:
    removed, added = difference(kept.before, kept.after)
    return Change(
        position=kept.position,
        version=kept.position,
        event_id=kept.event_id,
        topic=kept.topic,
        recorded_at=kept.recorded_at,
        actor=kept.actor,
        sub=sub or str(kept.subject.id),
        subject=kept.subject,
        grant=kept.grant_id,
        added=added,
        removed=removed,
    )
