"""What can happen to a message from one person to another."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from domain.shared import Event, Personal


class MessageSent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The text belongs to its sender: with his key it is erased."""

    TOPIC: ClassVar[str] = "message.sent.v1"
    SUBJECT: ClassVar[str | None] = "sender_id"

    dialog_id: UUID
    sender_id: UUID
    recipient_id: UUID
    text: Personal[str] = None
    attachments: tuple[UUID, ...] = ()


class MessageRead(Event, frozen=True, kw_only=True):
    TOPIC: ClassVar[str] = "message.read.v1"

    dialog_id: UUID
    reader_id: UUID
    read_at: datetime


MessageEvent = MessageSent | MessageRead
