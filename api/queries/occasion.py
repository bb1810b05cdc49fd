"""GET of occasions: one, its history, the list, and a calendar that others subscribe to."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any, Protocol
from uuid import UUID

import msgspec
from litestar import Router, get
from psycopg import sql
from psycopg_pool import AsyncConnectionPool

from api.answers import Answer, Header, Page
from api.auth import caller_of
from api.calendar import calendar
from api.conditions import min_position
from api.lists import LIST_PARAMETERS, Filter, Lists, Wanted
from api.queries.file import holds
from api.queries.past import History
from api.queries.records import Asked, Clock, IfNoneMatch, MinPosition, Progress, Records
from api.refs import Ref, id_of
from application.access import Caller, Resource, may
from application.ports import Claims
from domain.contract.guards import OCCASION
from domain.contract.occasion import tells_of
from domain.shared import Event, Recorded
from infrastructure.audience import visible
from projections.conditions import every, where
from projections.lists import ListQuery, whole
from projections.occasion import LISTING, OCCASIONS, Occasion

VIEW = "occasion:view"
LOOK_BACK = timedelta(days=366)
MOST = 2_000
"""Occasions in a calendar: those that begin last."""


class _Scope(msgspec.Struct, frozen=True):
    organisation_id: UUID
    assigned_to: UUID | None


_scope = msgspec.json.Decoder(_Scope)


class OccasionSight:
    """Implements Sight."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def sees(self, caller: Caller, record: bytes) -> bool:
        found = _scope.decode(record)
        about = Resource(
            scopes=frozenset({("organisation", str(found.organisation_id))}),
            responsible_ids=frozenset() if found.assigned_to is None else frozenset({found.assigned_to}),
        )
        return may(caller, VIEW, about, self._clock()) is not None

    def hidden(self, caller: Caller, record_id: UUID) -> frozenset[str]:  # noqa: ARG002 - the same for all
        return frozenset()


class Streams(Protocol):
    async def recorded(self, stream_id: UUID) -> Sequence[Recorded[Event]]: ...


class OccasionStreams:
    """What happened to an occasion, out of its contract's stream; it is asked for by its own id."""

    def __init__(self, streams: Streams, claims: Claims) -> None:
        self._streams, self._claims = streams, claims

    async def recorded(self, stream_id: UUID) -> Sequence[Recorded[Event]]:
        contract_id = await self._claims.owner(OCCASION, str(stream_id))
        past = () if contract_id is None else await self._streams.recorded(contract_id)
        return [each for each in past if tells_of(stream_id, each.event)]


def routes(
    records: Records,
    lists: Lists,
    pool: AsyncConnectionPool[Any],
    progress: Progress,
    known: Callable[[str], int],
    url: str,
    clock: Clock,
) -> Router:
    @get("/occasions", dependencies=LIST_PARAMETERS)
    async def occasions(
        request: Asked, wanted: Wanted, at_least: MinPosition = None
    ) -> Answer[Page[Occasion]]:
        """The occasions you may view, newest first; without support: `assigned_to=null`."""
        scope = visible(caller_of(request), LISTING, clock())
        return await lists.page(request, LISTING, wanted, at_least=at_least, scope=scope)

    @get("/occasions/{ref:str}")
    async def occasion(
        request: Asked, ref: Ref, at_least: MinPosition = None, if_none_match: IfNoneMatch = None
    ) -> Answer[Occasion]:
        """One occasion."""
        return await records.one(request, id_of(ref), at_least=at_least, if_none_match=if_none_match)

    @get("/occasions/{ref:str}/history")
    async def occasion_history(request: Asked, ref: Ref, at_least: MinPosition = None) -> Answer[History]:
        """Who added, changed, assigned and withdrew it, when, from where to where."""
        return await records.history(request, id_of(ref), at_least=at_least)

    @get("/occasions.ics", media_type="text/calendar")
    async def occasion_calendar(
        request: Asked,
        filter_: Filter = "",
        at_least: MinPosition = None,
        if_none_match: IfNoneMatch = None,
    ) -> Answer[bytes]:
        """The occasions you may view as iCalendar (RFC 5545): of the last year and to come, withdrawn ones, too."""
        if (position := min_position(at_least)) is not None:
            await progress.reached(LISTING.name, position)
        now, at = clock(), known(LISTING.name)
        recent = where("{column} > %s", "ends_at", now - LOOK_BACK)
        scope = visible(caller_of(request), LISTING, now)
        query = ListQuery(filter=filter_, order_by="starts_at desc", show_archived=True)
        select = whole(LISTING, query, scope=every(filter(None, (recent, scope))))
        async with pool.connection() as connection:
            limited = sql.SQL("{} limit {}").format(select.sql, sql.Literal(MOST))
            cursor = await connection.execute(limited.as_bytes(None), select.parameters, prepare=False)
            found = [OCCASIONS.decode(view) for (view,) in await cursor.fetchall()]
        body = calendar(found, url)
        tag = f'"{sha256(body).hexdigest()[:32]}"'
        headers: list[Header] = [
            (b"etag", tag.encode()),
            (b"cache-control", b"private, no-cache"),
            (b"x-projection-position", b"%d" % at),
        ]
        if if_none_match is not None and holds(if_none_match, tag):
            return Answer(304, b"", headers)
        return Answer(200, body, [*headers, (b"content-type", b"text/calendar; charset=utf-8")])

    return Router("/", route_handlers=[occasions, occasion, occasion_history, occasion_calendar])
