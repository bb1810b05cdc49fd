"""GET of API clients, for administrators."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from litestar import Router, get
from msgspec import Struct, structs

from api.answers import Answer, Page
from api.auth import caller_of
from api.lists import LIST_PARAMETERS, Lists, Wanted
from api.queries.past import History, Past
from api.queries.records import Asked, Clock, Found, IfNoneMatch, MinPosition, Progress, Read, Records
from api.refs import Ref, id_of
from application.access import Caller, require
from projections.api_client import LISTING, UsedApiClient, with_use

VIEW = "api_client:view"


class Uses(Protocol):
    async def last_used(self, client_ids: Sequence[UUID]) -> Mapping[UUID, datetime]: ...


class _Completed(Struct, frozen=True):
    """Implements Found."""

    version: int
    view: bytes
    position: int


class WithUse:
    """Implements Read: the record, and when the client asked last."""

    def __init__(self, read: Read, uses: Uses) -> None:
        self._read, self._uses = read, uses
        self.name = read.name

    async def __call__(self, record_id: UUID) -> Found:
        found = await self._read(record_id)
        if not found.version:
            return found
        (view,) = await self.complete([found.view])
        return _Completed(found.version, view, found.position)

    async def complete(self, rows: Sequence[bytes]) -> list[bytes]:
        return await with_use(rows, self._uses.last_used)


class ApiClientSight:
    """Implements Sight: who comes that far is an administrator."""

    def sees(self, caller: Caller, record: bytes) -> bool:  # noqa: ARG002 - the routes have asked
        return True

    def hidden(self, caller: Caller, record_id: UUID) -> frozenset[str]:  # noqa: ARG002 - nothing is
        return frozenset()


def routes(used: WithUse, progress: Progress, past: Past, lists: Lists, clock: Clock) -> Router:
    records = Records(used, progress, past, ApiClientSight())

    @get("/", dependencies=LIST_PARAMETERS)
    async def api_clients(
        request: Asked, wanted: Wanted, at_least: MinPosition = None
    ) -> Answer[Page[UsedApiClient]]:
        """The API clients, newest first, with the minute each asked last; its keys are never shown again."""
        require(caller_of(request), VIEW, clock())
        listing = structs.replace(LISTING, complete=used.complete)
        return await lists.page(request, listing, wanted, at_least=at_least)

    @get("/{ref:str}")
    async def api_client(
        request: Asked, ref: Ref, at_least: MinPosition = None, if_none_match: IfNoneMatch = None
    ) -> Answer[UsedApiClient]:
        """One API client."""
        require(caller_of(request), VIEW, clock())
        return await records.one(request, id_of(ref), at_least=at_least, if_none_match=if_none_match)

    @get("/{ref:str}/history")
    async def api_client_history(request: Asked, ref: Ref, at_least: MinPosition = None) -> Answer[History]:
        """Who registered it, changed its terms, gave it keys, kept it out, and when."""
        require(caller_of(request), VIEW, clock())
        return await records.history(request, id_of(ref), at_least=at_least)

    return Router("/api-clients", route_handlers=[api_clients, api_client, api_client_history])
