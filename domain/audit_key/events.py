"""What can happen to the keys that sign the log's checkpoints."""

from datetime import datetime
from typing import ClassVar

from domain.shared import Event


class AuditKeyRotated(Event, frozen=True, kw_only=True):
    """`vkey` signs from now on, as auditors pin it; the keys it follows sign beside it until then."""

    TOPIC: ClassVar[str] = "audit_key.rotated.v1"

    vkey: str
    follows: tuple[str, ...]
    until: datetime


AuditKeyEvent = AuditKeyRotated
