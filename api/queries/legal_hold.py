"""GET of legal holds."""

from uuid import UUID

from litestar import Router, get

from api.answers import Answer, Page
from api.auth import caller_of
from api.lists import LIST_PARAMETERS, Lists, Wanted
from api.queries.past import History
from api.queries.records import Asked, Clock, IfNoneMatch, MinPosition, Records
from api.refs import Ref, id_of
from application.access import ANYTHING, Caller, may
from infrastructure.audience import visible
from projections.legal_hold import LISTING, LegalHold

HOLD = "audit:hold"


class LegalHoldSight:
    """Implements Sight."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def sees(self, caller: Caller, record: bytes) -> bool:  # noqa: ARG002 - one sees all or none
        return may(caller, HOLD, ANYTHING, self._clock()) is not None

    def hidden(self, caller: Caller, record_id: UUID) -> frozenset[str]:  # noqa: ARG002 - the same for all
        return frozenset()


def routes(records: Records, lists: Lists, clock: Clock) -> Router:
    @get("/", dependencies=LIST_PARAMETERS)
    async def legal_holds(
        request: Asked, wanted: Wanted, at_least: MinPosition = None
    ) -> Answer[Page[LegalHold]]:
        """Those in force, newest first: `subject=…`; with `show_archived` also those that were released."""
        scope = visible(caller_of(request), LISTING, clock())
        return await lists.page(request, LISTING, wanted, at_least=at_least, scope=scope)

    @get("/{ref:str}")
    async def legal_hold(
        request: Asked, ref: Ref, at_least: MinPosition = None, if_none_match: IfNoneMatch = None
    ) -> Answer[LegalHold]:
        """One legal hold."""
        return await records.one(request, id_of(ref), at_least=at_least, if_none_match=if_none_match)

    @get("/{ref:str}/history")
    async def legal_hold_history(request: Asked, ref: Ref, at_least: MinPosition = None) -> Answer[History]:
        """Who placed it, who released it, and why."""
        return await records.history(request, id_of(ref), at_least=at_least)

    return Router(
        "/legal-holds", route_handlers=[legal_holds, legal_hold, legal_hold_history], tags=["Legal holds"]
    )
