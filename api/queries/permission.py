"""What there is to be allowed, and what one is allowed now."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import msgspec
from litestar import Router, get
from msgspec import Struct

from api import answers
from api.answers import Answer
from api.auth import caller_of
from api.conditions import min_position
from api.problems import NotFound
from api.queries.records import Asked, IfNoneMatch, MinPosition, Progress
from application.catalogue import OWN, Module
from application.permission import Snapshot


class Permissions(Protocol):
    async def snapshot(self, user_id: UUID) -> Snapshot | None: ...


class Rights(Protocol):
    async def foreign(self) -> Sequence[Module]: ...


class Catalogue(Struct, frozen=True, kw_only=True):
    data: list[Module]


def routes(permissions: Permissions, rights: Rights, progress: Progress) -> Router:
    @get("/me/permissions/snapshot")
    async def permission_snapshot(
        request: Asked, at_least: MinPosition = None, if_none_match: IfNoneMatch = None
    ) -> Answer[Snapshot]:
        """Everything you may do now. Keep it until `next_change_at` at the latest, and ask with its ETag whether it is
        still so.
        """
        if (position := min_position(at_least)) is not None:
            await progress.written(position)
        found = await permissions.snapshot(caller_of(request).actor.id)
        if found is None:
            raise NotFound
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

    return Router("/", route_handlers=[permission_snapshot, permission_catalogue])
