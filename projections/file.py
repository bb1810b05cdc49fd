"""Files as their owners, and whoever may look at them, know them."""

from datetime import datetime
from operator import attrgetter
from typing import assert_never
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.file.content import READABLE
from domain.file.events import (
    FileEvent,
    FileReceived,
    FileRemoved,
    FileTextRead,
    FileUploadBegan,
    FileUploaded,
)
from domain.shared import Recorded
from projections.columns import Column, ColumnType
from projections.copies import Copies
from projections.projection import Fold, moved


class File(Struct, frozen=True, kw_only=True):
    """A file: `pending` until its content is there, `checking` until it was read through, `stored`.

    `sha256` is that of the content, in hex; `object_id` the name of the content in the object store. `text`: what
    became of reading it to be searched.
    """

    id: UUID
    version: int
    position: int
    state: str
    created_at: datetime
    updated_at: datetime
    owner_id: UUID
    purpose: str
    name: str | None
    size: int
    content_type: str | None
    sha256: str | None = None
    object_id: UUID | None = None
    text: str | None = None

    @property
    def archived(self) -> bool:
        return False


def _awaits_text(view: File) -> bool:
    return view.state == "stored" and view.text is None and view.content_type in READABLE


COLUMNS = {
    "owner_id": Column(type=ColumnType.UUID, get=attrgetter("owner_id"), nullable=False),
    "state": Column(
        type=ColumnType.TEXT,
        get=attrgetter("state"),
        choices=("pending", "checking", "stored"),
        nullable=False,
        indexed=False,
    ),
    "awaits_text": Column(type=ColumnType.BOOLEAN, get=_awaits_text, nullable=False),
}


def fold(view: File | None, recorded: Recorded[FileEvent]) -> File | None:
    """A removed file is shown to nobody."""
    event = recorded.event
    match event:
        case FileUploadBegan():
            return _first(recorded, event, "pending")
        case FileUploaded() if view is None:
            return _first(recorded, event, "stored", event.sha256, event.object_id)
        case FileUploaded():
            return _after(view, recorded, "stored", event, event.sha256)
        case FileReceived():
            return _after(view, recorded, "checking", event)
        case FileRemoved():
            return None
        case FileTextRead():
            assert view is not None
            return msgspec.structs.replace(view, **moved(recorded), text=event.outcome)
        case _:
            assert_never(event)


def _first(
    recorded: Recorded[FileEvent],
    event: FileUploadBegan | FileUploaded,
    state: str,
    sha256: str | None = None,
    object_id: UUID | None = None,
) -> File:
    return File(
        id=recorded.stream_id,
        version=recorded.version,
        position=recorded.position,
        state=state,
        created_at=recorded.recorded_at,
        updated_at=recorded.recorded_at,
        owner_id=event.owner_id,
        purpose=event.purpose,
        name=event.name,
        size=event.size,
        content_type=event.content_type,
        sha256=sha256,
        object_id=object_id,
    )


def _after(
    view: File | None,
    recorded: Recorded[FileEvent],
    state: str,
    event: FileReceived | FileUploaded,
    sha256: str | None = None,
) -> File:
    assert view is not None
    return msgspec.structs.replace(
        view,
        version=recorded.version,
        position=recorded.position,
        updated_at=recorded.recorded_at,
        state=state,
        content_type=event.content_type,
        object_id=event.object_id,
        sha256=sha256,
    )


def without(view: File, _owner_id: UUID) -> File:
    return msgspec.structs.replace(view, name=None)


FILES = Fold(
    name="file",
    version=2,
    view=File,
    columns=COLUMNS,
    fold=fold,
    copies=Copies(column="owner_id", without=without),
)
