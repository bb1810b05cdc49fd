"""Dialogs with their last message; who they are with is asked of the users, what waits in them of the messages."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

import msgspec
from msgspec import Struct
from psycopg import AsyncConnection

from domain.dialog.events import DialogEvent, DialogOpened, DialogRead
from domain.message.events import MessageSent
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
    """One dialog of two."""

    id: UUID
    version: int
    position: int
    created_at: datetime
    updated_at: datetime
    user_ids: tuple[UUID, UUID]
    last_message: LastMessage | None = None

    @property
    def archived(self) -> bool:
        return False


COLUMNS = {
    "user_ids": Column(
        type=ColumnType.TEXT_ARRAY, get=lambda view: [str(user_id) for user_id in view.user_ids]
    ),
    "last_at": Column(
        type=ColumnType.INSTANT,
        get=lambda view: view.last_message.sent_at if view.last_message else view.created_at,
        nullable=False,
    ),
}


def about(recorded: Recorded[DialogEvent | MessageSent]) -> UUID:
    """The dialog that an event belongs to."""
    match recorded.event:
        case DialogOpened() | DialogRead():
            return recorded.stream_id
        case MessageSent():
            return recorded.event.dialog_id
        case _:
            assert_never(recorded.event)


def fold(view: Dialog | None, recorded: Recorded[DialogEvent | MessageSent]) -> Dialog:
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
            return msgspec.structs.replace(after, last_message=last)
        case DialogRead():
            return msgspec.structs.replace(after, version=recorded.version)
        case _:
            assert_never(event)


def without(view: Dialog, user_id: UUID) -> Dialog:
    last = view.last_message
    if last is None or last.sender_id != user_id:
        return view
    return msgspec.structs.replace(view, last_message=msgspec.structs.replace(last, text=None))


DIALOGS = Fold(
    name="dialog",
    version=2,
    view=Dialog,
    columns=COLUMNS,
    fold=fold,
    key=about,
    copies=Copies(column="user_ids", without=without),
)
LISTING = Listing(name="dialog", view=Dialog, columns=COLUMNS, order_by="last_at desc")


class Companion(Struct, frozen=True, kw_only=True):
    """Who a dialog is with, as its list shows him."""

    display_name: str | None = None
    avatar_file_id: UUID | None = None
    job_title: str | None = None
    department: str | None = None


async def companions(connection: AsyncConnection[Any], user_ids: Iterable[UUID]) -> dict[UUID, Companion]:
    rows = await connection.execute(
        "select u.id, u.view, d.view from read.user u left join read.department d on d.id = u.department_id"
        " where u.id = any(%s)",
        (list(user_ids),),
    )
    return {
        user_id: msgspec.structs.replace(_person.decode(view), department=_name(department))
        for user_id, view, department in await rows.fetchall()
    }


class _Named(Struct, frozen=True):
    name: str


_person, _named = msgspec.json.Decoder(Companion), msgspec.json.Decoder(_Named)


def _name(department: bytes | None) -> str | None:
    return None if department is None else _named.decode(department).name
