"""What can happen to a dialog of two."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from domain.shared import Event


class DialogOpened(Event, frozen=True, kw_only=True):
    TOPIC: ClassVar[str] = "dialog.opened.v1"

    user_ids: tuple[UUID, UUID]


class DialogRead(Event, frozen=True, kw_only=True):
    """One side has read what was sent to it as far as `message_id`, which stands at position `up_to` of the log."""

    TOPIC: ClassVar[str] = "dialog.read.v1"

    reader_id: UUID
    message_id: UUID
    up_to: int
    read_at: datetime


DialogEvent = DialogOpened | DialogRead
