"""What a file keeps for itself: its objects in the store, and, once it is whole, that its owner may bind it."""

from typing import assert_never
from uuid import UUID

from domain.file.events import (
    FileEvent,
    FileReceived,
    FileRemoved,
    FileTextRead,
    FileUploadBegan,
    FileUploaded,
)
from domain.shared import Claim, Guard

OBJECT = "file.object"
"""Whose an object in the store is; one that nobody claims is a stray."""
OWNED = "file.owned"
"""That the file is whole, whose it is and what for; binders rely on it."""
BINDING = "file.binding"
"""Claimed by the one stream that binds the file (value: its id): a message, a user's avatar, a document."""


def owned(file_id: UUID, owner_id: UUID, purpose: str) -> tuple[str, str, UUID]:
    """The claim that stands while the owner may bind the file for that purpose: kind, value, owner."""
    return OWNED, f"{file_id}:{owner_id}:{purpose}", file_id


def guards(stream_id: UUID, event: FileEvent) -> tuple[Guard, ...]:
    match event:
        case FileUploadBegan():
            return (Claim(kind=OBJECT, values=(str(stream_id),)),)
        case FileReceived():
            return (Claim(kind=OBJECT, values=(str(event.object_id),)),)
        case FileUploaded():
            kind, value, _ = owned(stream_id, event.owner_id, event.purpose)
            return Claim(kind=OBJECT, values=(str(event.object_id),)), Claim(kind=kind, values=(value,))
        case FileRemoved():
            return Claim(kind=OBJECT, values=()), Claim(kind=OWNED, values=())
        case FileTextRead():
            return ()
        case _:
            assert_never(event)
