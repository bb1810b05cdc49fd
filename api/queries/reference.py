"""GET of reference data: okrugs, regions, industries, postal codes; open to everybody who has signed in."""

from typing import Annotated

from litestar import Router, get
from litestar.params import QueryParameter

from api.answers import Answer, Page
from api.lists import LIST_PARAMETERS, Lists, Wanted
from api.queries.records import Asked, MinPosition
from projections.address import LISTING as ADDRESSES
from projections.address import Address
from projections.conditions import where
from projections.reference import LISTINGS, Industry, Okrug, Region

PostalIndex = Annotated[
    str | None, QueryParameter(name="index", description="Only this postal code.", max_length=20)
]


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

    @get("/addresses", dependencies=LIST_PARAMETERS)
    async def addresses(
        request: Asked, wanted: Wanted, index: PostalIndex = None, at_least: MinPosition = None
    ) -> Answer[Page[Address]]:
        """Postal codes by code: where each lies. Those that have left the postal index are archived."""
        one = None if index is None else where("{column} = %s", "code", index)
        return await lists.page(request, ADDRESSES, wanted, at_least=at_least, scope=one)

    return Router("/", route_handlers=[okrugs, regions, industries, addresses])
