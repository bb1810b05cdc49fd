"""Files looked after in the background: large uploads read through, what nothing binds removed, strays swept up."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from application.access import Need, system
from application.context import Context
from application.execute import Execute
from application.file import FileAlreadyBound
from application.file_content import ObjectMissing, Objects, Sniffer, looked_at
from application.file_text import KeptTexts
from application.ports import Claims, EventStore, Reliance
from domain.contract.guards import INVOICE, PAPER
from domain.file.aggregate import FILE, FileUnknown, Nothing, Received, Removed
from domain.file.commands import RemoveFile
from domain.file.guards import BINDING, OBJECT
from domain.imports.guards import OBJECT as IMPORTED
from domain.message.aggregate import MESSAGE
from domain.shared import DomainError

OWN = Need(right=None)
UNBOUND_FOR = timedelta(hours=24)
"""How long a file may stay unbound, and an object without a file."""


class Unbound(Protocol):
    async def __call__(self, before: UUID, limit: int) -> list[UUID]:
        """Files named before that id which nothing binds, oldest first."""
        ...


class FileUpkeep:
    """For jobs: everything here may be repeated. `id_of_time`: the first id that could be made at that instant."""

    def __init__(
        self,
        execute: Execute,
        store: EventStore,
        claims: Claims,
        objects: Objects,
        texts: KeptTexts,
        sniffer: Callable[[], Sniffer],
        unbound: Unbound,
        id_of_time: Callable[[datetime], UUID],
    ) -> None:
        self._execute, self._store, self._claims = execute, store, claims
        self._objects, self._texts, self._sniffer = objects, texts, sniffer
        self._unbound, self._id_of_time = unbound, id_of_time

    async def recheck(self, file_id: UUID) -> None:
        """Reads a large upload through, to its hash; what is not what it seemed is removed.

        Raises FileUnknown.
        """
        file = (await self._store.load(FILE, file_id, fresh=True)).state
        if isinstance(file, Nothing):
            raise FileUnknown("There is no such file.")
        if not isinstance(file, Received):
            return
        context = Context(caller=system(), request_id="file.check")
        try:
            command = await looked_at(
                self._objects, self._sniffer, file.object_id, file.announced, whole=True
            )
        except (DomainError, ObjectMissing) as refusal:
            await self.remove(file_id, reason=getattr(refusal, "code", "missing"))
            return
        await self._execute(FILE, file_id, command, context, OWN)

    async def orphans(self, now: datetime, limit: int = 1_000) -> list[UUID]:
        """Files that nothing has bound for a day, complete or not, oldest first."""
        return await self._unbound(self._id_of_time(now - UNBOUND_FOR), limit)

    async def remove(self, file_id: UUID, *, reason: str = "unbound") -> None:
        """Records that it is gone, then deletes its content. A file bound meanwhile stays.

        Raises FileUnknown, FileAlreadyBound.
        """

        async def unbound() -> Reliance:
            if await self._claims.owner(BINDING, str(file_id)) is not None:
                raise FileAlreadyBound("This file is in use.")
            return Reliance(require_none=((BINDING, str(file_id)),))

        await self._remove(file_id, reason, unbound)

    async def forget(self, file_id: UUID) -> None:
        """Its owner was erased: it goes with him, and with the message of his that has it. What a record of the house
        binds, a document or a letter, is the house's, and stays without its name. Raises FileUnknown.
        """
        binder = await self._claims.owner(BINDING, str(file_id))
        if binder is None or (await self._store.load(MESSAGE, binder)).version:
            await self._remove(file_id, "owner_erased", None)

    async def _remove(
        self, file_id: UUID, reason: str, relies: Callable[[], Awaitable[Reliance]] | None
    ) -> None:
        with suppress(ObjectMissing):  # whether the store answers at all, before anything is said to be gone
            await self._objects.size(file_id)
        context = Context(caller=system(), request_id="file.remove")
        await self._execute(FILE, file_id, RemoveFile(reason=reason), context, OWN, relies=relies)
        removed = (await self._store.load(FILE, file_id)).state
        assert isinstance(removed, Removed)
        for object_id in {file_id, *removed.objects}:
            await self._objects.remove(object_id)
        await self._texts.forget(file_id)

    async def sweep(self, now: datetime) -> int:
        """Deletes objects of yesterday's that no file, import or paper owns: a crash before recording left them.

        Answers how many. To be called at least once a day.
        """
        strays = await self._objects.names(
            self._id_of_time(now - 3 * UNBOUND_FOR), self._id_of_time(now - UNBOUND_FOR)
        )
        gone = 0
        for object_id in strays:
            kinds = (OBJECT, IMPORTED, INVOICE, PAPER)
            if not any([await self._claims.owner(kind, str(object_id)) for kind in kinds]):
                await self._objects.remove(object_id)
                gone += 1
        return gone
