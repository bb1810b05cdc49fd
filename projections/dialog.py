"""Dialogs with their last message and what each side has not read; who they are with is asked of the users."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

import msgspec
from msgspec import Struct
from psycopg import AsyncConnection

from domain.dialog.events import DialogOpened
from domain.message.events import MessageRead, MessageSent
from domain.shared import Recorded
from projections.columns import Column, ColumnType
from projections.copies import Copies
from projections.lists import Listing
from projections.projection import Fold


class LastMessage(Struct, frozen=True, kw_only=True):
    id: UUID
    sender_id: UUID
    text: str | None
    attachments: int
    sent_at: datetime


class Dialog(Struct, frozen=True, kw_only=True):
    """One dialog; `unread` counts what each of `user_ids`, in their order, has not read."""

    id: UUID
    version: int
    position: int
    created_at: datetime
    updated_at: datetime
    user_ids: tuple[UUID, UUID]
    unread: tuple[int, int] = (0, 0)
    last_message: LastMessage | None = None

    @property
    def archived(self) -> bool:
        return False

    def waiting(self, user_id: UUID) -> int:
        return self.unread[self.user_ids.index(user_id)]


COLUMNS = {
    "user_ids": Column(
        type=ColumnType.TEXT_ARRAY, get=lambda view: [str(user_id) for user_id in view.user_ids]
    ),
    "last_at": Column(
        type=ColumnType.INSTANT,
        get=lambda view: view.last_message.sent_at if view.last_message else view.created_at,
        nullable=False,
    ),
    "awaited_by": Column(
        type=ColumnType.TEXT_ARRAY,
        get=lambda view: [str(user_id) for user_id in view.user_ids if view.waiting(user_id)],
    ),
}


def about(recorded: Recorded[DialogOpened | MessageSent | MessageRead]) -> UUID:
    """The dialog that an event belongs to."""
    match recorded.event:
        case DialogOpened():
            return recorded.stream_id
        case MessageSent() | MessageRead():
            return recorded.event.dialog_id
        case _:
            assert_never(recorded.event)


def fold(view: Dialog | None, recorded: Recorded[DialogOpened | MessageSent | MessageRead]) -> Dialog:
    event = recorded.event
    if isinstance(event, DialogOpened):
        return Dialog(
            id=recorded.stream_id,
            version=recorded.version,
            position=recorded.position,
            created_at=recorded.recorded_at,
            updated_at=recorded.recorded_at,
            user_ids=event.user_ids,
        )
    assert view is not None
    after = msgspec.structs.replace(view, position=recorded.position, updated_at=recorded.recorded_at)
    match event:
        case MessageSent():
            last = LastMessage(
                id=recorded.stream_id,
                sender_id=event.sender_id,
                text=event.text,
                attachments=len(event.attachments),
                sent_at=recorded.recorded_at,
            )
            return msgspec.structs.replace(
                after, last_message=last, unread=_counted(view, event.recipient_id, 1)
            )
        case MessageRead():
            return msgspec.structs.replace(after, unread=_counted(view, event.reader_id, -1))
        case _:
            assert_never(event)


def _counted(view: Dialog, user_id: UUID, by: int) -> tuple[int, int]:
    (one, other), (first, _) = view.unread, view.user_ids
    return (one + by, other) if user_id == first else (one, other + by)


def without(view: Dialog, user_id: UUID) -> Dialog:
    last = view.last_message
    if last is None or last.sender_id != user_id:
        return view
    return msgspec.structs.replace(view, last_message=msgspec.structs.replace(last, text=None))


DIALOGS = Fold(
    name="dialog",
    version=1,
    view=Dialog,
    columns=COLUMNS,
    fold=fold,
    key=about,
    copies=Copies(column="user_ids", without=without),
)
LISTING = Listing(name="dialog", view=Dialog, columns=COLUMNS, order_by="last_at desc")
_dialog = msgspec.json.Decoder(Dialog)


async def unread(connection: AsyncConnection[Any], user_id: UUID) -> dict[UUID, int]:
    """Dialog to the number of messages that wait for this user there."""
    rows = await connection.execute("select view from read.dialog where awaited_by @> %s", ([str(user_id)],))
    found = [_dialog.decode(view) for (view,) in await rows.fetchall()]
    return {dialog.id: dialog.waiting(user_id) for dialog in found}


class Companion(Struct, frozen=True, kw_only=True):
    """Who a dialog is with, as its list shows him."""

    display_name: str | None = None
    avatar_file_id: UUID | None = None
    job_title: str | None = None


async def companions(connection: AsyncConnection[Any], user_ids: Iterable[UUID]) -> dict[UUID, Companion]:
    rows = await connection.execute("select id, view from read.user where id = any(%s)", (list(user_ids),))
    return {user_id: msgspec.json.decode(view, type=Companion) for user_id, view in await rows.fetchall()}
