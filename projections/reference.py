"""Okrugs, regions and industries as everybody may look them up: a row per entry of the list that was loaded last."""

from collections.abc import Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from msgspec import Struct
from psycopg import AsyncCursor

from domain.reference.events import Entry, ReferenceLoaded, entry_id
from domain.shared import Recorded, Stored
from projections.audience import Audience
from projections.columns import Column, ColumnType
from projections.lists import Listing
from projections.packing import a_uuid
from projections.projection import Batch, Rows


class Listed(Struct, frozen=True, kw_only=True):
    """One entry of a list of reference data."""

    id: UUID
    version: int
    position: int
    created_at: datetime
    updated_at: datetime
    code: str
    name: str

    @property
    def archived(self) -> bool:
        return False


class Okrug(Listed, frozen=True, kw_only=True):
    """A federal district of Russia."""


class Region(Listed, frozen=True, kw_only=True):
    """A subject of the Russian Federation, by the tax service's code; 99: other territories, in no okrug."""

    okrug_id: str | None


class Industry(Listed, frozen=True, kw_only=True):
    """One of the industries that law 187-FZ names."""


CODE = Column(type=ColumnType.TEXT, get=attrgetter("code"), nullable=False)
NAME = Column(type=ColumnType.FOLDED, get=attrgetter("name"), nullable=False)
COLUMNS: Mapping[str, Column] = {"code": CODE, "name": NAME}
REGION_COLUMNS: Mapping[str, Column] = {
    **COLUMNS,
    "okrug_id": Column(type=ColumnType.TEXT, get=attrgetter("okrug_id"), aliases=("okrug",)),
}


class References(Rows[Listed]):
    """One kind of reference data. Each event holds the whole list: what it does not name is gone."""

    def __init__(self, view: type[Listed], columns: Mapping[str, Column]) -> None:
        super().__init__(name=view.__name__.lower(), version=1, view=view, columns=columns)

    def takes(self, stored: Stored) -> bool:
        return stored.topic.startswith("reference.")

    async def apply(self, cursor: AsyncCursor[Any], schema: str, batch: Batch) -> None:
        loads = [each for each in batch if isinstance(each, Recorded) and self._is_mine(each)]
        if loads:
            views = [self._view(loads[-1], entry) for entry in loads[-1].event.entries]
            await self.keep(cursor, schema, views)
            await cursor.execute(
                f'delete from "{schema}"."{self.name}" where not id = any(%b::uuid[])'.encode(),
                [a_uuid(view.id for view in views)],
            )

    def _is_mine(self, recorded: Recorded[Any]) -> bool:
        return isinstance(recorded.event, ReferenceLoaded) and recorded.event.kind == self.name

    def _view(self, recorded: Recorded[ReferenceLoaded], entry: Entry) -> Listed:
        part_of = {"okrug_id": entry.part_of} if self.view is Region else {}
        return self.view(
            id=entry_id(self.name, entry.code),
            version=recorded.version,
            position=recorded.position,
            created_at=recorded.recorded_at,
            updated_at=recorded.recorded_at,
            code=entry.code,
            name=entry.name,
            **part_of,
        )


OKRUGS = References(Okrug, COLUMNS)
REGIONS = References(Region, REGION_COLUMNS)
INDUSTRIES = References(Industry, COLUMNS)

LISTINGS = {
    projection.name: Listing(
        name=projection.name,
        view=projection.view,
        columns=projection.columns,
        order_by="code",
        audience=Audience(path=path),
    )
    for path, projection in (("okrugs", OKRUGS), ("regions", REGIONS), ("industries", INDUSTRIES))
}
"""Reference data is listed by code."""
