"""GET of users; e-mail and phone only for who may view contacts, or for oneself."""

from typing import Any

import msgspec
from litestar import Router, get

from api.answers import Answer, Page
from api.auth import caller_of
from api.lists import LIST_PARAMETERS, Lists, Wanted, visible
from api.queries.records import AsOf, Asked, IfNoneMatch, MinPosition, Records
from api.refs import id_of
from application.access import ANYTHING, Caller, may
from application.ports import Clock
from projections.user import CONTACTS, LISTING, User

VIEW, VIEW_CONTACTS = "user:view", "user:view_contacts"


def routes(records: Records, lists: Lists, clock: Clock) -> Router:
    def hidden(caller: Caller) -> frozenset[str]:
        return frozenset() if may(caller, VIEW_CONTACTS, ANYTHING, clock()) else CONTACTS

    def show(caller: Caller, body: bytes) -> bytes | None:
        if may(caller, VIEW, ANYTHING, clock()) is None:
            return None
        if not (unseen := hidden(caller)):
            return body
        fields: dict[str, Any] = msgspec.json.decode(body)
        if fields["id"] == str(caller.actor.id):
            return body
        return msgspec.json.encode({name: value for name, value in fields.items() if name not in unseen})

    @get("/", dependencies=LIST_PARAMETERS)
    async def users(request: Asked, wanted: Wanted, at_least: MinPosition = None) -> Answer[Page[User]]:
        """The directory: search by name and by department."""
        caller = caller_of(request)
        scope = visible(caller, VIEW, clock(), {})
        return await lists.page(
            request, LISTING, wanted, at_least=at_least, scope=scope, hidden=hidden(caller)
        )

    @get("/{ref:str}")
    async def user(
        request: Asked,
        ref: str,
        at_least: MinPosition = None,
        if_none_match: IfNoneMatch = None,
        as_of: AsOf = None,
    ) -> Answer[User]:
        """One user, now or as of a moment."""
        return await records.one(
            request, id_of(ref), show, at_least=at_least, if_none_match=if_none_match, as_of=as_of
        )

    @get("/")
    async def me(
        request: Asked, at_least: MinPosition = None, if_none_match: IfNoneMatch = None
    ) -> Answer[User]:
        """Oneself."""
        return await records.one(
            request,
            caller_of(request).actor.id,
            lambda _, body: body,
            at_least=at_least,
            if_none_match=if_none_match,
            as_of=None,
        )

    return Router(
        "/",
        route_handlers=[Router("/users", route_handlers=[users, user]), Router("/me", route_handlers=[me])],
    )
