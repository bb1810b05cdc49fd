"""Information resources as they are looked up; their regions follow from the postal codes in their addresses."""

from datetime import date, datetime
from operator import attrgetter
from typing import assert_never
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from domain.resource.events import ResourceAdded, ResourceChanged, ResourceEvent, ResourceRetired
from domain.shared import Recorded
from projections.audience import Audience
from projections.columns import Column, ColumnType
from projections.lists import Listing
from projections.projection import begun, moved
from projections.regions import InRegions, Map, postal_codes


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
    okrug_ids: tuple[str, ...] = ()

    @property
    def archived(self) -> bool:
        return self.state == "retired"


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
    "okrug_ids": Column(
        type=ColumnType.TEXT_ARRAY,
        get=lambda view: list(view.okrug_ids),
        aliases=("okrug", "okrugs"),
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
            **begun(recorded),
            state="active",
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
    return replace(view, **moved(recorded), **new)


def place(view: Resource, known: Map) -> Resource:
    """In every region that its address names."""
    regions = {known.regions[code] for code in postal_codes(view.address) if code in known.regions}
    okrugs = {okrug for region in regions if (okrug := known.okrugs.get(region)) is not None}
    return replace(view, region_codes=tuple(sorted(regions)), okrug_ids=tuple(sorted(okrugs)))


RESOURCES = InRegions(
    name="resource",
    version=2,
    view=Resource,
    columns=COLUMNS,
    fold=fold,
    place=place,
    derived=frozenset({"region_codes", "okrug_ids"}),
)
LISTING = Listing(
    name="resource",
    view=Resource,
    columns=COLUMNS,
    audience=Audience(path="resources", right="resource:view", by={"organisation": "organisation_id"}),
)
