"""Users as colleagues look them up; e-mail and phone only for who may view contacts."""

from datetime import datetime
from operator import attrgetter
from typing import assert_never
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.shared import Recorded
from domain.user.events import UserEvent, UserRegistered, UserSignedOut
from projections.columns import Column, ColumnType
from projections.lists import Listing
from projections.projection import Fold

CONTACTS = frozenset({"email", "phone"})
"""Fields that need user:view_contacts."""


class User(Struct, frozen=True, kw_only=True):
    """A person with an account."""

    id: UUID
    version: int
    position: int
    state: str
    created_at: datetime
    updated_at: datetime
    email: str | None
    staff_number: str | None
    first_name: str | None
    last_name: str | None
    patronymic: str | None
    display_name: str | None
    phone: str | None
    department_id: UUID | None
    job_title: str | None
    role: str
    must_change_password: bool

    @property
    def archived(self) -> bool:
        return False


COLUMNS = {
    "state": Column(type=ColumnType.TEXT, get=attrgetter("state"), nullable=False),
    "email": Column(type=ColumnType.FOLDED, get=attrgetter("email")),
    "staff_number": Column(type=ColumnType.TEXT, get=attrgetter("staff_number")),
    "display_name": Column(type=ColumnType.FOLDED, get=attrgetter("display_name"), aliases=("name",)),
    "department_id": Column(type=ColumnType.UUID, get=attrgetter("department_id")),
    "job_title": Column(type=ColumnType.FOLDED, get=attrgetter("job_title")),
    "role": Column(
        type=ColumnType.TEXT, get=attrgetter("role"), choices=("admin", "moderator", "user"), nullable=False
    ),
}


def fold(view: User | None, recorded: Recorded[UserEvent]) -> User:
    event = recorded.event
    if isinstance(event, UserRegistered):
        return User(
            id=recorded.stream_id,
            version=recorded.version,
            position=recorded.position,
            state="active",
            created_at=recorded.recorded_at,
            updated_at=recorded.recorded_at,
            display_name=" ".join(n for n in (event.last_name, event.first_name, event.patronymic) if n)
            or None,
            **msgspec.structs.asdict(event),
        )
    assert view is not None
    match event:
        case UserSignedOut():
            return msgspec.structs.replace(view, version=recorded.version, position=recorded.position)
        case _:
            assert_never(event)


USERS = Fold(name="user", version=1, view=User, columns=COLUMNS, fold=fold)
LISTING = Listing(name="user", view=User, columns=COLUMNS)
