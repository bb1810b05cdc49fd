"""The people of organisations as they are looked up."""

from datetime import datetime
from operator import attrgetter
from typing import assert_never
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct

from domain.contact.events import (
    ContactAdded,
    ContactArchived,
    ContactChanged,
    ContactErased,
    ContactEvent,
)
from domain.shared import Recorded
from projections.audience import Audience
from projections.columns import Column, ColumnType
from projections.lists import Listing
from projections.projection import Fold, begun, moved

FORGOTTEN = (
    "civility",
    "first_name",
    "last_name",
    "patronymic",
    "job_title",
    "department",
    "email",
    "phone",
)
"""What is null once he was erased, also what was never sealed."""


class Contact(Struct, frozen=True, kw_only=True):
    """A person one deals with at an organisation."""

    id: UUID
    version: int
    position: int
    state: str
    created_at: datetime
    updated_at: datetime
    organisation_id: UUID
    civility: str | None
    first_name: str | None
    last_name: str | None
    patronymic: str | None
    job_title: str | None
    department: str | None
    email: str | None
    phone: str | None
    is_main: bool
    responsible_id: UUID | None

    @property
    def archived(self) -> bool:
        return self.state in ("archived", "erased")

    @property
    def name(self) -> str | None:
        return " ".join(n for n in (self.last_name, self.first_name, self.patronymic) if n) or None


COLUMNS = {
    "state": Column(
        type=ColumnType.TEXT,
        get=attrgetter("state"),
        choices=("active", "archived", "erased"),
        nullable=False,
        indexed=False,
    ),
    "organisation_id": Column(type=ColumnType.UUID, get=attrgetter("organisation_id"), nullable=False),
    "name": Column(type=ColumnType.FOLDED, get=attrgetter("name")),
    "last_name": Column(type=ColumnType.FOLDED, get=attrgetter("last_name"), indexed=False),
    "email": Column(type=ColumnType.FOLDED, get=attrgetter("email")),
    "job_title": Column(
        type=ColumnType.FOLDED, get=attrgetter("job_title"), aliases=("employee_role",), indexed=False
    ),
    "is_main": Column(type=ColumnType.BOOLEAN, get=attrgetter("is_main"), nullable=False, indexed=False),
    "responsible_id": Column(
        type=ColumnType.UUID, get=attrgetter("responsible_id"), aliases=("commercial_contact",)
    ),
}


def fold(view: Contact | None, recorded: Recorded[ContactEvent]) -> Contact:
    event = recorded.event
    if isinstance(event, ContactAdded):
        return Contact(
            **begun(recorded),
            state="active",
            **msgspec.structs.asdict(event),
        )
    assert view is not None
    match event:
        case ContactChanged():
            new = {name: value for name, value in msgspec.structs.asdict(event).items() if value is not UNSET}
        case ContactArchived():
            new = {"state": "archived"}
        case ContactErased():
            new = {"state": "erased", "is_main": False, **dict.fromkeys(FORGOTTEN)}
        case _:
            assert_never(event)
    return msgspec.structs.replace(view, **moved(recorded), **new)


CONTACTS = Fold(name="contact", version=1, view=Contact, columns=COLUMNS, fold=fold)
LISTING = Listing(
    name="contact",
    view=Contact,
    columns=COLUMNS,
    audience=Audience(
        path="contacts",
        right="organisation:view",
        by={"organisation": "organisation_id", "own": "responsible_id"},
    ),
)
