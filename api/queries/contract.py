"""GET of contracts."""

from uuid import UUID

import msgspec
from litestar import Router, get

from api.answers import Answer, Page
from api.auth import caller_of
from api.lists import LIST_PARAMETERS, Lists, Wanted
from api.openapi import problems
from api.queries.past import Diff, History, MomentMalformed
from api.queries.records import Asked, AsOf, Clock, From, IfNoneMatch, MinPosition, Records, To
from api.refs import Ref, Refs
from application.access import Caller, Resource, may
from infrastructure.audience import visible
from projections.contract import LISTING, Contract

VIEW = "contract:view"


class _Scope(msgspec.Struct, frozen=True):
    organisation_id: UUID
    account_manager_id: UUID | None


_scope = msgspec.json.Decoder(_Scope)


def resource_of(record: bytes) -> Resource:
    """The contract as scopes see it."""
    about = _scope.decode(record)
    manager_id = about.account_manager_id
    return Resource(
        scopes=frozenset({("organisation", str(about.organisation_id))}),
        responsible_ids=frozenset() if manager_id is None else frozenset({manager_id}),
    )


class ContractSight:
    """Implements Sight."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def sees(self, caller: Caller, record: bytes) -> bool:
        return may(caller, VIEW, resource_of(record), self._clock()) is not None

    def hidden(self, caller: Caller, record_id: UUID) -> frozenset[str]:  # noqa: ARG002 - the same for all
        return frozenset()


def routes(records: Records, lists: Lists, refs: Refs, clock: Clock) -> Router:
    @get("/", dependencies=LIST_PARAMETERS)
    async def contracts(
        request: Asked, wanted: Wanted, at_least: MinPosition = None
    ) -> Answer[Page[Contract]]:
        """The contracts you may view, newest first; `remaining` and `amount` compare as numbers."""
        scope = visible(caller_of(request), LISTING, clock())
        return await lists.page(request, LISTING, wanted, at_least=at_least, scope=scope)

    @get("/{ref:str}", responses=problems(MomentMalformed))
    async def contract(
        request: Asked,
        ref: Ref,
        at_least: MinPosition = None,
        if_none_match: IfNoneMatch = None,
        as_of: AsOf = None,
    ) -> Answer[Contract]:
        """One contract, now or as of a moment."""
        contract_id = await refs.id("contract", ref)
        return await records.one(
            request, contract_id, at_least=at_least, if_none_match=if_none_match, as_of=as_of
        )

    @get("/{ref:str}/history")
    async def contract_history(request: Asked, ref: Ref, at_least: MinPosition = None) -> Answer[History]:
        """Who changed what, when, from where to where, and why."""
        return await records.history(request, await refs.id("contract", ref), at_least=at_least)

    @get("/{ref:str}/diff", responses=problems(MomentMalformed))
    async def contract_diff(
        request: Asked, ref: Ref, start: From, end: To, at_least: MinPosition = None
    ) -> Answer[Diff]:
        """What changed between two moments."""
        return await records.diff(request, await refs.id("contract", ref), start, end, at_least=at_least)

    return Router("/contracts", route_handlers=[contracts, contract, contract_history, contract_diff])
