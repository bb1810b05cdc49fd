"""One's own sessions."""

from typing import Protocol
from uuid import UUID

from litestar import Router, get

from api.answers import Answer, Page
from api.auth import caller_of
from api.lists import LIST_PARAMETERS, Lists, Wanted
from api.queries.records import Asked, MinPosition
from projections.conditions import where
from projections.session import LISTING, Session


class Live(Protocol):
    async def sessions(self, user_id: UUID) -> frozenset[UUID]:
        """The sessions a user can act in now."""
        ...


def routes(lists: Lists, live: Live) -> Router:
    @get("/sessions", dependencies=LIST_PARAMETERS)
    async def sessions(request: Asked, wanted: Wanted, at_least: MinPosition = None) -> Answer[Page[Session]]:
        """Your live sessions: device, address, since when."""
        own = await live.sessions(caller_of(request).actor.id)
        scope = where("{column} = any(%s::uuid[])", "id", sorted(own))
        return await lists.page(request, LISTING, wanted, at_least=at_least, scope=scope)

    return Router("/auth", route_handlers=[sessions])
