"""What can happen to an organisation in the register."""

from datetime import date
from typing import ClassVar
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from domain.shared import Event, Personal


class Identifiers(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The numbers registers know it by: Russian inn, kpp, ogrn; French siren, nic; anything else as tax_id."""

    inn: str | None = None
    kpp: str | None = None
    ogrn: str | None = None
    siren: str | None = None
    nic: str | None = None
    tax_id: str | None = None


class Address(Struct, frozen=True, kw_only=True, omit_defaults=True):
    text: str
    postal_code: str | None = None
    locality: str | None = None
    complement: str | None = None
    country: str | None = None


class Addresses(Struct, frozen=True, kw_only=True, omit_defaults=True):
    legal: Address | None = None
    factual: Address | None = None
    mailing: Address | None = None


class Management(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who heads it."""

    position: str | None = None
    name: str | None = None


class Details(Struct, frozen=True, kw_only=True):
    """Everything the register says of an organisation."""

    full_name: str
    short_name: str | None = None
    identifiers: Identifiers = Identifiers()
    addresses: Addresses = Addresses()
    management: Personal[Management] = None
    region_code: str | None = None
    is_gov: bool = False
    is_military: bool = False
    is_liquidated: bool = False
    activity_code: str | None = None
    headcount_band: str | None = None
    started_on: date | None = None
    account_manager_id: UUID | None = None


class OrganisationAdded(Details, Event, frozen=True, kw_only=True, omit_defaults=True):
    TOPIC: ClassVar[str] = "organisation.added.v1"


class OrganisationChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Only what changed stands here, each with its new value; None: cleared."""

    TOPIC: ClassVar[str] = "organisation.changed.v1"

    full_name: str | UnsetType = UNSET
    short_name: str | None | UnsetType = UNSET
    identifiers: Identifiers | UnsetType = UNSET
    addresses: Addresses | UnsetType = UNSET
    management: Personal[Management] | UnsetType = UNSET
    region_code: str | None | UnsetType = UNSET
    is_gov: bool | UnsetType = UNSET
    is_military: bool | UnsetType = UNSET
    is_liquidated: bool | UnsetType = UNSET
    activity_code: str | None | UnsetType = UNSET
    headcount_band: str | None | UnsetType = UNSET
    started_on: date | None | UnsetType = UNSET
    account_manager_id: UUID | None | UnsetType = UNSET


class OrganisationArchived(Event, frozen=True, kw_only=True, omit_defaults=True):
    TOPIC: ClassVar[str] = "organisation.archived.v1"

    reason: str | None = None


OrganisationEvent = OrganisationAdded | OrganisationChanged | OrganisationArchived
