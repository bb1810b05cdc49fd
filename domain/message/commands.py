"""What one may ask of a message."""

from datetime import datetime
from uuid import UUID

from domain.shared import Command


class SendMessage(Command, frozen=True, kw_only=True):
    dialog_id: UUID
    sender_id: UUID
    recipient_id: UUID
    text: str | None = None
    attachments: tuple[UUID, ...] = ()


class ReadMessage(Command, frozen=True, kw_only=True):
    """`read_before`: the reader has read his dialog as far as this message, or farther."""

    now: datetime
    reader_id: UUID
    read_before: bool = False


MessageCommand = SendMessage | ReadMessage
