"""GET of grants."""

from uuid import UUID

import msgspec
from litestar import Router, get

from api.answers import Answer, Page
from api.auth import caller_of
from api.lists import LIST_PARAMETERS, Lists, Wanted
from api.openapi import problems
from api.queries.past import Diff, History, MomentMalformed
from api.queries.records import Asked, AsOf, Clock, From, IfNoneMatch, MinPosition, Records, To
from api.refs import Ref, id_of
from application.access import Caller, Resource, may
from infrastructure.audience import visible
from projections.grant import LISTING, Grant

VIEW = "grant:view"


class _Scope(msgspec.Struct, frozen=True):
    scope_type: str
    scope_id: str


_scope = msgspec.json.Decoder(_Scope)


class GrantSight:
    """Implements Sight: a grant is seen by who may view the grants of its scope."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def sees(self, caller: Caller, record: bytes) -> bool:
        if caller.role == "admin":
            return True
        about = _scope.decode(record)
        resource = Resource(scopes=frozenset({(about.scope_type, about.scope_id)}))
        return may(caller, VIEW, resource, self._clock()) is not None

    def hidden(self, caller: Caller, record_id: UUID) -> frozenset[str]:  # noqa: ARG002 - the same for all
        return frozenset()


def routes(records: Records, lists: Lists, clock: Clock) -> Router:
    @get("/", dependencies=LIST_PARAMETERS)
    async def grants(request: Asked, wanted: Wanted, at_least: MinPosition = None) -> Answer[Page[Grant]]:
        """The grants you may view, newest first: `subject=… AND module=contract AND state=active`."""
        scope = visible(caller_of(request), LISTING, clock())
        return await lists.page(request, LISTING, wanted, at_least=at_least, scope=scope)

    @get("/{ref:str}", responses=problems(MomentMalformed))
    async def grant(
        request: Asked,
        ref: Ref,
        at_least: MinPosition = None,
        if_none_match: IfNoneMatch = None,
        as_of: AsOf = None,
    ) -> Answer[Grant]:
        """One grant, now or as of a moment."""
        return await records.one(
            request, id_of(ref), at_least=at_least, if_none_match=if_none_match, as_of=as_of
        )

    @get("/{ref:str}/history")
    async def grant_history(request: Asked, ref: Ref, at_least: MinPosition = None) -> Answer[History]:
        """Who gave it, changed it and took it back, when, and why."""
        return await records.history(request, id_of(ref), at_least=at_least)

    @get("/{ref:str}/diff", responses=problems(MomentMalformed))
    async def grant_diff(
        request: Asked, ref: Ref, start: From, end: To, at_least: MinPosition = None
    ) -> Answer[Diff]:
        """What changed between two moments."""
        return await records.diff(request, id_of(ref), start, end, at_least=at_least)

    return Router("/grants", route_handlers=[grants, grant, grant_history, grant_diff])
