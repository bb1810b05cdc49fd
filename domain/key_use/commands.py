"""What one may ask of a record of key uses."""

from datetime import datetime
from uuid import UUID

from domain.shared import Command


class NoteKeyUse(Command, frozen=True, kw_only=True):
    client_id: UUID
    key_id: str
    since: datetime
    until: datetime
    routes: dict[str, int]


class CountKeyUses(Command, frozen=True, kw_only=True):
    since: datetime
    until: datetime
    counts: dict[str, int]


KeyUseCommand = NoteKeyUse | CountKeyUses
