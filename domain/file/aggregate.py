"""A file: stored at once, or announced, received and checked; removed when nothing binds it.

What binds a file is not its own business: a message, a user or a document claims it (`file.binding`).
"""

from typing import ClassVar, assert_never
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.file.commands import (
    BeginUpload,
    CompleteUpload,
    FileCommand,
    RecordText,
    RemoveFile,
    UploadFile,
)
from domain.file.events import (
    FileEvent,
    FileReceived,
    FileRemoved,
    FileTextRead,
    FileUploadBegan,
    FileUploaded,
)
from domain.shared import DomainError, Kind, Rules


class Nothing(Struct, frozen=True):
    """No such file, yet."""


class Announced(Struct, frozen=True, kw_only=True):
    """Its owner may send it; `content_type` is what he says it is."""

    owner_id: UUID
    purpose: str
    name: str | None
    size: int
    content_type: str | None


class Received(Struct, frozen=True, kw_only=True):
    """All of it is there, not all of it was looked at."""

    announced: Announced
    object_id: UUID
    content_type: str


class Kept(Struct, frozen=True, kw_only=True):
    """Whole, hashed, of a type that was looked at. `text`: what became of reading it, if anybody has."""

    owner_id: UUID
    purpose: str
    object_id: UUID
    content_type: str
    size: int
    sha256: str
    text: FileTextRead | None = None


class Removed(Struct, frozen=True, kw_only=True):
    """Deleted; `objects` are the names its content had in the object store."""

    objects: tuple[UUID, ...]


File = Nothing | Announced | Received | Kept | Removed


class FileUnknown(DomainError):
    """No file has this id, or it is not yours to know."""

    code: ClassVar[str] = "file.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


class FileExists(DomainError):
    """This file is stored already."""

    code: ClassVar[str] = "file.exists"
    kind: ClassVar[Kind] = Kind.CONFLICT


def decide(file: File, command: FileCommand) -> tuple[FileEvent, ...]:
    match command:
        case UploadFile():
            return _first(file, FileUploaded(**msgspec.structs.asdict(command)))
        case BeginUpload():
            return _first(file, FileUploadBegan(**msgspec.structs.asdict(command)))
        case CompleteUpload():
            return complete(file, command)
        case RemoveFile():
            return remove(file, command)
        case RecordText():
            return record_text(file, command)
        case _:
            assert_never(command)


def _first(file: File, event: FileEvent) -> tuple[FileEvent, ...]:
    if not isinstance(file, Nothing):
        raise FileExists("This id is taken.")
    return (event,)


def complete(file: File, command: CompleteUpload) -> tuple[FileEvent, ...]:
    match file:
        case Nothing() | Removed():
            raise FileUnknown("There is no such file.")
        case Kept():
            return ()
        case Received() if command.sha256 is None:
            return ()
        case Announced() if command.sha256 is None:
            return (FileReceived(object_id=command.object_id, content_type=command.content_type),)
        case Announced() as announced:
            return (_uploaded(announced, command, command.sha256),)
        case Received(announced=announced):
            return (_uploaded(announced, command, command.sha256),)
        case _:
            assert_never(file)


def _uploaded(announced: Announced, command: CompleteUpload, sha256: str | None) -> FileUploaded:
    assert sha256 is not None
    return FileUploaded(
        owner_id=announced.owner_id,
        purpose=announced.purpose,
        name=announced.name,
        size=announced.size,
        content_type=command.content_type,
        sha256=sha256,
        object_id=command.object_id,
    )


def remove(file: File, command: RemoveFile) -> tuple[FileEvent, ...]:
    match file:
        case Nothing():
            raise FileUnknown("There is no such file.")
        case Removed():
            return ()
        case Announced() | Received() | Kept():
            return (FileRemoved(reason=command.reason),)
        case _:
            assert_never(file)


def record_text(file: File, command: RecordText) -> tuple[FileEvent, ...]:
    """Of a file that is gone meanwhile there is nothing to record."""
    match file:
        case Nothing():
            raise FileUnknown("There is no such file.")
        case Announced() | Received() | Removed():
            return ()
        case Kept(text=before):
            found = FileTextRead(**msgspec.structs.asdict(command))
            return () if found == before else (found,)
        case _:
            assert_never(file)


def evolve(file: File, event: FileEvent) -> File:
    match event:
        case FileUploadBegan():
            return msgspec.convert(event, Announced, from_attributes=True)
        case FileReceived():
            assert isinstance(file, Announced)
            return Received(announced=file, object_id=event.object_id, content_type=event.content_type)
        case FileUploaded():
            return msgspec.convert(event, Kept, from_attributes=True)
        case FileRemoved():
            return Removed(objects=objects(file))
        case FileTextRead():
            assert isinstance(file, Kept)
            return msgspec.structs.replace(file, text=event)
        case _:
            assert_never(event)


def objects(file: File) -> tuple[UUID, ...]:
    """The names its content has in the object store; while it is still being sent it has the file's own."""
    match file:
        case Received(object_id=object_id) | Kept(object_id=object_id):
            return (object_id,)
        case Removed(objects=deleted):
            return deleted
        case Nothing() | Announced():
            return ()
        case _:
            assert_never(file)


FILE: Rules[File, FileCommand, FileEvent] = Rules(
    initial=Nothing(), decide=decide, evolve=evolve, unknown=FileUnknown
)
