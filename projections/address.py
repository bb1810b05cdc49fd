"""Postal codes and where they lie, as the postal index says now."""

from collections.abc import Iterator
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from msgspec import Struct
from psycopg import AsyncCursor

from domain.postal_index.events import PostalCode, PostalIndexLoaded, code_id
from domain.shared import Recorded, Stored
from projections.audience import Audience
from projections.columns import Column, ColumnType
from projections.lists import Listing
from projections.packing import a_uuid
from projections.projection import Batch, Rows


class Address(Struct, frozen=True, kw_only=True):
    """A postal code. One that has vanished from the index is archived: old letters still bear it."""

    id: UUID
    version: int
    position: int
    created_at: datetime
    updated_at: datetime
    code: str
    region_code: str
    area: str | None
    locality: str | None
    vanished: bool = False

    @property
    def archived(self) -> bool:
        return self.vanished


COLUMNS = {
    "code": Column(type=ColumnType.TEXT, get=attrgetter("code"), aliases=("index",), nullable=False),
    "region_code": Column(
        type=ColumnType.TEXT, get=attrgetter("region_code"), aliases=("region",), nullable=False
    ),
    "area": Column(type=ColumnType.FOLDED, get=attrgetter("area"), indexed=False),
    "locality": Column(type=ColumnType.FOLDED, get=attrgetter("locality")),
}


class PostalCodes(Rows[Address]):
    """Each event is about many records."""

    def __init__(self) -> None:
        super().__init__(name="address", version=1, view=Address, columns=COLUMNS)

    def takes(self, stored: Stored) -> bool:
        return stored.topic.startswith("postal_index.")

    async def apply(self, cursor: AsyncCursor[Any], schema: str, batch: Batch) -> None:
        loads = [each for each in batch if isinstance(each, Recorded)]
        touched = {code_id(code) for load in loads for code in _codes(load.event)}
        if not touched:
            return
        find = f'select id, view from "{schema}"."{self.name}" where id = any(%b::uuid[])'.encode()
        await cursor.execute(find, [a_uuid(touched)], prepare=True, binary=True)
        views = {key: self.decode(view) for key, view in await cursor.fetchall()}
        for load in loads:
            views.update(_after(views, load))
        await self.keep(cursor, schema, list(views.values()))


def _codes(event: Any) -> Iterator[str]:
    if isinstance(event, PostalIndexLoaded):
        yield from (each.code for each in event.codes)
        yield from event.vanished


def _after(views: dict[UUID, Address], load: Recorded[Any]) -> dict[UUID, Address]:
    """The records that one event touches, as they are after it; what was never there does not vanish."""
    event = load.event
    if not isinstance(event, PostalIndexLoaded):
        return {}
    found = {code_id(each.code): _view(views.get(code_id(each.code)), each, load) for each in event.codes}
    for key in map(code_id, event.vanished):
        if (gone := views.get(key)) is not None:
            place = PostalCode(
                code=gone.code, region_code=gone.region_code, area=gone.area, locality=gone.locality
            )
            found[key] = _view(gone, place, load, vanished=True)
    return found


def _view(
    before: Address | None, place: PostalCode, load: Recorded[Any], *, vanished: bool = False
) -> Address:
    return Address(
        id=code_id(place.code),
        version=1 if before is None else before.version + 1,
        position=load.position,
        created_at=load.recorded_at if before is None else before.created_at,
        updated_at=load.recorded_at,
        code=place.code,
        region_code=place.region_code,
        area=place.area,
        locality=place.locality,
        vanished=vanished,
    )


ADDRESSES = PostalCodes()
LISTING = Listing(
    name="address",
    view=Address,
    columns=COLUMNS,
    order_by="code",
    audience=Audience(path="addresses"),
)
