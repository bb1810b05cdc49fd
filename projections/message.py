"""Messages as the two of their dialog read them."""

from datetime import datetime
from operator import attrgetter
from typing import assert_never
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.message.events import MessageEvent, MessageRead, MessageSent
from domain.shared import Recorded
from projections.columns import Column, ColumnType
from projections.copies import Copies
from projections.lists import Listing
from projections.projection import Fold


class Message(Struct, frozen=True, kw_only=True):
    """One message; its text is null once its sender was erased."""

    id: UUID
    version: int
    position: int
    state: str
    created_at: datetime
    updated_at: datetime
    dialog_id: UUID
    sender_id: UUID
    recipient_id: UUID
    text: str | None
    attachments: tuple[UUID, ...]
    read_at: datetime | None = None

    @property
    def archived(self) -> bool:
        return False


COLUMNS = {
    "state": Column(
        type=ColumnType.TEXT,
        get=attrgetter("state"),
        choices=("unread", "read"),
        nullable=False,
        indexed=False,
    ),
    "dialog_id": Column(type=ColumnType.UUID, get=attrgetter("dialog_id"), nullable=False),
    "sender_id": Column(type=ColumnType.UUID, get=attrgetter("sender_id"), nullable=False),
    "recipient_id": Column(
        type=ColumnType.UUID, get=attrgetter("recipient_id"), nullable=False, indexed=False
    ),
}


def fold(view: Message | None, recorded: Recorded[MessageEvent]) -> Message:
    event = recorded.event
    match event:
        case MessageSent():
            return Message(
                id=recorded.stream_id,
                version=recorded.version,
                position=recorded.position,
                state="unread",
                created_at=recorded.recorded_at,
                updated_at=recorded.recorded_at,
                **msgspec.structs.asdict(event),
            )
        case MessageRead():
            assert view is not None
            return msgspec.structs.replace(
                view,
                version=recorded.version,
                position=recorded.position,
                updated_at=recorded.recorded_at,
                state="read",
                read_at=event.read_at,
            )
        case _:
            assert_never(event)


def without(view: Message, _sender_id: UUID) -> Message:
    return msgspec.structs.replace(view, text=None)


MESSAGES = Fold(
    name="message",
    version=2,
    view=Message,
    columns=COLUMNS,
    fold=fold,
    copies=Copies(column="sender_id", without=without),
)
LISTING = Listing(name="message", view=Message, columns=COLUMNS)
