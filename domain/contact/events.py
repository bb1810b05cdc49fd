"""What can happen to a person one deals with at an organisation."""

from typing import ClassVar
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from domain.shared import Event, Personal


class Details(Struct, frozen=True, kw_only=True):
    """Who it is, where he is reached, and which of our people answers for him."""

    civility: Personal[str] = None
    first_name: Personal[str] = None
    last_name: Personal[str] = None
    patronymic: Personal[str] = None
    job_title: str | None = None
    department: str | None = None
    email: Personal[str] = None
    phone: Personal[str] = None
    is_main: bool = False
    responsible_id: UUID | None = None


class ContactAdded(Details, Event, frozen=True, kw_only=True, omit_defaults=True):
    TOPIC: ClassVar[str] = "contact.added.v1"

    organisation_id: UUID


class ContactChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Only what changed stands here, each with its new value; None: cleared."""

    TOPIC: ClassVar[str] = "contact.changed.v1"

    civility: Personal[str] | UnsetType = UNSET
    first_name: Personal[str] | UnsetType = UNSET
    last_name: Personal[str] | UnsetType = UNSET
    patronymic: Personal[str] | UnsetType = UNSET
    job_title: str | None | UnsetType = UNSET
    department: str | None | UnsetType = UNSET
    email: Personal[str] | UnsetType = UNSET
    phone: Personal[str] | UnsetType = UNSET
    is_main: bool | UnsetType = UNSET
    responsible_id: UUID | None | UnsetType = UNSET


class ContactArchived(Event, frozen=True, kw_only=True, omit_defaults=True):
    TOPIC: ClassVar[str] = "contact.archived.v1"

    reason: str | None = None


class ContactErased(Event, frozen=True, kw_only=True, omit_defaults=True):
    """He was forgotten: with this event his key is destroyed. What names him goes on naming this record.

    `reason` outlives him: it must not name him.
    """

    TOPIC: ClassVar[str] = "contact.erased.v1"

    reason: str


ContactEvent = ContactAdded | ContactChanged | ContactArchived | ContactErased
