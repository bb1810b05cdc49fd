"""GET of information resources."""

from uuid import UUID

import msgspec
from litestar import Router, get

from api.answers import Answer, Page
from api.auth import caller_of
from api.lists import LIST_PARAMETERS, Lists, Wanted
from api.queries.past import History
from api.queries.records import Asked, Clock, IfNoneMatch, MinPosition, Records
from api.refs import Ref, id_of
from application.access import Caller, Resource, may
from infrastructure.audience import visible
from projections.resource import LISTING
from projections.resource import Resource as ResourceView

VIEW = "resource:view"


class _Scope(msgspec.Struct, frozen=True):
    organisation_id: UUID


_scope = msgspec.json.Decoder(_Scope)


class ResourceSight:
    """Implements Sight."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def sees(self, caller: Caller, record: bytes) -> bool:
        owner_id = _scope.decode(record).organisation_id
        about = Resource(scopes=frozenset({("organisation", str(owner_id))}))
        return may(caller, VIEW, about, self._clock()) is not None

    def hidden(self, caller: Caller, record_id: UUID) -> frozenset[str]:  # noqa: ARG002 - the same for all
        return frozenset()


def routes(records: Records, lists: Lists, clock: Clock) -> Router:
    @get("/", dependencies=LIST_PARAMETERS)
    async def resources(
        request: Asked, wanted: Wanted, at_least: MinPosition = None
    ) -> Answer[Page[ResourceView]]:
        """The information resources you may view, newest first; `regions:77`, `industries:[a,b]`."""
        scope = visible(caller_of(request), LISTING, clock())
        return await lists.page(request, LISTING, wanted, at_least=at_least, scope=scope)

    @get("/{ref:str}")
    async def resource(
        request: Asked, ref: Ref, at_least: MinPosition = None, if_none_match: IfNoneMatch = None
    ) -> Answer[ResourceView]:
        """One information resource."""
        return await records.one(request, id_of(ref), at_least=at_least, if_none_match=if_none_match)

    @get("/{ref:str}/history")
    async def resource_history(request: Asked, ref: Ref, at_least: MinPosition = None) -> Answer[History]:
        """Who changed what, when, from where to where."""
        return await records.history(request, id_of(ref), at_least=at_least)

    return Router("/resources", route_handlers=[resources, resource, resource_history])
