"""GET of contacts: all that one may view, one organisation's, one."""

from uuid import UUID

import msgspec
from litestar import Router, get

from api.answers import Answer, Page
from api.auth import caller_of
from api.lists import LIST_PARAMETERS, Lists, Wanted
from api.openapi import problems
from api.problems import NotFound
from api.queries.organisation import OrganisationSight
from api.queries.past import Diff, History, MomentMalformed
from api.queries.records import Asked, AsOf, Clock, From, IfNoneMatch, MinPosition, Read, Records, To
from api.refs import Ref, id_of
from application.access import Caller, Resource, may
from infrastructure.audience import visible
from projections.conditions import where
from projections.contact import LISTING, Contact

VIEW = "organisation:view"


class _Scope(msgspec.Struct, frozen=True):
    organisation_id: UUID
    responsible_id: UUID | None


_scope = msgspec.json.Decoder(_Scope)


class ContactSight:
    """Implements Sight."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def sees(self, caller: Caller, record: bytes) -> bool:
        about = _scope.decode(record)
        resource = Resource(
            scopes=frozenset({("organisation", str(about.organisation_id))}),
            responsible_ids=frozenset()
            if about.responsible_id is None
            else frozenset({about.responsible_id}),
        )
        return may(caller, VIEW, resource, self._clock()) is not None

    def hidden(self, caller: Caller, record_id: UUID) -> frozenset[str]:  # noqa: ARG002 - the same for all
        return frozenset()


def routes(records: Records, organisations: Read, lists: Lists, clock: Clock) -> list[Router]:
    sight = OrganisationSight(clock)

    @get("/", dependencies=LIST_PARAMETERS)
    async def contacts(request: Asked, wanted: Wanted, at_least: MinPosition = None) -> Answer[Page[Contact]]:
        """The contacts you may view, newest first."""
        scope = visible(caller_of(request), LISTING, clock())
        return await lists.page(request, LISTING, wanted, at_least=at_least, scope=scope)

    @get("/{ref:str}", responses=problems(MomentMalformed))
    async def contact(
        request: Asked,
        ref: Ref,
        at_least: MinPosition = None,
        if_none_match: IfNoneMatch = None,
        as_of: AsOf = None,
    ) -> Answer[Contact]:
        """One contact, now or as of a moment."""
        return await records.one(
            request, id_of(ref), at_least=at_least, if_none_match=if_none_match, as_of=as_of
        )

    @get("/{ref:str}/history")
    async def contact_history(request: Asked, ref: Ref, at_least: MinPosition = None) -> Answer[History]:
        """Who changed what, when, from where to where."""
        return await records.history(request, id_of(ref), at_least=at_least)

    @get("/{ref:str}/diff", responses=problems(MomentMalformed))
    async def contact_diff(
        request: Asked, ref: Ref, start: From, end: To, at_least: MinPosition = None
    ) -> Answer[Diff]:
        """What changed between two moments."""
        return await records.diff(request, id_of(ref), start, end, at_least=at_least)

    @get("/{ref:str}/contacts", dependencies=LIST_PARAMETERS)
    async def contacts_of(
        request: Asked, ref: Ref, wanted: Wanted, at_least: MinPosition = None
    ) -> Answer[Page[Contact]]:
        """One organisation's contacts."""
        organisation_id, caller = id_of(ref), caller_of(request)
        await records.others(at_least, organisations)
        found = await organisations(organisation_id)
        if not found.version or not sight.sees(caller, found.view):
            raise NotFound
        of_it = where("{column} = %s", "organisation_id", organisation_id)
        return await lists.page(request, LISTING, wanted, at_least=at_least, scope=of_it)

    return [
        Router("/contacts", route_handlers=[contacts, contact, contact_history, contact_diff]),
        Router("/organisations", route_handlers=[contacts_of]),
    ]
