"""What one may ask of a person's account. `by_role` is the role of who asks: rank is a rule here, not a right."""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import UNSET, UnsetType

from domain.shared import Command


class RegisterUser(Command, frozen=True, kw_only=True):
    email: str
    role: str
    first_name: str | None = None
    last_name: str | None = None
    patronymic: str | None = None
    phone: str | None = None
    staff_number: str | None = None
    department_id: UUID | None = None
    job_title: str | None = None
    must_change_password: bool = False
    by_role: str | None = None


class ChangeUser(Command, frozen=True, kw_only=True):
    """`changes` holds field names of UserChanged with their new values. `by_role` None: by himself."""

    changes: dict[str, Any]
    by_role: str | None = None


class ChangeNotifications(Command, frozen=True, kw_only=True):
    """`changes` holds field names of UserNotificationsChanged with their new values."""

    changes: dict[str, Any]


class ChangePassword(Command, frozen=True, kw_only=True):
    keep_session_id: UUID | None = None


class ResetPassword(Command, frozen=True, kw_only=True):
    by_role: str


class ChangeRole(Command, frozen=True, kw_only=True):
    role: str
    by_role: str


class BlockUser(Command, frozen=True, kw_only=True):
    reason: str
    by_role: str


class UnblockUser(Command, frozen=True, kw_only=True):
    by_role: str


class DeactivateUser(Command, frozen=True, kw_only=True):
    """`by_role` None: by himself."""

    by_role: str | None = None


class ReactivateUser(Command, frozen=True, kw_only=True):
    by_role: str


class ChangeDepartment(Command, frozen=True, kw_only=True):
    """None: he belongs to none. `himself`: the user asks it of himself."""

    department_id: UUID | None
    by_role: str
    himself: bool = False


class ProvisionUser(Command, frozen=True, kw_only=True):
    """The user as an identity provider has him; None: it says nothing of that.

    `error`: what of it could not be taken over, None: all could, UNSET: nothing was tried.
    """

    now: datetime
    issuer: str
    sub: str
    email: str | None = None
    display_name: str | None = None
    is_active: bool | None = None
    error: str | None | UnsetType = UNSET


class RecordSync(Command, frozen=True, kw_only=True):
    """How talking with the identity provider about this user went."""

    now: datetime
    issuer: str
    error: str | None = None


class SignOutEverywhere(Command, frozen=True, kw_only=True):
    pass


class ExportUser(Command, frozen=True, kw_only=True):
    """Give out everything that is held about him."""


class EraseUser(Command, frozen=True, kw_only=True):
    """Forget him, for good."""

    reason: str
    by_role: str


UserCommand = (
    RegisterUser
    | ChangeUser
    | ChangeNotifications
    | ChangePassword
    | ResetPassword
    | ChangeRole
    | BlockUser
    | UnblockUser
    | DeactivateUser
    | ReactivateUser
    | ChangeDepartment
    | ProvisionUser
    | RecordSync
    | SignOutEverywhere
    | ExportUser
    | EraseUser
)
