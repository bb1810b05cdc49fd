"""GET of users; e-mail and phone only for who may view contacts, or for oneself."""

from uuid import UUID

import msgspec
from litestar import Router, get

from api.answers import Answer, Page
from api.auth import caller_of
from api.lists import LIST_PARAMETERS, Lists, Wanted
from api.openapi import problems
from api.problems import NotFound
from api.queries.past import Diff, History, MomentMalformed
from api.queries.records import Asked, AsOf, Clock, From, IfNoneMatch, MinPosition, Records, To
from api.refs import Ref, id_of
from application.access import ANYTHING, Caller, may
from infrastructure.audience import hidden, visible
from projections.user import LISTING, User

VIEW = "user:view"


class _Id(msgspec.Struct, frozen=True):
    id: UUID


_id = msgspec.json.Decoder(_Id)


class UserSight:
    """Implements Sight: everybody knows himself."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def sees(self, caller: Caller, record: bytes) -> bool:
        if may(caller, VIEW, ANYTHING, self._clock()) is not None:
            return True
        return _id.decode(record).id == caller.actor.id

    def hidden(self, caller: Caller, record_id: UUID) -> frozenset[str]:
        return frozenset() if record_id == caller.actor.id else hidden(caller, LISTING, self._clock())


def routes(records: Records, lists: Lists, clock: Clock) -> Router:
    @get("/", dependencies=LIST_PARAMETERS)
    async def users(request: Asked, wanted: Wanted, at_least: MinPosition = None) -> Answer[Page[User]]:
        """The directory: search by name and by department."""
        caller, now = caller_of(request), clock()
        scope, kept = visible(caller, LISTING, now), hidden(caller, LISTING, now)
        return await lists.page(request, LISTING, wanted, at_least=at_least, scope=scope, hidden=kept)

    @get("/{ref:str}", responses=problems(MomentMalformed))
    async def user(
        request: Asked,
        ref: Ref,
        at_least: MinPosition = None,
        if_none_match: IfNoneMatch = None,
        as_of: AsOf = None,
    ) -> Answer[User]:
        """One user, now or as of a moment."""
        return await records.one(
            request, id_of(ref), at_least=at_least, if_none_match=if_none_match, as_of=as_of
        )

    @get("/{ref:str}/history")
    async def user_history(request: Asked, ref: Ref, at_least: MinPosition = None) -> Answer[History]:
        """What happened to the account: who did what, when, and why."""
        return await records.history(request, id_of(ref), at_least=at_least)

    @get("/{ref:str}/diff", responses=problems(MomentMalformed))
    async def user_diff(
        request: Asked, ref: Ref, start: From, end: To, at_least: MinPosition = None
    ) -> Answer[Diff]:
        """What changed between two moments."""
        return await records.diff(request, id_of(ref), start, end, at_least=at_least)

    return Router("/users", route_handlers=[users, user, user_history, user_diff])


PRESENT = "9" * 18
"""A moment that has not come yet, which means now."""


def own_routes(records: Records) -> Router:
    @get("/")
    async def me(
        request: Asked, at_least: MinPosition = None, if_none_match: IfNoneMatch = None
    ) -> Answer[User]:
        """Oneself."""
        himself = caller_of(request).actor.id
        try:
            return await records.one(request, himself, at_least=at_least, if_none_match=if_none_match)
        except NotFound:  # his own token has just made him: only the log knows him yet
            return await records.one(
                request, himself, at_least=at_least, if_none_match=if_none_match, as_of=PRESENT
            )

    return Router("/me", route_handlers=[me])
