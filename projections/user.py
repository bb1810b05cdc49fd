"""Users as colleagues look them up; e-mail and phone only for who may view contacts."""

from datetime import datetime
from operator import attrgetter
from typing import Any, assert_never
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct

from domain.shared import Recorded
from domain.user.events import (
    UserBlocked,
    UserChanged,
    UserDeactivated,
    UserEvent,
    UserPasswordChanged,
    UserPasswordReset,
    UserReactivated,
    UserRegistered,
    UserRoleChanged,
    UserSignedOut,
    UserUnblocked,
)
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
    display_name: str | None = None
    phone: str | None
    department_id: UUID | None
    job_title: str | None
    avatar_file_id: UUID | None = None
    role: str
    must_change_password: bool

    @property
    def archived(self) -> bool:
        return False


COLUMNS = {
    "state": Column(
        type=ColumnType.TEXT,
        get=attrgetter("state"),
        choices=("active", "blocked", "deactivated", "erased"),
        nullable=False,
    ),
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
        return _named(
            User(
                id=recorded.stream_id,
                version=recorded.version,
                position=recorded.position,
                state="active",
                created_at=recorded.recorded_at,
                updated_at=recorded.recorded_at,
                **msgspec.structs.asdict(event),
            )
        )
    assert view is not None
    after = msgspec.structs.replace(
        view, version=recorded.version, position=recorded.position, updated_at=recorded.recorded_at
    )
    return _named(msgspec.structs.replace(after, **_new(event)))


def _new(event: UserEvent) -> dict[str, Any]:
    """The fields that have new values."""
    match event:
        case UserChanged():
            return {
                name: value for name, value in msgspec.structs.asdict(event).items() if value is not UNSET
            }
        case UserRoleChanged():
            return {"role": event.role}
        case UserBlocked():
            return {"state": "blocked"}
        case UserDeactivated():
            return {"state": "deactivated"}
        case UserUnblocked() | UserReactivated():
            return {"state": "active"}
        case UserPasswordChanged():
            return {"must_change_password": False}
        case UserPasswordReset():
            return {"must_change_password": True}
        case UserSignedOut():
            return {}
        case UserRegistered():
            raise AssertionError("the first event of a stream, and only that")
        case _:
            assert_never(event)


def _named(user: User) -> User:
    """Family name first, as the directory is read."""
    name = " ".join(n for n in (user.last_name, user.first_name, user.patronymic) if n) or None
    return msgspec.structs.replace(user, display_name=name)


USERS = Fold(name="user", version=1, view=User, columns=COLUMNS, fold=fold)
LISTING = Listing(name="user", view=User, columns=COLUMNS)
