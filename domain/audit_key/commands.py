"""What one may ask of the log's keys."""

from datetime import datetime

from domain.shared import Command


class RotateAuditKey(Command, frozen=True, kw_only=True):
    vkey: str
    follows: tuple[str, ...]
    until: datetime


AuditKeyCommand = RotateAuditKey
