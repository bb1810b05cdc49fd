"""Information resources as they are looked up; their regions follow from the postal codes in their addresses."""

import re
from collections.abc import Collection, Iterable
from datetime import date, datetime
from operator import attrgetter
from typing import Any, assert_never
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace
from psycopg import AsyncCursor

from domain.postal_index.events import PostalIndexLoaded
from domain.resource.events import ResourceAdded, ResourceChanged, ResourceEvent, ResourceRetired
from domain.shared import Recorded, Stored
from projections.columns import Column, ColumnType
from projections.lists import Listing
from projections.projection import Batch, Fold

_POSTAL_CODE = re.compile(r"(?<![0-9])[0-9]{6}(?![0-9])")


class Resource(Struct, frozen=True, kw_only=True):
    """An information resource of an organisation. `region_codes`: of the postal codes that its address names."""

    id: UUID
    version: int
    position: int
    state: str
    created_at: datetime
    updated_at: datetime
    organisation_id: UUID
    name: str
    category: int
    is_okii: bool
    fstec_reg_number: str | None
    fstec_added_on: date | None
    fstec_updated_on: date | None
    address: str | None
    responsible_worker: str | None
    ip_pool: str | None
    dns_pool: str | None
    industry_ids: tuple[UUID, ...]
    region_codes: tuple[str, ...] = ()

    @property
    def archived(self) -> bool:
        return self.state == "retired"


def postal_codes(text: str | None) -> list[str]:
    """The six-digit numbers in a text, each once: Russian postal codes, if the index knows them."""
    return [] if text is None else sorted(set(_POSTAL_CODE.findall(text)))


COLUMNS = {
    "state": Column(
        type=ColumnType.TEXT,
        get=attrgetter("state"),
        choices=("active", "retired"),
        nullable=False,
        indexed=False,
    ),
    "organisation_id": Column(
        type=ColumnType.UUID, get=attrgetter("organisation_id"), aliases=("organisation",), nullable=False
    ),
    "name": Column(type=ColumnType.FOLDED, get=attrgetter("name"), nullable=False),
    "category": Column(type=ColumnType.INTEGER, get=attrgetter("category"), nullable=False),
    "is_okii": Column(type=ColumnType.BOOLEAN, get=attrgetter("is_okii"), nullable=False, indexed=False),
    "fstec_reg_number": Column(type=ColumnType.TEXT, get=attrgetter("fstec_reg_number")),
    "region_codes": Column(
        type=ColumnType.TEXT_ARRAY,
        get=lambda view: list(view.region_codes),
        aliases=("region", "regions"),
        nullable=False,
    ),
    "industry_ids": Column(
        type=ColumnType.TEXT_ARRAY,
        get=lambda view: list(map(str, view.industry_ids)),
        aliases=("industry", "industries"),
        nullable=False,
    ),
    "postal_codes": Column(
        type=ColumnType.TEXT_ARRAY, get=lambda view: postal_codes(view.address), nullable=False
    ),
}


def fold(view: Resource | None, recorded: Recorded[ResourceEvent]) -> Resource:
    event = recorded.event
    if isinstance(event, ResourceAdded):
        return Resource(
            id=recorded.stream_id,
            version=recorded.version,
            position=recorded.position,
            state="active",
            created_at=recorded.recorded_at,
            updated_at=recorded.recorded_at,
            **msgspec.structs.asdict(event),
        )
    assert view is not None
    match event:
        case ResourceChanged():
            new = {name: value for name, value in msgspec.structs.asdict(event).items() if value is not UNSET}
        case ResourceRetired():
            new = {"state": "retired"}
        case _:
            assert_never(event)
    return replace(
        view, version=recorded.version, position=recorded.position, updated_at=recorded.recorded_at, **new
    )


class Resources(Fold[Resource]):
    """Keeps a copy of its own of where postal codes lie, so that it depends on the log alone: when a code moves, the
    resources that name it move with it.
    """

    PLACES = "resource_postal_code"

    def __init__(self) -> None:
        super().__init__(name="resource", version=1, view=Resource, columns=COLUMNS, fold=fold)
        self.tables = (self.name, self.PLACES)

    def ddl(self, schema: str) -> str:
        columns = 'code text collate "C" primary key, region_code text not null'
        return f'{super().ddl(schema)}\ncreate table "{schema}"."{self.PLACES}" ({columns});'

    def takes(self, stored: Stored) -> bool:
        return super().takes(stored) or stored.topic.startswith("postal_index.")

    async def apply(self, cursor: AsyncCursor[Any], schema: str, batch: Batch) -> None:
        loads = [
            each.event
            for each in batch
            if isinstance(each, Recorded) and isinstance(each.event, PostalIndexLoaded)
        ]
        folded = await self.folded(cursor, schema, batch)
        views = {key: view for key, view in folded.items() if view is not None}
        if loads:
            moved = await self._learn(cursor, schema, loads)
            await cursor.execute(
                f'select id, view from "{schema}"."{self.name}" where postal_codes && %s::text[]'.encode(),
                (moved,),
            )
            for key, view in await cursor.fetchall():
                views.setdefault(key, self.decode(view))
        if views:
            await self._keep_in_regions(cursor, schema, views.values())

    async def _learn(
        self, cursor: AsyncCursor[Any], schema: str, loads: Iterable[PostalIndexLoaded]
    ) -> list[str]:
        """A code that leaves the index goes on lying where it lay: old addresses name it."""
        regions = {place.code: place.region_code for load in loads for place in load.codes}
        await cursor.execute(
            f'insert into "{schema}"."{self.PLACES}" select * from unnest(%s::text[], %s::text[])'
            " on conflict (code) do update set region_code = excluded.region_code".encode(),
            (list(regions), list(regions.values())),
        )
        return list(regions)

    async def _keep_in_regions(
        self, cursor: AsyncCursor[Any], schema: str, views: Collection[Resource]
    ) -> None:
        named = {view.id: postal_codes(view.address) for view in views}
        await cursor.execute(
            f'select code, region_code from "{schema}"."{self.PLACES}" where code = any(%s::text[])'.encode(),
            ([code for codes in named.values() for code in codes],),
        )
        regions = dict(await cursor.fetchall())
        found = [
            replace(
                view,
                region_codes=tuple(sorted({regions[code] for code in named[view.id] if code in regions})),
            )
            for view in views
        ]
        await self.keep(cursor, schema, found)


RESOURCES = Resources()
LISTING = Listing(name="resource", view=Resource, columns=COLUMNS)
