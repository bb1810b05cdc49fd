"""A person with an account: active, blocked, deactivated, or erased for good. A block keeps the role."""

from collections.abc import Iterable
from typing import Any, assert_never

import msgspec
from msgspec import UNSET, convert

from domain.shared import Rules
from domain.user.account import Active, Blocked, Deactivated, Erased, Nothing, Someone, User
from domain.user.commands import (
    BlockUser,
    ChangeDepartment,
    ChangeNotifications,
    ChangePassword,
    ChangeRole,
    ChangeUser,
    DeactivateUser,
    EraseUser,
    ExportUser,
    ProvisionUser,
    ReactivateUser,
    RecordSync,
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
from domain.user.identity import heard, provision, record
from domain.user.notifications import chosen
from domain.user.refusals import (
    AboveYou,
    DepartmentOfOneself,
    EmailTaken,
    UserIsBlocked,
    UserIsDeactivated,
    UserIsErased,
    UserUnknown,
)

RANK = {"user": 0, "moderator": 1, "admin": 2, "system": 3}


def decide(user: User, command: UserCommand) -> tuple[UserEvent, ...]:
    if isinstance(command, RegisterUser):
        return register(user, command)
    if isinstance(command, ProvisionUser):
        return provision(user, command)
    if isinstance(user, Nothing):
        raise UserUnknown("There is no such user.")
    if isinstance(user, Erased):
        return of_the_erased(command)
    match command:
        case ChangeUser():
            return change(user, command)
        case ChangeNotifications():
            return change_notifications(user, command)
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
        case ChangeDepartment():
            return change_department(user, command)
        case RecordSync():
            return record(user, command)
        case SignOutEverywhere():
            return (UserSignedOut(),)
        case ExportUser():
            return (UserExported(),)
        case EraseUser():
            outrank(command.by_role, user.role)
            return (UserErased(reason=command.reason),)
        case _:
            assert_never(command)


def of_the_erased(command: UserCommand) -> tuple[UserEvent, ...]:
    """Nothing can happen to him any more. What providers report of him is not worth a word."""
    if isinstance(command, EraseUser | RecordSync):
        return ()
    raise UserIsErased("This person was forgotten.")


def register(user: User, command: RegisterUser) -> tuple[UserEvent, ...]:
    if not isinstance(user, Nothing):
        raise EmailTaken("This account exists.")
    if command.by_role is not None:
        confer(command.by_role, command.role)
    fields = msgspec.structs.asdict(command)
    fields.pop("by_role")
    return (UserRegistered(**fields),)


def change(user: Someone, command: ChangeUser) -> tuple[UserEvent, ...]:
    if command.by_role is not None:
        outrank(command.by_role, user.role)
    new = others(user, command.changes, msgspec.convert(command.changes, UserChanged))
    return (UserChanged(**new),) if new else ()


def change_notifications(user: Someone, command: ChangeNotifications) -> tuple[UserEvent, ...]:
    given = convert(command.changes, UserNotificationsChanged)
    if given.mail:
        given = msgspec.structs.replace(given, mail=chosen(given.mail))
    new = others(user, command.changes, given)
    return (UserNotificationsChanged(**new),) if new else ()


def others(user: Someone, names: Iterable[str], given: Any) -> dict[str, Any]:
    """The values that are given and not what they are already."""
    return {name: value for name in names if (value := getattr(given, name)) != getattr(user, name)}


def change_role(user: Someone, command: ChangeRole) -> tuple[UserEvent, ...]:
    for role in (user.role, command.role):
        confer(command.by_role, role)
    if user.role == command.role:
        return ()
    return (UserRoleChanged(role=command.role, active=isinstance(user, Active)),)


def change_department(user: Someone, command: ChangeDepartment) -> tuple[UserEvent, ...]:
    outrank(command.by_role, user.role)
    if user.department_id == command.department_id:
        return ()
    if command.himself and RANK.get(command.by_role, 0) < RANK["admin"]:
        raise DepartmentOfOneself("Somebody else gives you another department.")
    return (UserDepartmentChanged(department_id=command.department_id),)


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


def confer(by_role: str, role: str) -> None:
    """Nobody gives or takes a role above his own, whatever right he was granted (seed rules, 7.3). Raises AboveYou."""
    if RANK[role] > RANK.get(by_role, 0):
        raise AboveYou("This role ranks above your own.")


def evolve(user: User, event: UserEvent) -> User:
    match event:
        case UserRegistered() | UserProvisioned():
            return heard(convert(event, Active, from_attributes=True), event)
        case _:
            assert not isinstance(user, Nothing | Erased)
    match event:
        case UserChanged() | UserNotificationsChanged():
            new = {name: value for name, value in msgspec.structs.asdict(event).items() if value is not UNSET}
            return msgspec.structs.replace(user, **new)
        case UserRoleChanged():
            return msgspec.structs.replace(user, role=event.role)
        case UserDepartmentChanged():
            return msgspec.structs.replace(user, department_id=event.department_id)
        case UserSynced():
            return heard(user, event)
        case UserBlocked():
            return Blocked(**_fields(user))
        case UserDeactivated():
            return Deactivated(**_fields(user))
        case UserUnblocked() | UserReactivated():
            return Active(**_fields(user))
        case UserPasswordChanged() | UserPasswordReset() | UserSignedOut() | UserExported():
            return user
        case UserErased():
            return Erased(role=user.role)
        case _:
            assert_never(event)


def _fields(user: Someone) -> dict[str, Any]:
    return msgspec.structs.asdict(user)


USER: Rules[User, UserCommand, UserEvent] = Rules(
    initial=Nothing(), decide=decide, evolve=evolve, unknown=UserUnknown
)
