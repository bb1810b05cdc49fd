"""What one may ask of a session."""

from datetime import datetime
from uuid import UUID

from domain.shared import Command


class OpenSession(Command, frozen=True, kw_only=True):
    """`proved_at`: when the password was; None: now."""

    now: datetime
    user_id: UUID
    transport: str
    method: str
    expires_at: datetime
    proved_at: datetime | None = None


class ProveSession(Command, frozen=True, kw_only=True):
    """The caller has just shown that the password is known."""

    now: datetime


class CloseSession(Command, frozen=True, kw_only=True):
    reason: str


SessionCommand = OpenSession | ProveSession | CloseSession
