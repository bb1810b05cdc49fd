"""GET of reference data: okrugs, regions, industries; open to everybody who has signed in."""

from litestar import Router, get

from api.answers import Answer, Page
from api.lists import LIST_PARAMETERS, Lists, Wanted
from api.queries.records import Asked, MinPosition
from projections.reference import LISTINGS, Industry, Okrug, Region


def routes(lists: Lists) -> Router:
    @get("/okrugs", dependencies=LIST_PARAMETERS)
    async def okrugs(request: Asked, wanted: Wanted, at_least: MinPosition = None) -> Answer[Page[Okrug]]:
        """The federal districts of Russia, by code."""
        return await lists.page(request, LISTINGS["okrug"], wanted, at_least=at_least)

    @get("/regions", dependencies=LIST_PARAMETERS)
    async def regions(request: Asked, wanted: Wanted, at_least: MinPosition = None) -> Answer[Page[Region]]:
        """The subjects of the Russian Federation, by the tax service's code."""
        return await lists.page(request, LISTINGS["region"], wanted, at_least=at_least)

    @get("/industries", dependencies=LIST_PARAMETERS)
    async def industries(
        request: Asked, wanted: Wanted, at_least: MinPosition = None
    ) -> Answer[Page[Industry]]:
        """The industries that law 187-FZ names, by code."""
        return await lists.page(request, LISTINGS["industry"], wanted, at_least=at_least)

    return Router("/", route_handlers=[okrugs, regions, industries])
