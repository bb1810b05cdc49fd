"""Files: taken in as they stream by, or announced and fetched from the object store; bound once, by their owner."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from msgspec import Struct, structs

from application.access import AccessError, Need
from application.context import Context, DryRun, TooBusy
from application.execute import Execute
from application.file_content import Look, ObjectMissing, Objects, Sent, Sniffer, judged, looked_at
from application.ports import Answer, Claims, ClaimTaken, EventStore, NewId, Reliance
from domain.file import content
from domain.file.aggregate import FILE, Announced, File, FileUnknown, Kept, Received, objects
from domain.file.commands import BeginUpload, CompleteUpload, UploadFile
from domain.file.guards import BINDING, owned
from domain.shared import DomainError, FieldError, Kind

OWN = Need(right=None)
URL_LIFETIME = timedelta(minutes=15)
"""How long content may be sent to a presigned address."""


class FileNotYours(DomainError):
    """No complete file of yours with this id and purpose exists."""

    code: ClassVar[str] = "file.not_yours"
    kind: ClassVar[Kind] = Kind.WRONG_REFERENCE


class FileAlreadyBound(DomainError):
    """The file belongs to something else already; upload it again."""

    code: ClassVar[str] = "file.already_bound"
    kind: ClassVar[Kind] = Kind.CONFLICT


class FileNotSent(DomainError):
    """Nothing has been sent to the upload's address yet, or it was sent too late."""

    code: ClassVar[str] = "file.not_sent"
    kind: ClassVar[Kind] = Kind.CONFLICT


class Facts(Struct, frozen=True, kw_only=True):
    """What a request says and sends, as its idempotency key stands for it."""

    name: str
    purpose: str
    declared: str | None
    size: int
    sha256: str


class Files:
    """`limits`: bytes at most, by purpose."""

    def __init__(
        self,
        execute: Execute,
        store: EventStore,
        claims: Claims,
        objects: Objects,
        sniffer: Callable[[], Sniffer],
        limits: Mapping[str, int],
        new_id: NewId,
    ) -> None:
        self._execute, self._store, self._claims, self._objects = execute, store, claims, objects
        self._sniffer, self._limits, self._new_id = sniffer, limits, new_id

    # --- in with the request -----------------------------------------------------------------------------------

    async def upload(
        self, sent: Sent, asked: Callable[[Facts], Context], *, dry_run: bool
    ) -> Answer | DryRun:
        """Takes the content in and records it; whatever is refused leaves nothing behind.

        `asked` makes the context when everything is known; it must not fail.
        """
        file_id, look = self._new_id(), Look(self._sniffer())
        passing = judged(sent, look, self._limits)
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
        except (DomainError, AccessError, TooBusy):  # after anything else it may be recorded all the same
            await self._objects.discard(file_id)
            raise
        if isinstance(answer, Answer) and answer.id != file_id:  # the answer to an earlier request
            await self._objects.discard(file_id)
        return answer

    # --- past us, straight into the object store ---------------------------------------------------------------

    async def begin(
        self, *, name: str, purpose: str, size: int, content_type: str | None, context: Context
    ) -> Answer | DryRun:
        """Announces a file and answers where to PUT its content. Raises FileTooLarge, FileTypeRefused."""
        content.require_size(size, self._limits[purpose])
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
            command = await looked_at(self._objects, self._sniffer, file_id, file)
            return await self._execute(FILE, file_id, command, context, OWN)
        object_id = self._new_id()
        try:
            await self._objects.copy(file_id, object_id)
            command = await looked_at(self._objects, self._sniffer, object_id, file)
            answer = await self._execute(FILE, file_id, command, context, OWN, extra=_told(command))
        except ObjectMissing:
            raise FileNotSent("Send the content to the address first, then complete the upload.") from None
        except (DomainError, AccessError, TooBusy):
            await self._objects.discard(object_id)
            raise
        after = (await self._store.load(FILE, file_id)).state
        await self._objects.discard(file_id if object_id in objects(after) else object_id)
        return answer

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
        purposes: Sequence[str] = (content.ATTACHMENT,),
        binder: UUID | None = None,
        already: Collection[UUID] = (),
        pointer: str = "/attachments/{}",
    ) -> Reliance:
        """What a command relies on that binds these files: that each is whole, its owner's and for such a purpose.

        The binder's own guards claim (`file.binding`, id), so that a file is bound once; `binder` may have it already,
        and those that it has `already` are not judged again. `pointer` says where in the body the n-th id stands.
        Raises FileNotYours, FileAlreadyBound, with every wrong id.
        """
        places = [at for at, file_id in enumerate(file_ids) if file_id not in already]
        found = await asyncio.gather(*(self._owned(file_ids[at], owner_id, purposes) for at in places))
        if foreign := [at for at, claim in zip(places, found, strict=True) if claim is None]:
            errors = _wrong(foreign, pointer, "not_yours", "You have no such complete file for this.")
            raise FileNotYours("Not every file is yours to use here.", errors=errors)
        binders = await asyncio.gather(*(self._claims.owner(BINDING, str(file_ids[at])) for at in places))
        if bound := [at for at, owner in zip(places, binders, strict=True) if owner not in (None, binder)]:
            errors = _wrong(bound, pointer, "already_bound", "This file belongs to something else already.")
            raise FileAlreadyBound("A file can be used once.", errors=errors)
        return Reliance(require=tuple(claim for claim in found if claim is not None))

    async def _owned(
        self, file_id: UUID, owner_id: UUID, purposes: Sequence[str]
    ) -> tuple[str, str, UUID] | None:
        """The claim that it is his, for the first of these purposes that it was uploaded for."""
        for purpose in purposes:
            kind, value, _ = claim = owned(file_id, owner_id, purpose)
            if await self._claims.owner(kind, value) == file_id:
                return claim
        return None

    async def avatar(self, file_id: UUID, user_id: UUID) -> Reliance:
        """As `binding`: the user's own image, uploaded as an avatar."""
        return await self.binding(
            (file_id,), user_id, purposes=(content.AVATAR,), binder=user_id, pointer="/avatar_file_id"
        )

    async def picture(self, file_id: UUID, owner_id: UUID, *, already: Collection[UUID] = ()) -> Reliance:
        """As `binding`: one's own image, uploaded for a notice."""
        purposes = (content.NOTICE,)
        return await self.binding(
            (file_id,), owner_id, purposes=purposes, already=already, pointer="/file_id"
        )

    async def paper(self, file_id: UUID, owner_id: UUID, document_id: UUID) -> Reliance:
        """As `binding`: one's own PDF, uploaded as a document."""
        return await self.binding(
            (file_id,), owner_id, purposes=(content.DOCUMENT,), binder=document_id, pointer="/file_id"
        )

    async def enclosures(
        self, file_ids: Sequence[UUID], owner_id: UUID, *, already: Collection[UUID]
    ) -> Reliance:
        """As `binding`: what a letter encloses, whether it was uploaded to be attached or as a document."""
        purposes = (content.ATTACHMENT, content.DOCUMENT)
        return await self.binding(file_ids, owner_id, purposes=purposes, already=already)

    def taken(self, taken: ClaimTaken) -> DomainError:
        """What a binder says whose claim on a file came too late."""
        assert taken.kind == BINDING
        return FileAlreadyBound("A file can be used once.")


def _told(command: UploadFile | CompleteUpload) -> dict[str, Any]:
    """What a receipt adds."""
    state = "stored" if command.sha256 else "checking"
    told: dict[str, Any] = {"state": state, "content_type": command.content_type, "sha256": command.sha256}
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
