"""What can happen to a person with an account."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID, uuid5

from msgspec import UNSET, UnsetType

from domain.shared import Event, Personal

_PEOPLE = UUID("3f0b7c52-5d0e-4c43-9b3e-0b8a5a1f6d27")
"""The namespace of the ids of users that identity providers bring (RFC 9562 5.5). It never changes."""


_ADMINISTRATORS = UUID("b6f2a1d4-93c7-4a7e-8d51-2c60e7f4a9b3")
"""The namespace of the ids of administrators whom the settings name. It never changes."""


def administrator_id(email: str) -> UUID:
    """The administrator who was made because the settings named this address, whatever became of him since."""
    return uuid5(_ADMINISTRATORS, email)


def person_id(issuer: str, sub: str) -> UUID:
    """The one user whom `issuer` calls `sub`, both exactly as they stand, whoever asks first."""
    return uuid5(_PEOPLE, f"{issuer}\n{sub}")


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


class UserProvisioned(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An identity provider brought him; his id follows from issuer and sub, and he has no password.

    `error`: what of his profile could not be taken over, such as `email_taken`.
    """

    TOPIC: ClassVar[str] = "user.provisioned.v1"

    issuer: str
    sub: Personal[str] = None
    email: Personal[str] = None
    display_name: Personal[str] = None
    role: str = "user"
    synced_at: datetime
    error: str | None = None


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
    display_name: Personal[str] | UnsetType = UNSET


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


class UserDepartmentChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """None: he belongs to none. He has the department's rights at once, and those of the former one no longer."""

    TOPIC: ClassVar[str] = "user.department_changed.v1"

    department_id: UUID | None


class UserSynced(Event, frozen=True, kw_only=True, omit_defaults=True):
    """We heard of him from or talked about him with an identity provider. Told with changes, and at most daily without.

    `error`: what did not work; None: all did.
    """

    TOPIC: ClassVar[str] = "user.synced.v1"

    issuer: str
    synced_at: datetime
    error: str | None = None


class UserNotificationsChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """What he is told by mail, and in which language: only what changed; None: as for whoever has never chosen.

    `mail`: names of notices, such as `letter.due`; none of them: no mail.
    """

    TOPIC: ClassVar[str] = "user.notifications_changed.v1"

    mail: tuple[str, ...] | None | UnsetType = UNSET
    language: str | None | UnsetType = UNSET


class UserSignedOut(Event, frozen=True, kw_only=True, omit_defaults=True):
    """All sessions of the user ended at once."""

    TOPIC: ClassVar[str] = "user.signed_out.v1"


class UserExported(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that is held about him was given to whoever asked: the actor of this event."""

    TOPIC: ClassVar[str] = "user.exported.v1"


class UserErased(Event, frozen=True, kw_only=True, omit_defaults=True):
    """He was forgotten: with this event his key is destroyed, so whatever of the log was sealed under it is empty now.

    `reason` outlives him: it must not name him.
    """

    TOPIC: ClassVar[str] = "user.erased.v1"

    reason: str


UserEvent = (
    UserRegistered
    | UserProvisioned
    | UserChanged
    | UserPasswordChanged
    | UserPasswordReset
    | UserRoleChanged
    | UserBlocked
    | UserUnblocked
    | UserDeactivated
    | UserReactivated
    | UserDepartmentChanged
    | UserSynced
    | UserNotificationsChanged
    | UserSignedOut
    | UserExported
    | UserErased
)
