"""Copies tiles and checkpoints to the object store, some seconds behind the signer; what is there says where it is."""

import asyncio
from collections.abc import Iterator, Sequence
from uuid import UUID

import structlog

from infrastructure.alarms import alarm, all_clear
from infrastructure.audit.copy import Contradicted, LogCopy
from infrastructure.audit.keys import published_keys
from infrastructure.audit.signed_note import Forged, Untrusted, open_note, parse_note, parse_vkey
from infrastructure.audit.witness import NotCosigned, Remembers, Witness
from infrastructure.bounded import Busy
from infrastructure.object_parts import StoreUnavailable
from infrastructure.object_store import ObjectStore
from infrastructure.postgres import TILES
from infrastructure.role import Connection, hold
from projections.audit_log import entry_bundle
from projections.audit_tree import SignedCheckpoint, consistency_proof, tile
from projections.merkle import EMPTY_ROOT
from projections.proofs import Checkpoint, Malformed, parse_checkpoint
from projections.tiles import WIDTH, TileAt
from workers.epoch import Away, EpochMismatch, Seen, contradiction, current, root_of

EVERY = 5.0
"""Seconds between two copies, so that a quiet log has few partial tiles."""
STEP = 1 << 16
"""Entries copied before a checkpoint says that they are there."""
ALARM = "copy of the log"

log = structlog.get_logger()
AWAY = (StoreUnavailable, Busy, Away)


class TileCopy:
    """`entries`: whether entry bundles are copied, too: only to a store that is as private as the log.

    `witnesses` are asked to cosign each checkpoint before it is copied; nobody waits for one that is away.
    """

    def __init__(
        self, objects: ObjectStore, *, entries: bool, every: float = EVERY, witnesses: Sequence[Witness] = ()
    ) -> None:
        self._objects, self._entries, self._every = objects, entries, every
        self._witnesses = witnesses

    async def run(self, url: str) -> None:
        """Hold the role, or stand by for it, for ever. Raises EpochMismatch."""
        await hold(url, "tile copy", TILES, self._work)

    async def _work(self, connection: Connection) -> None:
        copied: Checkpoint | None = None
        epoch: UUID | None = None
        waits = ""
        while True:
            try:
                ours = await current(connection)
                if copied is None or epoch != ours:
                    epoch, copied = ours, await self._begun(connection)
                log_copy = LogCopy(self._objects, ours)
                while (step := await self._step(connection, log_copy, copied)) is not None:
                    copied = step
                await all_clear(connection, ALARM)
                waits = ""
            except AWAY as away:
                if str(away) != waits:
                    waits = str(away)
                    log.warning("tile_copy.waits", reason=waits, copied=copied and copied.size)
                await alarm(connection, ALARM, f"waits at {copied.size if copied else 0}: {away}")
            except Contradicted as reason:
                raise EpochMismatch(f"{reason}: look with `chancery epoch status`") from None
            await asyncio.sleep(self._every)

    async def _begun(self, connection: Connection) -> Checkpoint:
        """What the copy covers. Raises EpochMismatch, Away, StoreUnavailable, Busy."""
        place = CopyPlace(self._objects)
        seen = await place.seen(connection)
        if seen is None or seen.root is None:
            return Checkpoint(origin="", size=0, root=EMPTY_ROOT)
        if reason := await contradiction(connection, seen):
            raise EpochMismatch(f"{reason}: look with `chancery epoch status`")
        return Checkpoint(origin="", size=seen.size, root=seen.root)

    async def _step(self, connection: Connection, copy: LogCopy, copied: Checkpoint) -> Checkpoint | None:
        """Copy up to a checkpoint not far beyond the last one; None: there is none, or another epoch has begun."""
        signed = await _signed_after(connection, copy.epoch, copied.size)
        if signed is None:
            return None
        if await root_of(connection, copied.size) != copied.root:
            raise Contradicted(f"the copy has another root over {copied.size} entries than the store")
        for at, width in _tiles(copied.size, signed.size):
            hashes = await tile(connection, at, width)
            if hashes is None:
                raise Away("the tree of the log is being built")
            await copy.put_tile(at, width, hashes)
            if at.level == 0 and self._entries:
                bundle = await entry_bundle(connection, at.number, width)
                if bundle is None:
                    raise Contradicted(f"entries under tile {at.number} are missing in the store")
                await copy.put_bundle(at.number, width, bundle)
        for at in _filled(copied.size, signed.size):
            await copy.drop_partial(at)
        checkpoint = parse_checkpoint(parse_note(signed.note).text)
        await copy.put_checkpoint(signed.note + await self._cosigned(connection, signed.note, checkpoint))
        return checkpoint

    async def _cosigned(self, connection: Connection, note: str, checkpoint: Checkpoint) -> str:
        """The lines of those witnesses that answer. One that contradicts us raises an alarm and stops nothing: it is
        somebody else's.
        """

        async def proof(seen: int) -> Sequence[bytes] | None:
            return await consistency_proof(connection, seen, checkpoint.size)

        lines: list[str] = []
        for witness in self._witnesses:
            name = f"witness {witness.cosigner.name}"
            try:
                lines.append(await witness.cosign(note, checkpoint, proof))
                await all_clear(connection, name)
            except Remembers as more:
                if more.size > await _head(connection):  # else it is this checkpoint that comes late
                    log.error("tile_copy.contradicted", reason=str(more))  # noqa: TRY400 - no fault of the program
                    await alarm(connection, name, str(more))
            except NotCosigned as reason:
                log.warning("tile_copy.not_cosigned", reason=str(reason))
                await alarm(connection, name, str(reason))
        return "".join(lines)


class CopyPlace:
    """The copy in the object store as a place that tells a restored database from the log."""

    name = "copy"

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    async def seen(self, connection: Connection) -> Seen | None:
        """Raises Away; EpochMismatch for a checkpoint that no key of this epoch has signed."""
        try:
            note = await LogCopy(self._objects, await current(connection)).checkpoint()
        except (StoreUnavailable, Busy) as error:
            raise Away(f"the object store: {error}") from error
        except Contradicted as reason:
            raise EpochMismatch(str(reason)) from None
        if note is None:
            return None
        try:
            parsed = parse_note(note)
            open_note(parsed, [parse_vkey(key.vkey) for key in await published_keys(connection)])
            checkpoint = parse_checkpoint(parsed.text)
        except (Malformed, Forged, Untrusted) as reason:
            raise EpochMismatch(f"the checkpoint of the copy is not by this log: {reason}") from None
        return Seen(place=self.name, size=checkpoint.size, root=checkpoint.root)


async def _head(connection: Connection) -> int:
    row = await (
        await connection.execute("select coalesce(max(notification_id), 0) from stored_events")
    ).fetchone()
    return row[0] if row else 0


async def _signed_after(connection: Connection, epoch: UUID, size: int) -> SignedCheckpoint | None:
    """A checkpoint beyond that size: the farthest within a step, else the next."""
    signed = "select size, note from audit.checkpoints where epoch = %(epoch)s and note is not null"
    query = (
        f"({signed} and size > %(size)s and size <= %(far)s order by size desc limit 1)"
        f" union all ({signed} and size > %(far)s order by size limit 1) limit 1"
    )
    row = await (
        await connection.execute(query.encode(), {"epoch": epoch, "size": size, "far": size + STEP})
    ).fetchone()
    return SignedCheckpoint(*row) if row else None


def _tiles(old: int, new: int) -> Iterator[tuple[TileAt, int]]:
    """The tiles of the larger tree that the smaller one has not, each with its width: full ones, then a partial one."""
    level = 0
    while new >> 8 * level:
        before, now = old >> 8 * level, new >> 8 * level
        if before != now:
            for number in range(before // WIDTH, now // WIDTH):
                yield TileAt(level, number), WIDTH
            if now % WIDTH:
                yield TileAt(level, now // WIDTH), now % WIDTH
        level += 1


def _filled(old: int, new: int) -> Iterator[TileAt]:
    """The tiles that were partial in the smaller tree and are full in the larger one."""
    level = 0
    while old >> 8 * level:
        before, now = old >> 8 * level, new >> 8 * level
        if before % WIDTH and before // WIDTH < now // WIDTH:
            yield TileAt(level, before // WIDTH)
        level += 1
