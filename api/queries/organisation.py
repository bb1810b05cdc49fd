"""GET of organisations."""

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
from projections.organisation import LISTING, Organisation

VIEW = "organisation:view"


class _Scope(msgspec.Struct, frozen=True):
    id: UUID
    account_manager_id: UUID | None


_scope = msgspec.json.Decoder(_Scope)


class OrganisationSight:
    """Implements Sight."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def sees(self, caller: Caller, record: bytes) -> bool:
        if caller.role == "admin":
            return True
        about = _scope.decode(record)
        manager_id = about.account_manager_id
        resource = Resource(
            scopes=frozenset({("organisation", str(about.id))}),
            responsible_ids=frozenset() if manager_id is None else frozenset({manager_id}),
        )
        return may(caller, VIEW, resource, self._clock()) is not None

    def hidden(self, caller: Caller, record_id: UUID) -> frozenset[str]:  # noqa: ARG002 - the same for all
        return frozenset()


def routes(records: Records, lists: Lists, clock: Clock) -> Router:
    @get("/", dependencies=LIST_PARAMETERS)
    async def organisations(
        request: Asked, wanted: Wanted, at_least: MinPosition = None
    ) -> Answer[Page[Organisation]]:
        """The organisations you may view, newest first; filter by any field, `name` folds case and marks."""
        scope = visible(caller_of(request), LISTING, clock())
        return await lists.page(request, LISTING, wanted, at_least=at_least, scope=scope)

    @get("/{ref:str}", responses=problems(MomentMalformed))
    async def organisation(
        request: Asked,
        ref: Ref,
        at_least: MinPosition = None,
        if_none_match: IfNoneMatch = None,
        as_of: AsOf = None,
    ) -> Answer[Organisation]:
        """One organisation, now or as of a moment."""
        return await records.one(
            request, id_of(ref), at_least=at_least, if_none_match=if_none_match, as_of=as_of
        )

    @get("/{ref:str}/history")
    async def organisation_history(request: Asked, ref: Ref, at_least: MinPosition = None) -> Answer[History]:
        """Who changed what, when, from where to where, and why."""
        return await records.history(request, id_of(ref), at_least=at_least)

    @get("/{ref:str}/diff", responses=problems(MomentMalformed))
    async def organisation_diff(
        request: Asked, ref: Ref, start: From, end: To, at_least: MinPosition = None
    ) -> Answer[Diff]:
        """What changed between two moments."""
        return await records.diff(request, id_of(ref), start, end, at_least=at_least)

    return Router(
        "/organisations",
        route_handlers=[organisations, organisation, organisation_history, organisation_diff],
    )
