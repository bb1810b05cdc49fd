"""What one may ask of a file."""

from datetime import datetime
from uuid import UUID

from domain.shared import Command


class UploadFile(Command, frozen=True, kw_only=True):
    """Keep a file whose content has come with the request."""

    owner_id: UUID
    purpose: str
    name: str
    size: int
    content_type: str
    sha256: str
    object_id: UUID


class BeginUpload(Command, frozen=True, kw_only=True):
    owner_id: UUID
    purpose: str
    name: str
    size: int
    content_type: str | None
    expires_at: datetime


class CompleteUpload(Command, frozen=True, kw_only=True):
    """The content is in the object store. `sha256` None: only its beginning was looked at."""

    object_id: UUID
    content_type: str
    sha256: str | None = None


class RemoveFile(Command, frozen=True, kw_only=True):
    reason: str


class RecordText(Command, frozen=True, kw_only=True):
    """What became of reading its text. `sha256`: of the text, if there is any."""

    outcome: str
    characters: int = 0
    sha256: str | None = None


FileCommand = UploadFile | BeginUpload | CompleteUpload | RemoveFile | RecordText
