"""GET of departments."""

from uuid import UUID

import msgspec
from litestar import Router, get

from api.answers import Answer, Page
from api.auth import caller_of
from api.lists import LIST_PARAMETERS, Lists, Wanted
from api.queries.past import History
from api.queries.records import Asked, Clock, IfNoneMatch, MinPosition, Records
from api.refs import Ref, Refs
from application.access import Caller, Resource, may
from infrastructure.audience import visible
from projections.department import LISTING, Department

VIEW = "department:view"


class _Id(msgspec.Struct, frozen=True):
    id: UUID


_id = msgspec.json.Decoder(_Id)


class DepartmentSight:
    """Implements Sight."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def sees(self, caller: Caller, record: bytes) -> bool:
        resource = Resource(scopes=frozenset({("department", str(_id.decode(record).id))}))
        return may(caller, VIEW, resource, self._clock()) is not None

    def hidden(self, caller: Caller, record_id: UUID) -> frozenset[str]:  # noqa: ARG002 - the same for all
        return frozenset()


def routes(records: Records, lists: Lists, refs: Refs, clock: Clock) -> Router:
    @get("/", dependencies=LIST_PARAMETERS)
    async def departments(
        request: Asked, wanted: Wanted, at_least: MinPosition = None
    ) -> Answer[Page[Department]]:
        """Departments that are open; archived ones with `show_archived=true`."""
        scope = visible(caller_of(request), LISTING, clock())
        return await lists.page(request, LISTING, wanted, at_least=at_least, scope=scope)

    @get("/{ref:str}")
    async def department(
        request: Asked, ref: Ref, at_least: MinPosition = None, if_none_match: IfNoneMatch = None
    ) -> Answer[Department]:
        """One department, by its id or custom id."""
        department_id = await refs.id("department", ref)
        return await records.one(request, department_id, at_least=at_least, if_none_match=if_none_match)

    @get("/{ref:str}/history")
    async def department_history(request: Asked, ref: Ref, at_least: MinPosition = None) -> Answer[History]:
        """Who changed what, when, from where to where, and why."""
        return await records.history(request, await refs.id("department", ref), at_least=at_least)

    return Router(
        "/departments", route_handlers=[departments, department, department_history], tags=["Departments"]
    )
