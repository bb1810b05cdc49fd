"""A person with an account: active, blocked or deactivated. A block keeps the role; nothing is deleted."""

from typing import Any, ClassVar, assert_never
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct

from domain.shared import DomainError, Kind, Rules
from domain.user.commands import (
    BlockUser,
    ChangePassword,
    ChangeRole,
    ChangeUser,
    DeactivateUser,
    ReactivateUser,
    RegisterUser,
    ResetPassword,
    SignOutEverywhere,
    UnblockUser,
    UserCommand,
)
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

RANK = {"user": 0, "moderator": 1, "admin": 2, "system": 3}


class Nothing(Struct, frozen=True):
    """Nobody, yet."""


class Account(Struct, frozen=True, kw_only=True):
    """What stays the same from state to state."""

    role: str
    email: str | None = None
    staff_number: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    patronymic: str | None = None
    phone: str | None = None
    job_title: str | None = None
    avatar_file_id: UUID | None = None


class Active(Account, frozen=True, kw_only=True):
    pass


class Blocked(Account, frozen=True, kw_only=True):
    pass


class Deactivated(Account, frozen=True, kw_only=True):
    pass


Someone = Active | Blocked | Deactivated
User = Nothing | Someone


class UserUnknown(DomainError):
    """No user has this id, or it is not yours to know."""

    code: ClassVar[str] = "user.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


class EmailTaken(DomainError):
    """Another account has this e-mail address."""

    code: ClassVar[str] = "user.email_taken"
    kind: ClassVar[Kind] = Kind.CONFLICT


class StaffNumberTaken(DomainError):
    """Another account has this staff number."""

    code: ClassVar[str] = "user.staff_number_taken"
    kind: ClassVar[Kind] = Kind.CONFLICT


class AboveYou(DomainError):
    """A moderator acts on users and moderators, never on an administrator, and makes nobody one."""

    code: ClassVar[str] = "user.above_you"
    kind: ClassVar[Kind] = Kind.FORBIDDEN


class LastAdmin(DomainError):
    """The last active administrator stays one."""

    code: ClassVar[str] = "user.last_admin"
    kind: ClassVar[Kind] = Kind.CONFLICT


class UserIsDeactivated(DomainError):
    """A deactivated account must be reactivated first."""

    code: ClassVar[str] = "user.deactivated"
    kind: ClassVar[Kind] = Kind.CONFLICT


class UserIsBlocked(DomainError):
    """A blocked account must be unblocked first."""

    code: ClassVar[str] = "user.blocked"
    kind: ClassVar[Kind] = Kind.CONFLICT


def decide(user: User, command: UserCommand) -> tuple[UserEvent, ...]:
    if isinstance(command, RegisterUser):
        return register(user, command)
    if isinstance(user, Nothing):
        raise UserUnknown("There is no such user.")
    match command:
        case ChangeUser():
            return change(user, command)
        case ChangePassword():
            return (UserPasswordChanged(kept_session_id=command.keep_session_id),)
        case ResetPassword():
            outrank(command.by_role, user.role, strictly=True)
            return (UserPasswordReset(),)
        case ChangeRole():
            return change_role(user, command)
        case BlockUser():
            return block(user, command)
        case UnblockUser():
            outrank(command.by_role, user.role)
            return (UserUnblocked(role=user.role),) if isinstance(user, Blocked) else ()
        case DeactivateUser():
            if command.by_role is not None:
                outrank(command.by_role, user.role)
            return () if isinstance(user, Deactivated) else (UserDeactivated(),)
        case ReactivateUser():
            return reactivate(user, command)
        case SignOutEverywhere():
            return (UserSignedOut(),)
        case _:
            assert_never(command)


def register(user: User, command: RegisterUser) -> tuple[UserEvent, ...]:
    if not isinstance(user, Nothing):
        raise EmailTaken("This account exists.")
    if command.by_role is not None:
        outrank(command.by_role, command.role)
    fields = msgspec.structs.asdict(command)
    fields.pop("by_role")
    return (UserRegistered(**fields),)


def change(user: Someone, command: ChangeUser) -> tuple[UserEvent, ...]:
    if command.by_role is not None:
        outrank(command.by_role, user.role)
    given = msgspec.convert(command.changes, UserChanged)
    new = {name: value for name in command.changes if (value := getattr(given, name)) != getattr(user, name)}
    return (UserChanged(**new),) if new else ()


def change_role(user: Someone, command: ChangeRole) -> tuple[UserEvent, ...]:
    outrank(command.by_role, user.role)
    outrank(command.by_role, command.role)
    if user.role == command.role:
        return ()
    return (UserRoleChanged(role=command.role, active=isinstance(user, Active)),)


def block(user: Someone, command: BlockUser) -> tuple[UserEvent, ...]:
    outrank(command.by_role, user.role)
    match user:
        case Active():
            return (UserBlocked(reason=command.reason),)
        case Blocked():
            return ()
        case Deactivated():
            raise UserIsDeactivated("A deactivated account is not blocked.")
        case _:
            assert_never(user)


def reactivate(user: Someone, command: ReactivateUser) -> tuple[UserEvent, ...]:
    outrank(command.by_role, user.role)
    match user:
        case Active():
            return ()
        case Blocked():
            raise UserIsBlocked("A blocked account is unblocked, not reactivated.")
        case Deactivated():
            return (UserReactivated(role=user.role),)
        case _:
            assert_never(user)


def outrank(by_role: str, role: str, *, strictly: bool = False) -> None:
    """Administrators act on all; others on nobody above them, `strictly` on nobody beside them. Raises AboveYou."""
    mine, his = RANK.get(by_role, 0), RANK[role]
    if mine >= RANK["admin"]:
        return
    if his == RANK["admin"] or (strictly and his >= mine):
        raise AboveYou("This account ranks above what you may touch.")


def evolve(user: User, event: UserEvent) -> User:
    if isinstance(event, UserRegistered):
        fields = {
            name: getattr(event, name) for name in Account.__struct_fields__ if name != "avatar_file_id"
        }
        return Active(**fields)
    assert not isinstance(user, Nothing)
    match event:
        case UserChanged():
            new = {name: value for name, value in msgspec.structs.asdict(event).items() if value is not UNSET}
            return msgspec.structs.replace(user, **new)
        case UserRoleChanged():
            return msgspec.structs.replace(user, role=event.role)
        case UserBlocked():
            return Blocked(**_fields(user))
        case UserDeactivated():
            return Deactivated(**_fields(user))
        case UserUnblocked() | UserReactivated():
            return Active(**_fields(user))
        case UserPasswordChanged() | UserPasswordReset() | UserSignedOut():
            return user
        case _:
            assert_never(event)


def _fields(user: Someone) -> dict[str, Any]:
    return msgspec.structs.asdict(user)


USER: Rules[User, UserCommand, UserEvent] = Rules(
    initial=Nothing(), decide=decide, evolve=evolve, unknown=UserUnknown
)
