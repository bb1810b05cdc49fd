"""GET of payments."""

from litestar import Router, get

from api.answers import Answer, Page
from api.auth import caller_of
from api.lists import LIST_PARAMETERS, Lists, Wanted
from api.openapi import problems
from api.problems import NotFound
from api.queries.contract import ContractSight, resource_of
from api.queries.records import Asked, Clock, MinPosition, Read, Records
from api.refs import Ref, Refs
from application.access import Forbidden, require
from projections.conditions import where
from projections.payment import LISTING, Payment

PAY = "contract:pay"


def routes(records: Records, contracts: Read, lists: Lists, refs: Refs, clock: Clock) -> Router:
    sight = ContractSight(clock)

    @get("/{ref:str}/payments", dependencies=LIST_PARAMETERS, responses=problems(Forbidden))
    async def payments(
        request: Asked, ref: Ref, wanted: Wanted, at_least: MinPosition = None
    ) -> Answer[Page[Payment]]:
        """What was paid for one contract, newest first, with what was reversed."""
        contract_id, caller = await refs.id("contract", ref), caller_of(request)
        await records.others(at_least, contracts)
        found = await contracts(contract_id)
        if not found.version or not sight.sees(caller, found.view):
            raise NotFound
        require(caller, PAY, clock(), resource_of(found.view))
        of_it = where("{column} = %s", "contract_id", contract_id)
        return await lists.page(request, LISTING, wanted, at_least=at_least, scope=of_it)

    return Router("/contracts", route_handlers=[payments])
