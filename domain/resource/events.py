"""What can happen to an information resource of an organisation."""

from datetime import date
from typing import ClassVar
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from domain.shared import Event, Personal


class Details(Struct, frozen=True, kw_only=True):
    """`category`: 0 none, 1 to 3 by law 187-FZ; `is_okii`: an object of the critical information infrastructure."""

    name: str
    category: int = 0
    is_okii: bool = False
    fstec_reg_number: str | None = None
    fstec_added_on: date | None = None
    fstec_updated_on: date | None = None
    address: str | None = None
    responsible_worker: Personal[str] = None
    ip_pool: str | None = None
    dns_pool: str | None = None
    industry_ids: tuple[UUID, ...] = ()


class ResourceAdded(Details, Event, frozen=True, kw_only=True, omit_defaults=True):
    TOPIC: ClassVar[str] = "resource.added.v1"

    organisation_id: UUID


class ResourceChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Only what changed stands here, each with its new value; None: cleared. Whose it is stands here, too, so that
    what is known of that organisation follows from this event alone.
    """

    TOPIC: ClassVar[str] = "resource.changed.v1"

    organisation_id: UUID
    name: str | UnsetType = UNSET
    category: int | UnsetType = UNSET
    is_okii: bool | UnsetType = UNSET
    fstec_reg_number: str | None | UnsetType = UNSET
    fstec_added_on: date | None | UnsetType = UNSET
    fstec_updated_on: date | None | UnsetType = UNSET
    address: str | None | UnsetType = UNSET
    responsible_worker: Personal[str] | UnsetType = UNSET
    ip_pool: str | None | UnsetType = UNSET
    dns_pool: str | None | UnsetType = UNSET
    industry_ids: tuple[UUID, ...] | UnsetType = UNSET


class ResourceRetired(Event, frozen=True, kw_only=True, omit_defaults=True):
    """It is out of use, and no object of its organisation any more."""

    TOPIC: ClassVar[str] = "resource.retired.v1"

    organisation_id: UUID
    reason: str | None = None


ResourceEvent = ResourceAdded | ResourceChanged | ResourceRetired
