"""A session: opened by a sign-in, proved again by a step-up, closed for good."""

from typing import ClassVar, assert_never
from uuid import UUID

from msgspec import Struct

from domain.session.commands import (
    CloseSession,
    OpenSession,
    ProveSession,
    SessionCommand,
)
from domain.session.events import (
    SessionClosed,
    SessionEvent,
    SessionOpened,
    SessionProved,
)
from domain.shared import DomainError, Kind, Rules


class Nothing(Struct, frozen=True):
    """No such session."""


class Open(Struct, frozen=True, kw_only=True):
    user_id: UUID


class Closed(Struct, frozen=True, kw_only=True):
    user_id: UUID


Session = Nothing | Open | Closed


class SessionUnknown(DomainError):
    """No session of yours has this id."""

    code: ClassVar[str] = "session.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


class SessionIsClosed(DomainError):
    """The session has ended; sign in again."""

    code: ClassVar[str] = "session.closed"
    kind: ClassVar[Kind] = Kind.CONFLICT


def decide(session: Session, command: SessionCommand) -> tuple[SessionEvent, ...]:
    match session, command:
        case Nothing(), OpenSession():
            return (
                SessionOpened(
                    user_id=command.user_id,
                    transport=command.transport,
                    method=command.method,
                    opened_at=command.now,
                    expires_at=command.expires_at,
                    proved_at=command.proved_at,
                ),
            )
        case Nothing(), _:
            raise SessionUnknown("There is no such session.")
        case Open(), ProveSession():
            return (SessionProved(proved_at=command.now),)
        case Open(), CloseSession():
            return (SessionClosed(reason=command.reason),)
        case Closed(), CloseSession():
            return ()
        case _:
            raise SessionIsClosed("The session has ended.")


def evolve(session: Session, event: SessionEvent) -> Session:
    match event:
        case SessionOpened():
            return Open(user_id=event.user_id)
        case SessionProved():
            return session
        case SessionClosed():
            assert not isinstance(session, Nothing)
            return Closed(user_id=session.user_id)
        case _:
            assert_never(event)


SESSION: Rules[Session, SessionCommand, SessionEvent] = Rules(
    initial=Nothing(), decide=decide, evolve=evolve, unknown=SessionUnknown
)
