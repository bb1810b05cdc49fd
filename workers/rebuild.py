"""A read model built again from the events, beside the one in use: to compare the two, and to take its place."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import structlog
from msgspec import Struct
from msgspec.structs import replace

from domain.shared import Stored
from infrastructure.event_log import EventLog
from infrastructure.role import UNREACHABLE, Connection
from infrastructure.tasks import end
from projections.projection import Batch, Projection
from workers import checkpoint
from workers.checkpoint import Checkpoint, Moved
from workers.epoch import EpochMismatch
from workers.failure import told as told_failure
from workers.parked import Parked, keep, parked
from workers.places import KEPT, LIVE, NEXT, alone, drop, insist, move
from workers.row_digests import Comparison, Rows, snapshot

BATCH = 5_000

Told = Callable[[int, int], None]
"""Called with the position reached and the one to reach."""

log = structlog.get_logger()


class Poisoned(Exception):
    """An event that the projection cannot apply: nothing was swapped, and what was built is dropped."""


class Built(Struct, frozen=True, kw_only=True):
    """How a build went. Without a comparison: nothing of this projection was in use, or it was ahead of the store.

    `live_parked`: how many streams were parked in the one in use; those parked in this one stand in `at`.
    """

    at: Checkpoint
    live_version: int | None
    comparison: Comparison | None
    live_parked: int = 0

    @property
    def expected(self) -> bool:
        """Whether the two are equal, or may differ: by another version, or by what one of them lacked."""
        if self.comparison is None or self.comparison.equal:
            return True
        return self.live_version != self.at.version or self.live_parked > 0


async def rebuild(
    url: str, events: EventLog, projection: Projection, told: Told = lambda _at, _of: None
) -> Built:
    """Build beside, compare, swap; what was in use is kept in `read_prev`. Queries never see an empty table.

    A stream that is parked in the one in use is parked in this one, too, if it fails again, and whole if not.
    Raises Busy, Poisoned.
    """
    async with _beside(url, events, projection, told) as building:
        live = await building.compared()
        await building.finished()
        at = await insist(projection, partial(_swap, building))
        return replace(live, at=at)


async def compare(
    url: str, events: EventLog, projection: Projection, told: Told = lambda _at, _of: None
) -> Built:
    """Build beside as far as the one in use is, compare, and drop what was built. The same streams are parked in both.

    Raises Busy, Poisoned.
    """
    async with _beside(url, events, projection, told) as building:
        await building.park_alike()
        built = await building.compared()
        await drop(building.connection, projection, NEXT)
        return replace(built, live_parked=0)


async def replayed(
    url: str, events: EventLog, projection: Projection, position: int, told: Told = lambda _at, _of: None
) -> tuple[Rows, ...]:
    """What the read model holds after the events up to `position`, built beside and dropped. Raises Busy, Poisoned."""
    async with _beside(url, events, projection, told) as building:
        await building.go_on(position)
        _, rows = await snapshot(building.connection, projection, NEXT, shown=True)
        await drop(building.connection, projection, NEXT)
        return rows


@asynccontextmanager
async def _beside(
    url: str, events: EventLog, projection: Projection, told: Told
) -> AsyncGenerator["Building"]:
    """What a worker that died has left is dropped first."""
    async with alone(url, projection) as connection:
        await drop(connection, projection, NEXT)
        await checkpoint.begin(connection, projection, NEXT, indexed=False)
        waiting = await parked(connection, projection.name, LIVE)
        building = Building(connection, events, projection, told, waiting)
        await building.look()
        try:
            yield building
        except Poisoned:
            await drop(connection, projection, NEXT)
            raise


class Building:
    """One build, beside. `waiting`: what is parked in the one in use."""

    def __init__(
        self,
        connection: Connection,
        events: EventLog,
        projection: Projection,
        told: Told,
        waiting: Sequence[Parked],
    ) -> None:
        self.connection, self.projection = connection, projection
        self._events, self._told, self._waiting = events, told, waiting
        self.at = Checkpoint(version=projection.version)

    async def look(self) -> None:
        """Where the build stands, also after a transaction that was rolled back."""
        found = await checkpoint.load(self.connection, self.projection.name, NEXT)
        if found is None:
            raise Moved(f"{self.projection.name} has no checkpoint in {NEXT}")
        self.at = found

    async def park_alike(self) -> None:
        for each in self._waiting:
            await keep(self.connection, self.projection.name, NEXT, each)
        await self.look()

    async def compared(self) -> Built:
        """Built as far as the one in use is, at one instant."""
        live = await checkpoint.load(self.connection, self.projection.name, LIVE)
        comparison = None
        if live is not None:
            await self.go_on(live.position)
            live, rows = await snapshot(self.connection, self.projection, LIVE)
            await self.go_on(live.position)
            _, ours = await snapshot(self.connection, self.projection, NEXT)
            same = (live.position, live.count, live.digest) == (
                self.at.position,
                self.at.count,
                self.at.digest,
            )
            comparison = Comparison(position=live.position, same_events=same, live=rows, built=ours)
        return Built(
            at=self.at,
            live_version=live.version if live else None,
            comparison=comparison,
            live_parked=len(self._waiting),
        )

    async def finished(self) -> None:
        """As far as the log is, with its indexes."""
        await self.go_on(await self._events.head())
        await checkpoint.index(self.connection, self.projection, NEXT)
        await self.go_on(await self._events.head())

    async def go_on(self, up_to: int) -> None:
        """To `up_to`, or the end of the log. Raises Poisoned."""
        while True:
            try:
                return await self._batches(up_to)
            except (*UNREACHABLE, EpochMismatch, Moved):
                raise
            except Exception as error:  # noqa: BLE001 - whatever a handler raises: its event is found below
                log.warning(
                    "rebuild.batch_failed", projection=self.projection.name, error=told_failure(error)
                )
                await self._crawl(up_to)

    async def _batches(self, up_to: int) -> None:
        """The next is read and decoded while this one is written."""
        coming = asyncio.create_task(self._read(self.at.position, up_to))
        try:
            while batch := await coming:
                coming = asyncio.create_task(self._read(batch[-1].position, up_to))
                await self._write(batch)
                self._told(self.at.position, up_to)
        finally:
            await end(coming)

    async def _crawl(self, up_to: int) -> None:
        """One event at a time through the batch that failed."""
        for stored in await self._events.read(self.at.position, min(BATCH, up_to - self.at.position)):
            while self.at.position < stored.position:
                try:
                    await self._write(await self._opened([stored]))
                except (*UNREACHABLE, EpochMismatch, Moved):
                    raise
                except Exception as error:  # noqa: BLE001 - it is told, or parked
                    await self._set_aside(stored, error)

    async def _set_aside(self, stored: Stored, error: Exception) -> None:
        """What is parked in the one in use may be parked here; of anything else nobody has said that it may wait."""
        failure = f"event {stored.event_id} at position {stored.position}: {told_failure(error)}"
        if stored.stream_id not in {each.stream_id for each in self._waiting}:
            raise Poisoned(f"{self.projection.name} cannot apply {failure}") from error
        waiting = Parked(
            stream_id=stored.stream_id, position=stored.position, event_id=stored.event_id, failure=failure
        )
        await keep(self.connection, self.projection.name, NEXT, waiting)
        await self.look()

    async def _write(self, batch: Batch) -> None:
        self.at = await checkpoint.advance(self.connection, self.projection, NEXT, self.at, batch)

    async def _read(self, after: int, up_to: int) -> Batch:
        if after >= up_to:
            return []
        return await self._opened(await self._events.read(after, min(BATCH, up_to - after)))

    async def _opened(self, batch: Batch) -> Batch:
        return await self._events.opened(batch, self.at.taken(self.projection))


async def _swap(building: Building) -> Checkpoint:
    """In one transaction, with the live checkpoint locked: its worker then finds it moved, and goes on from ours."""
    connection, projection = building.connection, building.projection
    await building.look()
    async with connection.transaction():
        await connection.execute("set local synchronous_commit = on")
        cursor = await connection.execute(
            "select position from projections where name = %s and place = %s for update",
            (projection.name, LIVE),
        )
        if (live := await cursor.fetchone()) is not None:
            await building.go_on(live[0])
            await drop(connection, projection, KEPT)
            await move(connection, projection, LIVE, KEPT)
        await move(connection, projection, NEXT, LIVE)
        return building.at
