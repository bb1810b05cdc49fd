"""GET of notices, for everybody who has signed in."""

from uuid import UUID

from litestar import Router, get

from api.answers import Answer, Page
from api.lists import LIST_PARAMETERS, Lists, Wanted
from api.queries.past import History
from api.queries.records import Asked, IfNoneMatch, MinPosition, Records
from api.refs import Ref, id_of
from application.access import Caller
from projections.notice import LISTING, Notice


class NoticeSight:
    """Implements Sight: whoever has signed in sees all of it."""

    def sees(self, caller: Caller, record: bytes) -> bool:  # noqa: ARG002 - whoever it is
        return True

    def hidden(self, caller: Caller, record_id: UUID) -> frozenset[str]:  # noqa: ARG002 - nothing, for nobody
        return frozenset()


def routes(records: Records, lists: Lists) -> Router:
    @get("/", dependencies=LIST_PARAMETERS)
    async def notices(request: Asked, wanted: Wanted, at_least: MinPosition = None) -> Answer[Page[Notice]]:
        """What is published, newest first; banners in their order: `filter=kind=banner`, `order_by=order`."""
        return await lists.page(request, LISTING, wanted, at_least=at_least)

    @get("/{ref:str}")
    async def notice(
        request: Asked, ref: Ref, at_least: MinPosition = None, if_none_match: IfNoneMatch = None
    ) -> Answer[Notice]:
        """One notice, withdrawn or not."""
        return await records.one(request, id_of(ref), at_least=at_least, if_none_match=if_none_match)

    @get("/{ref:str}/history")
    async def notice_history(request: Asked, ref: Ref, at_least: MinPosition = None) -> Answer[History]:
        """Who published, changed and withdrew it, from what to what, and why."""
        return await records.history(request, id_of(ref), at_least=at_least)

    return Router("/notices", route_handlers=[notices, notice, notice_history])
