"""Organisations as people look them up."""

from datetime import date, datetime
from operator import attrgetter
from typing import assert_never
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct

from domain.organisation.events import (
    Addresses,
    Identifiers,
    Management,
    OrganisationAdded,
    OrganisationArchived,
    OrganisationChanged,
    OrganisationEvent,
)
from domain.shared import Recorded
from projections.columns import Column, ColumnType
from projections.lists import Listing
from projections.projection import Fold


class Organisation(Struct, frozen=True, kw_only=True):
    """One organisation in the register."""

    id: UUID
    version: int
    position: int
    state: str
    created_at: datetime
    updated_at: datetime
    full_name: str
    short_name: str | None
    identifiers: Identifiers
    addresses: Addresses
    management: Management | None
    region_code: str | None
    is_gov: bool
    is_military: bool
    is_liquidated: bool
    activity_code: str | None
    headcount_band: str | None
    started_on: date | None
    account_manager_id: UUID | None

    @property
    def archived(self) -> bool:
        return self.state == "archived"


COLUMNS = {
    "state": Column(
        type=ColumnType.TEXT,
        get=attrgetter("state"),
        choices=("active", "archived"),
        nullable=False,
        indexed=False,
    ),
    "full_name": Column(
        type=ColumnType.FOLDED, get=attrgetter("full_name"), aliases=("name",), nullable=False
    ),
    "short_name": Column(type=ColumnType.FOLDED, get=attrgetter("short_name")),
    "inn": Column(type=ColumnType.TEXT, get=attrgetter("identifiers.inn")),
    "kpp": Column(type=ColumnType.TEXT, get=attrgetter("identifiers.kpp"), indexed=False),
    "ogrn": Column(type=ColumnType.TEXT, get=attrgetter("identifiers.ogrn")),
    "siren": Column(type=ColumnType.TEXT, get=attrgetter("identifiers.siren")),
    "nic": Column(type=ColumnType.TEXT, get=attrgetter("identifiers.nic"), indexed=False),
    "tax_id": Column(type=ColumnType.TEXT, get=attrgetter("identifiers.tax_id")),
    "region_code": Column(type=ColumnType.TEXT, get=attrgetter("region_code"), aliases=("region",)),
    "is_gov": Column(type=ColumnType.BOOLEAN, get=attrgetter("is_gov"), nullable=False, indexed=False),
    "is_military": Column(
        type=ColumnType.BOOLEAN, get=attrgetter("is_military"), nullable=False, indexed=False
    ),
    "is_liquidated": Column(
        type=ColumnType.BOOLEAN, get=attrgetter("is_liquidated"), nullable=False, indexed=False
    ),
    "activity_code": Column(type=ColumnType.TEXT, get=attrgetter("activity_code")),
    "headcount_band": Column(type=ColumnType.TEXT, get=attrgetter("headcount_band"), indexed=False),
    "started_on": Column(type=ColumnType.DATE, get=attrgetter("started_on")),
    "account_manager_id": Column(type=ColumnType.UUID, get=attrgetter("account_manager_id")),
}


def fold(view: Organisation | None, recorded: Recorded[OrganisationEvent]) -> Organisation:
    event = recorded.event
    if isinstance(event, OrganisationAdded):
        return Organisation(
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
        case OrganisationChanged():
            new = {name: value for name, value in msgspec.structs.asdict(event).items() if value is not UNSET}
        case OrganisationArchived():
            new = {"state": "archived"}
        case _:
            assert_never(event)
    return msgspec.structs.replace(
        view, version=recorded.version, position=recorded.position, updated_at=recorded.recorded_at, **new
    )


ORGANISATIONS = Fold(name="organisation", version=1, view=Organisation, columns=COLUMNS, fold=fold)
LISTING = Listing(name="organisation", view=Organisation, columns=COLUMNS)
