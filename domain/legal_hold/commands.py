"""What one may ask of a legal hold."""

from domain.legal_hold.events import Subject
from domain.shared import Command


class PlaceLegalHold(Command, frozen=True, kw_only=True):
    subject: Subject
    reason: str


class ReleaseLegalHold(Command, frozen=True, kw_only=True):
    reason: str | None = None


LegalHoldCommand = PlaceLegalHold | ReleaseLegalHold
