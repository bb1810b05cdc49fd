"""Organisations as people look them up."""

from collections.abc import Iterator
from datetime import date, datetime
from operator import attrgetter
from typing import assert_never
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from domain.contract.events import ContractCanceled, ContractSigned
from domain.document.events import DocumentRecorded
from domain.organisation.events import (
    Addresses,
    Identifiers,
    Management,
    OrganisationAdded,
    OrganisationArchived,
    OrganisationChanged,
)
from domain.resource.events import ResourceAdded, ResourceChanged, ResourceRetired
from domain.shared import Recorded
from projections.audience import Audience
from projections.columns import Column, ColumnType
from projections.lists import Listing
from projections.projection import begun, moved
from projections.regions import InRegions, Map, postal_codes


class Agreement(Struct, frozen=True, kw_only=True):
    """Since when, and from what: a signed cooperation `contract`, or a main `document` on record."""

    date: date
    source: str
    source_id: UUID


class Organisation(Struct, frozen=True, kw_only=True):
    """One organisation in the register, with what follows from its contracts, documents and resources.

    `agreement`: the newest in force. `region_code`: as given, else where the postal codes of its addresses lie.
    `document_types`: the prefixes of what is on record. `is_subject_kii`: it owns a critical information resource.
    """

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
    given_region_code: str | None = None
    okrug_id: str | None = None
    agreement: Agreement | None = None
    agreements: tuple[Agreement, ...] = ()
    document_types: tuple[str, ...] = ()
    is_subject_kii: bool = False
    critical_resource_ids: tuple[UUID, ...] = ()

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
        type=ColumnType.FOLDED, get=attrgetter("full_name"), aliases=("name", "company_name"), nullable=False
    ),
    "short_name": Column(type=ColumnType.FOLDED, get=attrgetter("short_name")),
    "inn": Column(type=ColumnType.TEXT, get=attrgetter("identifiers.inn")),
    "kpp": Column(type=ColumnType.TEXT, get=attrgetter("identifiers.kpp"), indexed=False),
    "ogrn": Column(type=ColumnType.TEXT, get=attrgetter("identifiers.ogrn")),
    "siren": Column(
        type=ColumnType.TEXT, get=attrgetter("identifiers.siren"), aliases=("company_registration_number",)
    ),
    "nic": Column(
        type=ColumnType.TEXT,
        get=attrgetter("identifiers.nic"),
        aliases=("company_subregistration_number",),
        indexed=False,
    ),
    "tax_id": Column(type=ColumnType.TEXT, get=attrgetter("identifiers.tax_id")),
    "region_code": Column(type=ColumnType.TEXT, get=attrgetter("region_code"), aliases=("region",)),
    "okrug_id": Column(type=ColumnType.TEXT, get=attrgetter("okrug_id"), aliases=("okrug",)),
    "agreement_on": Column(
        type=ColumnType.DATE, get=lambda view: view.agreement and view.agreement.date, aliases=("agreement",)
    ),
    "documents": Column(
        type=ColumnType.TEXT_ARRAY, get=lambda view: list(view.document_types), nullable=False
    ),
    "is_subject_kii": Column(
        type=ColumnType.BOOLEAN, get=attrgetter("is_subject_kii"), nullable=False, indexed=False
    ),
    "postal_codes": Column(
        type=ColumnType.TEXT_ARRAY, get=lambda view: postal_codes(*_texts(view)), nullable=False
    ),
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


Own = OrganisationAdded | OrganisationChanged | OrganisationArchived
Others = (
    ContractSigned | ContractCanceled | DocumentRecorded | ResourceAdded | ResourceChanged | ResourceRetired
)


def about(recorded: Recorded[Own | Others]) -> UUID:
    """The organisation that an event tells something of."""
    event = recorded.event
    if isinstance(event, OrganisationAdded | OrganisationChanged | OrganisationArchived):
        return recorded.stream_id
    return event.organisation_id or recorded.stream_id


def fold(view: Organisation | None, recorded: Recorded[Own | Others]) -> Organisation | None:
    event = recorded.event
    if isinstance(event, OrganisationAdded):
        return Organisation(
            **begun(recorded),
            state="active",
            given_region_code=event.region_code,
            **msgspec.structs.asdict(event),
        )
    if view is None:  # what is said of an organisation that is not in the register
        return None
    match event:
        case OrganisationChanged():
            new = {name: value for name, value in msgspec.structs.asdict(event).items() if value is not UNSET}
            if "region_code" in new:
                new["given_region_code"] = new["region_code"]
        case OrganisationArchived():
            new = {"state": "archived"}
        case _:
            return known_by_others(view, recorded.stream_id, event)
    return replace(view, **moved(recorded), **new)


def known_by_others(view: Organisation, source_id: UUID, event: Others) -> Organisation:
    """What other records say of an organisation; its own version stays."""
    match event:
        case ContractSigned():
            if event.kind != "cooperation":
                return view
            return agreed(
                view,
                source_id,
                Agreement(date=event.signed_at.date(), source="contract", source_id=source_id),
            )
        case ContractCanceled():
            return agreed(view, source_id, None)
        case DocumentRecorded():
            main = Agreement(date=event.date_approved, source="document", source_id=source_id)
            on_record = replace(view, document_types=tuple(sorted({*view.document_types, event.prefix})))
            return agreed(on_record, source_id, main if event.is_main else None)
        case ResourceAdded():
            return critical(view, source_id, is_okii=event.is_okii)
        case ResourceChanged():
            return view if event.is_okii is UNSET else critical(view, source_id, is_okii=bool(event.is_okii))
        case ResourceRetired():
            return critical(view, source_id, is_okii=False)
        case _:
            assert_never(event)


def agreed(view: Organisation, source_id: UUID, agreement: Agreement | None) -> Organisation:
    """With this agreement, or without one, from that source."""
    kept = [each for each in view.agreements if each.source_id != source_id]
    if agreement is not None:
        kept.append(agreement)
    kept.sort(key=lambda each: (each.date, each.source_id))
    return replace(view, agreements=tuple(kept), agreement=kept[-1] if kept else None)


def critical(view: Organisation, resource_id: UUID, *, is_okii: bool) -> Organisation:
    kept = {each for each in view.critical_resource_ids if each != resource_id} | (
        {resource_id} if is_okii else set()
    )
    return replace(view, critical_resource_ids=tuple(sorted(kept)), is_subject_kii=bool(kept))


def place(view: Organisation, known: Map) -> Organisation:
    """In the region that was given, else the first that its legal, factual or mailing address names."""
    named = (known.regions[code] for code in postal_codes(*_texts(view)) if code in known.regions)
    region = view.given_region_code or next(named, None)
    return replace(view, region_code=region, okrug_id=None if region is None else known.okrugs.get(region))


def _texts(view: Organisation) -> Iterator[str | None]:
    for address in (view.addresses.legal, view.addresses.factual, view.addresses.mailing):
        if address is not None:
            yield address.postal_code
            yield address.text


DERIVED = frozenset(
    {
        *("given_region_code", "okrug_id", "agreement", "agreements"),
        *("document_types", "is_subject_kii", "critical_resource_ids"),
    }
)

ORGANISATIONS = InRegions(
    name="organisation",
    version=3,
    view=Organisation,
    columns=COLUMNS,
    fold=fold,
    place=place,
    key=about,
    derived=DERIVED,
)
LISTING = Listing(
    name="organisation",
    view=Organisation,
    columns=COLUMNS,
    audience=Audience(
        path="organisations",
        right="organisation:view",
        by={"organisation": "id", "own": "account_manager_id"},
    ),
)
