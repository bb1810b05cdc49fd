"""Users as colleagues look them up; e-mail and phone only for who may view contacts."""

from datetime import datetime
from operator import attrgetter
from typing import Any, assert_never
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct
from psycopg import sql

from domain.shared import Recorded
from domain.user.events import (
    UserBlocked,
    UserChanged,
    UserDeactivated,
    UserDepartmentChanged,
    UserErased,
    UserEvent,
    UserExported,
    UserNotificationsChanged,
    UserPasswordChanged,
    UserPasswordReset,
    UserProvisioned,
    UserReactivated,
    UserRegistered,
    UserRoleChanged,
    UserSignedOut,
    UserSynced,
    UserUnblocked,
)
from projections.audience import Audience
from projections.columns import Column, ColumnType
from projections.lists import Listing
from projections.projection import Fold, moved

CONTACTS = frozenset({"email", "phone"})
"""Fields that need user:view_contacts."""


class Identity(Struct, frozen=True, kw_only=True):
    """Who a user is to an identity provider. `last_synced_at` moves with changes, and at most daily without.

    `last_error` is a code, such as `email_taken`: what of his profile could not be taken over, or told there.
    """

    issuer: str
    sub: str | None
    last_synced_at: datetime
    last_error: str | None = None


class User(Struct, frozen=True, kw_only=True):
    """A person with an account. `sub`: as other systems know him, by his first identity, else by his id."""

    id: UUID
    sub: str | None
    version: int
    position: int
    state: str
    created_at: datetime
    updated_at: datetime
    email: str | None = None
    staff_number: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    patronymic: str | None = None
    display_name: str | None = None
    phone: str | None = None
    department_id: UUID | None = None
    job_title: str | None = None
    avatar_file_id: UUID | None = None
    role: str
    must_change_password: bool = False
    identities: tuple[Identity, ...] = ()

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
    "sub": Column(type=ColumnType.TEXT, get=attrgetter("sub")),
    "phone": Column(type=ColumnType.TEXT, get=attrgetter("phone")),
    "staff_number": Column(
        type=ColumnType.TEXT, get=attrgetter("staff_number"), aliases=("registration_number",)
    ),
    "display_name": Column(type=ColumnType.FOLDED, get=attrgetter("display_name"), aliases=("name",)),
    "first_name": Column(type=ColumnType.FOLDED, get=attrgetter("first_name")),
    "last_name": Column(type=ColumnType.FOLDED, get=attrgetter("last_name")),
    "patronymic": Column(type=ColumnType.FOLDED, get=attrgetter("patronymic")),
    "department_id": Column(type=ColumnType.UUID, get=attrgetter("department_id")),
    "job_title": Column(type=ColumnType.FOLDED, get=attrgetter("job_title")),
    "role": Column(
        type=ColumnType.TEXT, get=attrgetter("role"), choices=("admin", "moderator", "user"), nullable=False
    ),
}


def fold(view: User | None, recorded: Recorded[UserEvent]) -> User:
    event = recorded.event
    match event:
        case UserRegistered():
            return _named(None, _first(recorded, str(recorded.stream_id), msgspec.structs.asdict(event)))
        case UserProvisioned():
            said = {"email": event.email, "display_name": event.display_name, "role": event.role}
            identity = Identity(
                issuer=event.issuer, sub=event.sub, last_synced_at=event.synced_at, last_error=event.error
            )
            return _first(recorded, event.sub, {**said, "identities": (identity,)})
        case UserErased():
            assert view is not None
            return _forgotten(msgspec.structs.replace(view, **moved(recorded)))
        case _:
            assert view is not None
    new = {"identities": _heard(view, event)} if isinstance(event, UserSynced) else _new(event)
    after = msgspec.structs.replace(
        view, version=recorded.version, position=recorded.position, updated_at=recorded.recorded_at, **new
    )
    return after if "display_name" in new else _named(view, after)


def _first(recorded: Recorded[UserEvent], sub: str | None, fields: dict[str, Any]) -> User:
    return User(
        id=recorded.stream_id,
        sub=sub,
        version=recorded.version,
        position=recorded.position,
        state="active",
        created_at=recorded.recorded_at,
        updated_at=recorded.recorded_at,
        **fields,
    )


def _heard(view: User, event: UserSynced) -> tuple[Identity, ...]:
    return tuple(
        msgspec.structs.replace(each, last_synced_at=event.synced_at, last_error=event.error)
        if each.issuer == event.issuer
        else each
        for each in view.identities
    )


def _new(event: UserEvent) -> dict[str, Any]:
    """The fields that have new values."""
    match event:
        case UserChanged():
            return {
                name: value for name, value in msgspec.structs.asdict(event).items() if value is not UNSET
            }
        case UserRoleChanged():
            return {"role": event.role}
        case UserDepartmentChanged():
            return {"department_id": event.department_id}
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
        case UserSignedOut() | UserExported() | UserNotificationsChanged():
            return {}
        case UserRegistered() | UserProvisioned() | UserSynced() | UserErased():
            raise AssertionError("told by fold")
        case _:
            assert_never(event)


def _forgotten(user: User) -> User:
    """What is left: that there was an account, its role, with which provider. What was never sealed goes as well."""
    return User(
        id=user.id,
        sub=user.sub if user.sub == str(user.id) else None,
        version=user.version,
        position=user.position,
        state="erased",
        created_at=user.created_at,
        updated_at=user.updated_at,
        role=user.role,
        identities=tuple(msgspec.structs.replace(each, sub=None) for each in user.identities),
    )


def _named(before: User | None, user: User) -> User:
    """The name a provider gave stays; who has none is shown by the names he has."""
    if before is not None and before.display_name != _full_name(before):
        return user
    return msgspec.structs.replace(user, display_name=_full_name(user))


def _full_name(user: User) -> str | None:
    """Family name first, as the directory is read."""
    return " ".join(name for name in (user.last_name, user.first_name, user.patronymic) if name) or None


USERS = Fold(name="user", version=2, view=User, columns=COLUMNS, fold=fold)
DEPARTMENT = Column(
    type=ColumnType.FOLDED, get=lambda _: None, aliases=("department_name",), sortable=False, indexed=False
)
"""What the department is called now: it stands with the department alone, whose index finds it."""
LISTING = Listing(
    name="user",
    view=User,
    columns={**COLUMNS, "department": DEPARTMENT},
    relation=sql.SQL(
        "(select u.*, d.name as department, d.name_grams as department_grams from read.user u"
        " left join read.department d on d.id = u.department_id) as users"
    ),
    audience=Audience(path="users", right="user:view", reserved={"user:view_contacts": CONTACTS}),
)
