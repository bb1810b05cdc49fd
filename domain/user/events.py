"""What can happen to a person with an account."""

from typing import ClassVar
from uuid import UUID

from msgspec import UNSET, UnsetType

from domain.shared import Event, Personal


class UserRegistered(Event, frozen=True, kw_only=True, omit_defaults=True):
    TOPIC: ClassVar[str] = "user.registered.v1"

    email: Personal[str] = None
    staff_number: str | None = None
    first_name: Personal[str] = None
    last_name: Personal[str] = None
    patronymic: Personal[str] = None
    phone: Personal[str] = None
    department_id: UUID | None = None
    job_title: str | None = None
    role: str
    must_change_password: bool = False


class UserChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Only what changed stands here, each with its new value; None: cleared."""

    TOPIC: ClassVar[str] = "user.changed.v1"

    email: Personal[str] | UnsetType = UNSET
    staff_number: str | None | UnsetType = UNSET
    first_name: Personal[str] | UnsetType = UNSET
    last_name: Personal[str] | UnsetType = UNSET
    patronymic: Personal[str] | UnsetType = UNSET
    phone: Personal[str] | UnsetType = UNSET
    job_title: str | None | UnsetType = UNSET
    avatar_file_id: UUID | None | UnsetType = UNSET


class UserPasswordChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """By the user, who knew the old one; his other sessions ended."""

    TOPIC: ClassVar[str] = "user.password_changed.v1"

    kept_session_id: UUID | None = None


class UserPasswordReset(Event, frozen=True, kw_only=True, omit_defaults=True):
    """By staff; it must be changed at the next sign-in, and all sessions ended."""

    TOPIC: ClassVar[str] = "user.password_reset.v1"


class UserRoleChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """`active`: whether he may act now, so that his place among the administrators follows from this event alone."""

    TOPIC: ClassVar[str] = "user.role_changed.v1"

    role: str
    active: bool = True


class UserBlocked(Event, frozen=True, kw_only=True, omit_defaults=True):
    TOPIC: ClassVar[str] = "user.blocked.v1"

    reason: str


class UserUnblocked(Event, frozen=True, kw_only=True, omit_defaults=True):
    """He has the role again that he had."""

    TOPIC: ClassVar[str] = "user.unblocked.v1"

    role: str


class UserDeactivated(Event, frozen=True, kw_only=True, omit_defaults=True):
    """By himself or by staff: the row stays, nobody signs in with it."""

    TOPIC: ClassVar[str] = "user.deactivated.v1"


class UserReactivated(Event, frozen=True, kw_only=True, omit_defaults=True):
    TOPIC: ClassVar[str] = "user.reactivated.v1"

    role: str


class UserSignedOut(Event, frozen=True, kw_only=True, omit_defaults=True):
    """All sessions of the user ended at once."""

    TOPIC: ClassVar[str] = "user.signed_out.v1"


UserEvent = (
    UserRegistered
    | UserChanged
    | UserPasswordChanged
    | UserPasswordReset
    | UserRoleChanged
    | UserBlocked
    | UserUnblocked
    | UserDeactivated
    | UserReactivated
    | UserSignedOut
)
