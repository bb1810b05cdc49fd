"""A person with an account: active, blocked, deactivated or erased."""

from typing import ClassVar, assert_never

import msgspec
from msgspec import Struct

from domain.shared import DomainError, Kind, Rules
from domain.user.commands import RegisterUser, SignOutEverywhere, UserCommand
from domain.user.events import UserEvent, UserRegistered, UserSignedOut


class Nothing(Struct, frozen=True):
    """Nobody, yet."""


class Active(Struct, frozen=True, kw_only=True):
    role: str


User = Nothing | Active


class UserUnknown(DomainError):
    """No user has this id, or it is not yours to know."""

    code: ClassVar[str] = "user.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


class EmailTaken(DomainError):
    """Another account has this e-mail address or staff number."""

    code: ClassVar[str] = "user.email_taken"
    kind: ClassVar[Kind] = Kind.CONFLICT


def decide(user: User, command: UserCommand) -> tuple[UserEvent, ...]:
    match command:
        case RegisterUser():
            if not isinstance(user, Nothing):
                raise EmailTaken("This account exists.")
            return (UserRegistered(**msgspec.structs.asdict(command)),)
        case SignOutEverywhere():
            if isinstance(user, Nothing):
                raise UserUnknown("There is no such user.")
            return (UserSignedOut(),)
        case _:
            assert_never(command)


def evolve(user: User, event: UserEvent) -> User:
    match event:
        case UserRegistered():
            return Active(role=event.role)
        case UserSignedOut():
            return user
        case _:
            assert_never(event)


USER: Rules[User, UserCommand, UserEvent] = Rules(
    initial=Nothing(), decide=decide, evolve=evolve, unknown=UserUnknown
)
