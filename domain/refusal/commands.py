"""What one may ask of a record of refusals."""

from datetime import datetime
from uuid import UUID

from domain.shared import Command


class NoteRefusal(Command, frozen=True, kw_only=True):
    at: datetime
    code: str
    method: str
    route: str
    required: str | None = None
    login: str | None = None
    user_id: UUID | None = None
    client_id: UUID | None = None
    session_id: UUID | None = None


class CountRefusals(Command, frozen=True, kw_only=True):
    since: datetime
    until: datetime
    counts: dict[str, int]


RefusalCommand = NoteRefusal | CountRefusals
