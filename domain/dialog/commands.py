"""What one may ask of a dialog."""

from datetime import datetime
from uuid import UUID

from domain.shared import Command


class OpenDialog(Command, frozen=True, kw_only=True):
    user_id: UUID
    with_user_id: UUID


class ReadUpTo(Command, frozen=True, kw_only=True):
    """`up_to`: the position at which the message was sent."""

    now: datetime
    reader_id: UUID
    message_id: UUID
    up_to: int


DialogCommand = OpenDialog | ReadUpTo
