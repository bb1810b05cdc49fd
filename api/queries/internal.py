"""What other systems' back ends ask of people as an issuer calls them."""

from typing import Annotated, Protocol
from uuid import UUID

import msgspec
from litestar import Router, get
from litestar.params import FromPath, QueryParameter

from api import answers
from api.answers import Answer
from api.arrival import SLASH
from api.conditions import min_position
from api.openapi import problems
from api.queries.permission import Permissions
from api.queries.records import Asked, IfNoneMatch, MinPosition, Progress
from application.permission import Snapshot
from domain.user.refusals import UserNotFound

IssuerName = Annotated[
    str | None,
    QueryParameter(name="issuer", description="As in its tokens; without one: the first configured issuer."),
]


class People(Protocol):
    async def known(self, sub: str, issuer: str | None) -> UUID:
        """Raises UserNotFound."""
        ...


def routes(permissions: Permissions, people: People, progress: Progress) -> Router:
    @get("/permissions/{sub:str}/snapshot", responses=problems(UserNotFound))
    async def permission_snapshot_by_sub(
        request: Asked,  # noqa: ARG001 - every read has it
        sub: FromPath[str],
        issuer: IssuerName = None,
        at_least: MinPosition = None,
        if_none_match: IfNoneMatch = None,
    ) -> Answer[Snapshot]:
        """Everything this person may do now, as `/me/permissions/snapshot`. `sub` is %-encoded; an own user's id will
        do, too.
        """
        if (position := min_position(at_least)) is not None:
            await progress.written(position)
        named = sub.replace(SLASH, "/")
        found = await permissions.snapshot(await people.known(named, issuer))
        if found is None:
            raise UserNotFound("No user has this subject with that issuer.")
        found = msgspec.structs.replace(found, sub=named)
        same = answers.encode(msgspec.structs.replace(found, position=0))
        return answers.record(
            answers.encode(found), found.version, found.position, if_none_match, identity=same
        )

    return Router("/internal", route_handlers=[permission_snapshot_by_sub])
