"""What files say, to be searched: read once they are whole, and told to the log as a digest."""

from collections.abc import AsyncIterator
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from application.access import Need, system
from application.context import Context
from application.execute import Execute
from application.file_content import Objects
from application.ports import EventStore
from domain.file.aggregate import FILE, File, Kept, Removed
from domain.file.commands import RecordText

OWN = Need(right=None)


class Reading(Struct, frozen=True, kw_only=True):
    """What came of reading a file; `outcome` as in FileTextRead."""

    outcome: str
    text: str = ""
    sha256: str | None = None


class ReadText(Protocol):
    async def __call__(self, content: AsyncIterator[bytes], content_type: str) -> Reading: ...


class KeptTexts(Protocol):
    """Where texts stand that are too long for an event."""

    async def keep(self, file_id: UUID, text: str) -> None: ...
    async def forget(self, file_id: UUID) -> None: ...


class FileTexts:
    """For jobs: everything here may be repeated."""

    def __init__(
        self, execute: Execute, store: EventStore, objects: Objects, read: ReadText, texts: KeptTexts
    ) -> None:
        self._execute, self._store, self._objects, self._read = execute, store, objects, read
        self._texts = texts

    async def read(self, file_id: UUID) -> None:
        """The text is there before the event that tells of it: whoever follows the log finds it."""
        file = await self._file(file_id)
        if isinstance(file, Kept):
            async with self._objects.reading(file.object_id) as content:
                reading = await self._read(content, file.content_type)
            await self._texts.keep(file_id, reading.text)
            command = RecordText(outcome=reading.outcome, characters=len(reading.text), sha256=reading.sha256)
            context = Context(caller=system(), request_id="file.read_text")
            await self._execute(FILE, file_id, command, context, OWN)
            file = await self._file(file_id)
        if isinstance(file, Removed):  # meanwhile
            await self._texts.forget(file_id)

    async def _file(self, file_id: UUID) -> File:
        return (await self._store.load(FILE, file_id, fresh=True)).state
