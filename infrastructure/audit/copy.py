"""The copy of the log in the object store, laid out as C2SP tlog-tiles serves a log.

A monitor reads it, and a restored database is told by it from the one that was signed.
Nothing in it is ever overwritten but `checkpoint`, which comes last: what it covers is there. It lies under its epoch's
name, so that a history that was lost stays as evidence.
"""

from uuid import UUID

from application.file_content import ObjectMissing
from infrastructure.object_store import ObjectStore
from projections.tiles import TileAt, tile_path


class Contradicted(Exception):
    """The copy holds other hashes in a place of the log than the store does."""


class LogCopy:
    """One epoch's. Every method raises StoreUnavailable or Busy when it cannot be done now."""

    def __init__(self, objects: ObjectStore, epoch: UUID) -> None:
        self._objects = objects
        self.epoch = epoch
        self.folder = f"audit/{epoch}"

    async def checkpoint(self) -> str | None:
        """The signed note; None before the first."""
        try:
            return (await self._objects.kept(f"{self.folder}/checkpoint")).decode()
        except ObjectMissing:
            return None
        except UnicodeDecodeError:
            raise Contradicted("the checkpoint of the copy is not a note") from None

    async def put_checkpoint(self, note: str) -> None:
        await self._objects.keep(f"{self.folder}/checkpoint", note.encode())

    async def put_tile(self, at: TileAt, width: int, hashes: bytes) -> None:
        """Raises Contradicted when other hashes are there."""
        await self._once(f"tile/{at.level}/{tile_path(at.number, width)}", hashes)

    async def put_bundle(self, number: int, width: int, entries: bytes) -> None:
        """Raises Contradicted when other entries are there."""
        await self._once(f"tile/entries/{tile_path(number, width)}", entries)

    async def drop_partial(self, at: TileAt) -> None:
        """The partial forms of a tile that is there in full, and of the entries under it."""
        folders = [str(at.level), *(["entries"] if at.level == 0 else [])]
        for folder in folders:
            await self._objects.remove_under(f"{self.folder}/tile/{folder}/{tile_path(at.number)}.p/")

    async def _once(self, path: str, data: bytes) -> None:
        name = f"{self.folder}/{path}"
        try:
            there = await self._objects.kept(name)
        except ObjectMissing:
            there = b""
        if not data.startswith(there):
            raise Contradicted(f"{path} of the copy is not what the log has there")
        if there != data:  # missing, or cut short by a crash amid its writing
            await self._objects.keep(name, data)
