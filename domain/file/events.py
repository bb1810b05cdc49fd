"""What can happen to a file."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from domain.shared import Event, Personal


class FileUploadBegan(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Its owner may send the content straight to the object store; size and type are as he announced them."""

    TOPIC: ClassVar[str] = "file.upload_began.v1"
    SUBJECT: ClassVar[str | None] = "owner_id"

    owner_id: UUID
    purpose: str
    name: Personal[str] = None
    size: int
    content_type: str | None = None
    expires_at: datetime


class FileReceived(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The whole content is there, its beginning looks right; the rest is still to be read through."""

    TOPIC: ClassVar[str] = "file.received.v1"

    object_id: UUID
    content_type: str


class FileUploaded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The content was read from the first byte to the last: this is its size, type and sha256 (hex).

    `object_id` is its name in the object store.
    """

    TOPIC: ClassVar[str] = "file.uploaded.v1"
    SUBJECT: ClassVar[str | None] = "owner_id"

    owner_id: UUID
    purpose: str
    name: Personal[str] = None
    size: int
    content_type: str
    sha256: str
    object_id: UUID


class FileRemoved(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Its content is deleted; what is known of it stays."""

    TOPIC: ClassVar[str] = "file.removed.v1"

    reason: str


class FileTextRead(Event, frozen=True, kw_only=True, omit_defaults=True):
    """What it says was read, to be searched. The text is kept beside the log: `sha256` (hex) and `characters` are its.

    `outcome`: `read`; `nothing`, where there is no text; `encrypted`, `damaged`, or `too_costly` to be read to its end.
    """

    TOPIC: ClassVar[str] = "file.text_read.v1"

    outcome: str
    characters: int = 0
    sha256: str | None = None


FileEvent = FileUploadBegan | FileReceived | FileUploaded | FileRemoved | FileTextRead
