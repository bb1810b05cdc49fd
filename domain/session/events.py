"""What can happen to a signed-in session."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from domain.shared import Event


class SessionOpened(Event, frozen=True, kw_only=True, omit_defaults=True):
    """`proved_at`: when the password was; None: as it was opened."""

    TOPIC: ClassVar[str] = "session.opened.v1"

    user_id: UUID
    transport: str
    method: str
    opened_at: datetime
    expires_at: datetime
    proved_at: datetime | None = None


class SessionProved(Event, frozen=True, kw_only=True):
    """The password was given again (step-up)."""

    TOPIC: ClassVar[str] = "session.proved.v1"

    proved_at: datetime


class SessionClosed(Event, frozen=True, kw_only=True):
    TOPIC: ClassVar[str] = "session.closed.v1"

    reason: str


SessionEvent = SessionOpened | SessionProved | SessionClosed
