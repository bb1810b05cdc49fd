"""Contents of files on their way: where they come from, where they go, what is learnt of them as they pass."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from hashlib import sha256
from typing import ClassVar, Protocol
from uuid import UUID

from domain.file import content
from domain.file.aggregate import Announced
from domain.file.commands import CompleteUpload
from domain.shared import DomainError, Kind

READ_AT_ONCE = 20 << 20
"""Bytes of a presigned upload that are read through before its completion is answered; a job reads larger ones."""


class ObjectMissing(Exception):
    """The object store has nothing of this name."""


class FileEmpty(DomainError):
    """An empty file is not kept."""

    code: ClassVar[str] = "file.empty"
    kind: ClassVar[Kind] = Kind.INVALID


class FileSizeDisagrees(DomainError):
    """What was sent has another size than was announced; `size` is what it has."""

    code: ClassVar[str] = "file.size_disagrees"
    kind: ClassVar[Kind] = Kind.INVALID


class Sent(Protocol):
    """A file on its way in with a request. What stands beside the content is known, at the latest, when it has ended;
    `purpose` is None before that, while it is not known. `at_least`: bytes the content has, as announced."""

    @property
    def at_least(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def declared(self) -> str | None: ...
    @property
    def purpose(self) -> str | None: ...
    def __aiter__(self) -> AsyncIterator[bytes]: ...


class Sniffer(Protocol):
    def feed(self, chunk: bytes) -> None: ...
    def types(self) -> tuple[str, ...]: ...
    def head_types(self) -> tuple[str, ...]: ...


class Objects(Protocol):
    """Where contents are kept; infrastructure raises what says that it cannot be reached now."""

    async def store(self, object_id: UUID, content: AsyncIterable[bytes]) -> None: ...
    async def size(self, object_id: UUID) -> int:
        """In bytes. Raises ObjectMissing."""
        ...

    async def copy(self, source: UUID, target: UUID) -> None:
        """Raises ObjectMissing."""
        ...

    def reading(self, object_id: UUID) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Raises ObjectMissing."""
        ...

    async def remove(self, object_id: UUID) -> None: ...
    async def discard(self, object_id: UUID) -> None:
        """As `remove`, but what cannot be removed now is left to `FileUpkeep.sweep`."""
        ...

    async def names(self, after: UUID, before: UUID) -> list[UUID]: ...
    def upload_url(self, object_id: UUID, *, since: datetime, lifetime: timedelta) -> str: ...


class Look:
    """What is learnt of a content while it passes by."""

    def __init__(self, sniffer: Sniffer) -> None:
        self._sniffer, self._hash = sniffer, sha256()
        self.types, self.head_types = sniffer.types, sniffer.head_types
        self.size = 0
        self.content_type = ""

    def take(self, chunk: bytes) -> None:
        self.size += len(chunk)
        self._hash.update(chunk)
        self._sniffer.feed(chunk)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


async def judged(sent: Sent, look: Look, limits: Mapping[str, int]) -> AsyncIterator[bytes]:
    """The content as it passes by; a purpose that comes after it must not have allowed less.

    Raises FileTooLarge, FileEmpty, FileTypeRefused, FileTypeDisagrees, and what iterating `sent` raises.
    """
    largest = max(limits.values())
    content.require_size(sent.at_least, largest)
    async for chunk in sent:
        look.take(chunk)
        limit = limits[sent.purpose] if sent.purpose else largest
        content.require_size(max(look.size, sent.at_least), limit)
        yield chunk
    purpose = sent.purpose or content.ATTACHMENT
    content.require_size(look.size, limits[purpose])
    if not look.size:
        raise FileEmpty("The file is empty.")
    look.content_type = content.judge(sent.name, sent.declared, purpose, look.types())


async def looked_at(
    objects: Objects,
    sniffer: Callable[[], Sniffer],
    object_id: UUID,
    file: Announced,
    *,
    whole: bool = False,
) -> CompleteUpload:
    """What completes an announced upload: its content read through, or, of a large one, unless `whole`, its beginning.

    Raises ObjectMissing, FileSizeDisagrees, FileTypeRefused, FileTypeDisagrees.
    """
    if (size := await objects.size(object_id)) != file.size:
        raise FileSizeDisagrees(f"{file.size} bytes were announced, {size} were sent.", size=size)
    look = Look(sniffer())
    whole = whole or size <= READ_AT_ONCE
    async with objects.reading(object_id) as pieces:
        async for piece in pieces:
            look.take(piece)
            if not whole:
                break
    found = look.types() if whole else look.head_types()
    kept = content.judge(file.name or "", file.content_type, file.purpose, found)
    return CompleteUpload(object_id=object_id, content_type=kept, sha256=look.sha256 if whole else None)
