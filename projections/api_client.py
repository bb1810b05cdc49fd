"""API clients as administrators look them up: who they are, on what terms they ask, which keys they have."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import assert_never
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct, structs

from domain.api_client.events import (
    ApiClientChanged,
    ApiClientDisabled,
    ApiClientEnabled,
    ApiClientEvent,
    ApiClientKeyAdded,
    ApiClientRegistered,
    ApiKey,
)
from domain.shared import Recorded
from projections.audience import Audience
from projections.columns import Column, ColumnType
from projections.lists import Listing
from projections.projection import Fold, moved


class ApiClient(Struct, frozen=True, kw_only=True):
    """A program that asks as itself; an empty list allows any. `keys`: what was in use when the last one was added.

    `status` is what the log says: one whose `expires_at` has passed asks in vain all the same.
    """

    id: UUID
    version: int
    position: int
    status: str
    created_at: datetime
    updated_at: datetime
    client_key: str
    name: str
    kind: str
    allowed_origins: tuple[str, ...]
    allowed_ips: tuple[str, ...]
    allowed_paths: tuple[str, ...]
    rate_limit_per_min: int | None
    expires_at: datetime | None
    keys: tuple[ApiKey, ...]

    @property
    def archived(self) -> bool:
        return False


class UsedApiClient(ApiClient, frozen=True, kw_only=True):
    """`last_used_at` is exact to the minute."""

    last_used_at: datetime | None


LastUsed = Callable[[Sequence[UUID]], Awaitable[Mapping[UUID, datetime]]]


async def with_use(rows: Sequence[bytes], last_used: LastUsed) -> list[bytes]:
    """The records, each with when the client asked last, which is no fact and so in no read model."""
    found = [_decode(row) for row in rows]
    used = await last_used([each.id for each in found])
    return [
        msgspec.json.encode(UsedApiClient(**structs.asdict(each), last_used_at=used.get(each.id)))
        for each in found
    ]


_decode = msgspec.json.Decoder(ApiClient).decode

COLUMNS = {
    "status": Column(
        type=ColumnType.TEXT,
        get=attrgetter("status"),
        choices=("active", "inactive"),
        nullable=False,
        indexed=False,
    ),
    "client_key": Column(type=ColumnType.TEXT, get=attrgetter("client_key"), nullable=False),
    "name": Column(type=ColumnType.FOLDED, get=attrgetter("name"), nullable=False),
    "kind": Column(
        type=ColumnType.TEXT,
        get=attrgetter("kind"),
        choices=("server", "browser"),
        nullable=False,
        indexed=False,
    ),
    "expires_at": Column(type=ColumnType.INSTANT, get=attrgetter("expires_at")),
}


def fold(view: ApiClient | None, recorded: Recorded[ApiClientEvent]) -> ApiClient:
    event = recorded.event
    if isinstance(event, ApiClientRegistered):
        return ApiClient(
            id=recorded.stream_id,
            version=recorded.version,
            position=recorded.position,
            status="active",
            created_at=recorded.recorded_at,
            updated_at=recorded.recorded_at,
            **structs.asdict(event),
        )
    assert view is not None
    new: dict[str, object]
    match event:
        case ApiClientChanged():
            new = {name: value for name, value in structs.asdict(event).items() if value is not UNSET}
        case ApiClientKeyAdded():
            new = {"keys": event.keys}
        case ApiClientDisabled():
            new = {"status": "inactive"}
        case ApiClientEnabled():
            new = {"status": "active"}
        case _:
            assert_never(event)
    return structs.replace(view, **moved(recorded), **new)


API_CLIENTS = Fold(name="api_client", version=1, view=ApiClient, columns=COLUMNS, fold=fold)
LISTING = Listing(
    name="api_client",
    view=UsedApiClient,
    columns=COLUMNS,
    audience=Audience(path="api-clients", right="api_client:view"),
)
