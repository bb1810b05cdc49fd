"""What one may ask of a record of refusals."""

from datetime import datetime

from domain.refusal.events import Refused
from domain.shared import Command


class NoteRefusal(Refused, Command, frozen=True, kw_only=True):
    pass


class CountRefusals(Command, frozen=True, kw_only=True):
    since: datetime
    until: datetime
    counts: dict[str, int]


RefusalCommand = NoteRefusal | CountRefusals
