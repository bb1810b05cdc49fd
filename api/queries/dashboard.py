"""GET of dashboards: counts that carry the filter each stands for."""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from litestar import Router, get
from litestar.params import FromPath
from msgspec import Struct

from api.answers import Answer, json_answer
from api.auth import caller_of
from api.lists import Lists
from api.problems import NotFound
from api.queries.records import Asked, Clock, MinPosition
from infrastructure.audience import audience_of, visible
from projections import lists as counted
from projections.dashboards import DASHBOARDS, TILES
from projections.lists import Listing

API = "/api/v1"


class Count(Struct, frozen=True, kw_only=True):
    """So many records of `list` are found by `filter`: asked there by the same caller, it gives that total."""

    name: str
    list: str
    filter: str
    count: int


class Dashboard(Struct, frozen=True, kw_only=True):
    name: str
    data: list[Count]


def routes(lists: Lists, listings: Mapping[str, Listing], zone: ZoneInfo, clock: Clock) -> Router:
    @get("/{name:str}")
    async def dashboard(
        request: Asked, name: FromPath[str], at_least: MinPosition = None
    ) -> Answer[Dashboard]:
        """What there is to do, of what you may view: `contracts`, `mine`, a department's, or one count alone."""
        caller, now = caller_of(request), clock()
        tiles = {each: TILES[each] for each in DASHBOARDS.get(name, ())}
        if not tiles:
            raise NotFound(f"There is no such dashboard; there are {', '.join(DASHBOARDS)}.")
        today = now.astimezone(zone).date()
        asked = [
            counted.Asked(
                listing=listings[tile.list],
                filter=tile.asked(caller.actor.id, today),
                scope=visible(caller, listings[tile.list], now),
            )
            for tile in tiles.values()
        ]
        position, found = await lists.counts(asked, at_least=at_least)
        shown = [
            Count(
                name=each,
                list=f"{API}/{audience_of(one.listing).path}",
                filter=one.filter,
                count=count,
            )
            for each, one, count in zip(tiles, asked, found, strict=True)
        ]
        body = Dashboard(name=name, data=shown)
        return json_answer(body, headers=[(b"x-projection-position", b"%d" % position)])

    return Router("/dashboards", route_handlers=[dashboard], tags=["Dashboards"])
