"""Files: taken in as they stream by, announced and fetched from the object store, bound by others, removed when unbound."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, ClassVar, Protocol
from uuid import UUID

from msgspec import Struct, structs

from application.access import AccessError, Need, system
from application.execute import Context, DryRun, Execute, TooBusy
from application.ports import Answer, Claims, ClaimTaken, EventStore, NewId, Reliance
from domain.file import content
from domain.file.aggregate import (
    FILE,
    Announced,
    File,
    FileUnknown,
    Kept,
    Nothing,
    Received,
    Removed,
    objects,
)
from domain.file.commands import BeginUpload, CompleteUpload, RemoveFile, UploadFile
from domain.file.guards import BINDING, OBJECT, owned
from domain.shared import DomainError, FieldError, Kind

OWN = Need(right=None)
URL_LIFETIME = timedelta(minutes=15)
"""How long content may be sent to a presigned address."""
READ_AT_ONCE = 20 << 20
"""Bytes of a presigned upload that are read through before its completion is answered; a job reads larger ones."""
UNBOUND_FOR = timedelta(hours=24)
"""How long a file may stay unbound, and an object without a file."""


class FileNotYours(DomainError):
    """No complete file of yours with this id and purpose exists."""

    code: ClassVar[str] = "file.not_yours"
    kind: ClassVar[Kind] = Kind.WRONG_REFERENCE


class FileAlreadyBound(DomainError):
    """The file belongs to something else already; upload it again."""

    code: ClassVar[str] = "file.already_bound"
    kind: ClassVar[Kind] = Kind.CONFLICT


class FileEmpty(DomainError):
    """An empty file is not kept."""

    code: ClassVar[str] = "file.empty"
    kind: ClassVar[Kind] = Kind.INVALID


class FileNotSent(DomainError):
    """Nothing has been sent to the upload's address yet, or it was sent too late."""

    code: ClassVar[str] = "file.not_sent"
    kind: ClassVar[Kind] = Kind.CONFLICT


class FileSizeDisagrees(DomainError):
    """What was sent has another size than was announced; `size` is what it has."""

    code: ClassVar[str] = "file.size_disagrees"
    kind: ClassVar[Kind] = Kind.INVALID


class ObjectMissing(Exception):
    """The object store has nothing of this name."""


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
        """As `remove`, but what cannot be removed now is left to `Files.sweep`."""
        ...

    async def names(self, after: UUID, before: UUID) -> list[UUID]: ...
    def upload_url(self, object_id: UUID, *, since: datetime, lifetime: timedelta) -> str: ...


class Unbound(Protocol):
    async def __call__(self, before: UUID, limit: int) -> list[UUID]:
        """Files named before that id which nothing binds, oldest first."""
        ...


class Facts(Struct, frozen=True, kw_only=True):
    """What a request says and sends, as its idempotency key stands for it."""

    name: str
    purpose: str
    declared: str | None
    size: int
    sha256: str


class Files:
    """`limits`: bytes at most, by purpose. `id_of_time`: the first id that could be made at that instant."""

    def __init__(
        self,
        execute: Execute,
        store: EventStore,
        claims: Claims,
        objects: Objects,
        sniffer: Callable[[], Sniffer],
        limits: Mapping[str, int],
        new_id: NewId,
        id_of_time: Callable[[datetime], UUID],
        unbound: Unbound,
    ) -> None:
        self._execute, self._store, self._claims, self._objects = execute, store, claims, objects
        self._sniffer, self.limits, self._new_id = sniffer, limits, new_id
        self._id_of_time, self._unbound = id_of_time, unbound

    # --- in with the request -----------------------------------------------------------------------------------

    async def upload(
        self, sent: Sent, asked: Callable[[Facts], Context], *, dry_run: bool
    ) -> Answer | DryRun:
        """Takes the content in and records it; whatever is refused leaves nothing behind.

        `asked` makes the context when everything is known; it must not fail.
        """
        file_id, look = self._new_id(), _Look(self._sniffer())
        passing = self._judged(sent, look)
        if dry_run:
            async for _ in passing:
                pass
        else:
            await self._objects.store(file_id, passing)
        purpose = sent.purpose or content.ATTACHMENT
        facts = Facts(
            name=sent.name, purpose=purpose, declared=sent.declared, size=look.size, sha256=look.sha256
        )
        context = asked(facts)
        command = UploadFile(
            owner_id=context.caller.actor.id,
            purpose=purpose,
            name=facts.name,
            size=facts.size,
            content_type=look.content_type,
            sha256=facts.sha256,
            object_id=file_id,
        )
        try:
            answer = await self._execute(FILE, file_id, command, context, OWN, new=True, extra=_told(command))
        except (
            DomainError,
            AccessError,
            TooBusy,
        ):  # of what else went wrong it is not known whether it is recorded
            await self._objects.discard(file_id)
            raise
        if isinstance(answer, Answer) and answer.id != file_id:  # the answer to an earlier request
            await self._objects.discard(file_id)
        return answer

    async def _judged(self, sent: Sent, look: "_Look") -> AsyncIterator[bytes]:
        """The content as it passes by; a purpose that comes after it must not have allowed less."""
        largest = max(self.limits.values())
        content.require_size(sent.at_least, largest)
        async for chunk in sent:
            look.take(chunk)
            limit = self.limits[sent.purpose] if sent.purpose else largest
            content.require_size(max(look.size, sent.at_least), limit)
            yield chunk
        purpose = sent.purpose or content.ATTACHMENT
        content.require_size(look.size, self.limits[purpose])
        if not look.size:
            raise FileEmpty("The file is empty.")
        look.content_type = content.judge(sent.name, sent.declared, purpose, look.types())

    # --- past us, straight into the object store ---------------------------------------------------------------

    async def begin(
        self, *, name: str, purpose: str, size: int, content_type: str | None, context: Context
    ) -> Answer | DryRun:
        """Announces a file and answers where to PUT its content. Raises FileTooLarge, FileTypeRefused."""
        content.require_size(size, self.limits[purpose])
        content.judge_claims(name, content_type, purpose)
        expires = self._execute.clock().replace(microsecond=0) + URL_LIFETIME
        command = BeginUpload(
            owner_id=context.caller.actor.id,
            purpose=purpose,
            name=name,
            size=size,
            content_type=content_type,
            expires_at=expires,
        )
        extra = {"method": "PUT", "expires": expires}
        answer = await self._execute(FILE, self._new_id(), command, context, OWN, new=True, extra=extra)
        if isinstance(answer, DryRun):
            return answer
        # Never stored, since whoever has it may write; made again for a repeat it is the same.
        until = answer.extra["expires"]
        since = (datetime.fromisoformat(until) if isinstance(until, str) else until) - URL_LIFETIME
        url = self._objects.upload_url(answer.id, since=since, lifetime=URL_LIFETIME)
        return structs.replace(answer, extra={**answer.extra, "url": url})

    async def complete(self, file_id: UUID, context: Context) -> Answer | DryRun:
        """Fetches what was sent to the presigned address to where the address does not reach, and looks at it.

        Raises FileUnknown, FileNotSent, FileSizeDisagrees, FileTypeRefused, FileTypeDisagrees.
        """
        file = await self._mine(file_id, context.caller.actor.id)
        if not isinstance(file, Announced):
            done = CompleteUpload(object_id=file_id, content_type="")
            return await self._execute(FILE, file_id, done, context, OWN, extra=_standing(file))
        if context.dry_run:
            command = await self._looked_at(file_id, file)
            return await self._execute(FILE, file_id, command, context, OWN)
        object_id = self._new_id()
        try:
            await self._objects.copy(file_id, object_id)
            command = await self._looked_at(object_id, file)
            answer = await self._execute(FILE, file_id, command, context, OWN, extra=_told(command))
        except ObjectMissing:
            raise FileNotSent("Send the content to the address first, then complete the upload.") from None
        except (DomainError, AccessError, TooBusy):
            await self._objects.discard(object_id)
            raise
        after = (await self._store.load(FILE, file_id)).state
        await self._objects.discard(file_id if object_id in objects(after) else object_id)
        return answer

    async def recheck(self, file_id: UUID) -> None:
        """Reads a large upload through, to its hash; what is not what it seemed is removed. For a job: safe to repeat.

        Raises FileUnknown.
        """
        file = (await self._store.load(FILE, file_id, fresh=True)).state
        if isinstance(file, Nothing):
            raise FileUnknown("There is no such file.")
        if not isinstance(file, Received):
            return
        context = Context(caller=system(), request_id="file.check")
        try:
            command = await self._looked_at(file.object_id, file.announced, whole=True)
        except (DomainError, ObjectMissing) as refusal:
            await self.remove(file_id, reason=getattr(refusal, "code", "missing"))
            return
        await self._execute(FILE, file_id, command, context, OWN)

    async def _looked_at(self, object_id: UUID, file: Announced, *, whole: bool = False) -> CompleteUpload:
        if (size := await self._objects.size(object_id)) != file.size:
            raise FileSizeDisagrees(f"{file.size} bytes were announced, {size} were sent.", size=size)
        look = _Look(self._sniffer())
        whole = whole or size <= READ_AT_ONCE
        async with self._objects.reading(object_id) as pieces:
            async for piece in pieces:
                look.take(piece)
                if not whole:
                    break
        found = look.types() if whole else look.head_types()
        kept = content.judge(file.name or "", file.content_type, file.purpose, found)
        return CompleteUpload(object_id=object_id, content_type=kept, sha256=look.sha256 if whole else None)

    async def _mine(self, file_id: UUID, owner_id: UUID) -> File:
        file = (await self._store.load(FILE, file_id, fresh=True)).state
        about = file.announced if isinstance(file, Received) else file
        if not isinstance(about, Announced | Kept) or about.owner_id != owner_id:
            raise FileUnknown("There is no such file.")
        return file

    # --- bound by others ---------------------------------------------------------------------------------------

    async def binding(
        self,
        file_ids: Sequence[UUID],
        owner_id: UUID,
        *,
        purpose: str = content.ATTACHMENT,
        binder: UUID | None = None,
        pointer: str = "/attachments/{}",
    ) -> Reliance:
        """What a command relies on that binds these files: that each is whole, its owner's and for this purpose.

        The binder's own guards claim (`file.binding`, id), so that a file is bound once; `binder` may have it already.
        `pointer` says where in the body the n-th id stands. Raises FileNotYours, FileAlreadyBound, with every wrong id.
        """
        claims = [owned(file_id, owner_id, purpose) for file_id in file_ids]
        found = await asyncio.gather(*(self._claims.owner(kind, value) for kind, value, _ in claims))
        foreign = [at for at, file_id in enumerate(file_ids) if found[at] != file_id]
        if foreign:
            errors = _wrong(foreign, pointer, "not_yours", "You have no such complete file for this.")
            raise FileNotYours("Not every file is yours to use here.", errors=errors)
        binders = await asyncio.gather(*(self._claims.owner(BINDING, str(each)) for each in file_ids))
        if bound := [at for at, owner in enumerate(binders) if owner not in (None, binder)]:
            errors = _wrong(bound, pointer, "already_bound", "This file belongs to something else already.")
            raise FileAlreadyBound("A file can be used once.", errors=errors)
        return Reliance(require=tuple(claims))

    async def avatar(self, file_id: UUID, user_id: UUID) -> Reliance:
        """As `binding`: the user's own image, uploaded as an avatar."""
        return await self.binding(
            (file_id,), user_id, purpose=content.AVATAR, binder=user_id, pointer="/avatar_file_id"
        )

    def taken(self, taken: ClaimTaken) -> DomainError:
        """What a binder says whose claim on a file came too late."""
        assert taken.kind == BINDING
        return FileAlreadyBound("A file can be used once.")

    # --- cleaned up --------------------------------------------------------------------------------------------

    async def orphans(self, now: datetime, limit: int = 1_000) -> list[UUID]:
        """Files that nothing has bound for a day, complete or not, oldest first."""
        return await self._unbound(self._id_of_time(now - UNBOUND_FOR), limit)

    async def remove(self, file_id: UUID, *, reason: str = "unbound") -> None:
        """Records that it is gone, then deletes its content. A file bound meanwhile stays. For a job: safe to repeat.

        Raises FileUnknown, FileAlreadyBound.
        """

        async def unbound() -> Reliance:
            if await self._claims.owner(BINDING, str(file_id)) is not None:
                raise FileAlreadyBound("This file is in use.")
            return Reliance(require_none=((BINDING, str(file_id)),))

        context = Context(caller=system(), request_id="file.remove")
        await self._execute(FILE, file_id, RemoveFile(reason=reason), context, OWN, relies=unbound)
        removed = (await self._store.load(FILE, file_id)).state
        assert isinstance(removed, Removed)
        for object_id in {file_id, *removed.objects}:
            await self._objects.remove(object_id)

    async def sweep(self, now: datetime) -> int:
        """Deletes objects of yesterday's that no file owns: what a crash between storing and recording left behind.

        Answers how many. To be called at least once a day.
        """
        strays = await self._objects.names(
            self._id_of_time(now - 3 * UNBOUND_FOR), self._id_of_time(now - UNBOUND_FOR)
        )
        gone = 0
        for object_id in strays:
            if await self._claims.owner(OBJECT, str(object_id)) is None:
                await self._objects.remove(object_id)
                gone += 1
        return gone


class _Look:
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


def _told(command: UploadFile | CompleteUpload) -> dict[str, Any]:
    """What a receipt adds."""
    state = "stored" if command.sha256 else "checking"
    told = {"state": state, "content_type": command.content_type, "sha256": command.sha256}
    if isinstance(command, UploadFile):
        told |= {"name": command.name, "purpose": command.purpose, "size": command.size}
    return told


def _standing(file: File) -> dict[str, Any]:
    """The same of an upload that was completed before."""
    if isinstance(file, Kept):
        return {"state": "stored", "content_type": file.content_type, "sha256": file.sha256}
    assert isinstance(file, Received)
    return {"state": "checking", "content_type": file.content_type, "sha256": None}


def _wrong(places: list[int], pointer: str, code: str, detail: str) -> tuple[FieldError, ...]:
    return tuple(FieldError(pointer=pointer.format(at), code=code, detail=detail) for at in places)
