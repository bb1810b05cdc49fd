"""GET of organisations."""

from uuid import UUID

import msgspec
from litestar import Router, get

from api.answers import Answer, Page
from api.auth import caller_of
from api.lists import LIST_PARAMETERS, Lists, Wanted, visible
from api.openapi import problems
from api.queries.past import Diff, History
from api.queries.records import AsOf, Asked, From, IfNoneMatch, MinPosition, Records, To
from api.refs import id_of
from application.access import Caller, Resource, may
from application.ports import Clock
from domain.organisation.aggregate import OrganisationUnknown
from projections.organisation import LISTING, Organisation

VIEW = "organisation:view"


class _Scope(msgspec.Struct, frozen=True):
    id: UUID
    account_manager_id: UUID | None


_scope = msgspec.json.Decoder(_Scope)


def routes(records: Records, lists: Lists, clock: Clock) -> Router:
    def show(caller: Caller, body: bytes) -> bytes | None:
        if caller.role == "admin":
            return body
        about = _scope.decode(body)
        responsible = (
            frozenset[UUID]() if about.account_manager_id is None else frozenset({about.account_manager_id})
        )
        resource = Resource(scopes=frozenset({("organisation", str(about.id))}), responsible_ids=responsible)
        return body if may(caller, VIEW, resource, clock()) else None

    @get("/", dependencies=LIST_PARAMETERS)
    async def organisations(
        request: Asked, wanted: Wanted, at_least: MinPosition = None
    ) -> Answer[Page[Organisation]]:
        """The organisations you may view, newest first; filter by any field, `name` folds case and marks."""
        scope = visible(
            caller_of(request), VIEW, clock(), {"organisation": "id", "own": "account_manager_id"}
        )
        return await lists.page(request, LISTING, wanted, at_least=at_least, scope=scope)

    @get("/{ref:str}", responses=problems(OrganisationUnknown))
    async def organisation(
        request: Asked,
        ref: str,
        at_least: MinPosition = None,
        if_none_match: IfNoneMatch = None,
        as_of: AsOf = None,
    ) -> Answer[Organisation]:
        """One organisation, now or as of a moment."""
        return await records.one(
            request, id_of(ref), show, at_least=at_least, if_none_match=if_none_match, as_of=as_of
        )

    @get("/{ref:str}/history")
    async def organisation_history(request: Asked, ref: str) -> Answer[History]:
        """Who changed what, when, from where to where, and why."""
        return await records.history(request, id_of(ref), show)

    @get("/{ref:str}/diff")
    async def organisation_diff(request: Asked, ref: str, start: From, end: To) -> Answer[Diff]:
        """What changed between two moments."""
        return await records.diff(request, id_of(ref), show, start, end)

    return Router(
        "/organisations",
        route_handlers=[organisations, organisation, organisation_history, organisation_diff],
    )
