"""One's own sessions."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec
from litestar import Router, get
from msgspec import structs

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

    async def last_used(self, session_ids: Collection[UUID]) -> Mapping[UUID, datetime]:
        """When each last got a new access token; one lives for ten minutes, so that is how exact it is."""
        ...


class OwnSession(Session, frozen=True, kw_only=True):
    """One of your sign-ins. `is_current`: the one you are asking in."""

    last_used_at: datetime
    is_current: bool


_decode = msgspec.json.Decoder(Session).decode


def routes(lists: Lists, live: Live) -> Router:
    @get("/sessions", dependencies=LIST_PARAMETERS)
    async def sessions(
        request: Asked, wanted: Wanted, at_least: MinPosition = None
    ) -> Answer[Page[OwnSession]]:
        """Your live sessions, from where and since when; with `show_archived` also those that are over, and why."""
        caller = caller_of(request)
        alive = await live.sessions(caller.actor.id)

        async def complete(rows: Sequence[bytes]) -> list[bytes]:
            found = [_decode(row) for row in rows]
            used = await live.last_used([each.id for each in found])
            return [
                msgspec.json.encode(
                    OwnSession(
                        **structs.asdict(_as_is(each, alive)),
                        last_used_at=max(used.get(each.id, each.created_at), each.proved_at),
                        is_current=each.id == caller.session_id,
                    )
                )
                for each in found
            ]

        own = (
            where("{column} = %s", "user_id", caller.actor.id)
            if wanted.show_archived
            else where("{column} = any(%s::uuid[])", "id", sorted(alive))
        )
        listing = structs.replace(LISTING, view=OwnSession, complete=complete)
        return await lists.page(request, listing, wanted, at_least=at_least, scope=own)

    return Router("/auth", route_handlers=[sessions])


def _as_is(session: Session, alive: Collection[UUID]) -> Session:
    """What ended by time, or by an event of its user, is over although no event of its own says so."""
    return session if session.id in alive else structs.replace(session, state="closed")
