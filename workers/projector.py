"""Drives one projection: events in order, a batch and its checkpoint in one transaction, loud at the first failure."""

import asyncio
import time
from math import ceil
from uuid import UUID

import structlog

from infrastructure import fact_spans
from infrastructure.event_codec import request_of
from infrastructure.event_log import EventLog
from infrastructure.logging import caused_by
from infrastructure.nats import Nats, projected
from infrastructure.postgres import PROJECTOR
from infrastructure.role import PROBING, UNREACHABLE, Connection, GivesWay, hold
from infrastructure.tasks import end
from projections.projection import Batch, Projection
from workers import checkpoint
from workers.checkpoint import Checkpoint, Moved
from workers.epoch import EpochMismatch
from workers.failure import told
from workers.feed import Feed
from workers.rebuild import rebuild

BATCH = 500
LONGEST_PAUSE = 60.0
LOOK = 0.2
"""Seconds between two looks, of one that stands still, at whether its poison was parked or its tables were swapped."""
LOOK_BACK = 1.0
"""Seconds between two looks of an idle one at whether it was put back; nobody is asked for that."""
IDLE = 0.05
"""Seconds a projection may leave its checkpoint behind events that are none of its business."""
PLACE = "read"
OPTIONS = f"{PROBING} -c synchronous_commit=off"
"""A crash may take back the newest batches, checkpoint and all; they are applied again, and appends wait for nobody."""

log = structlog.get_logger()


class Projector:
    """One projection's worker. `pause` is the first wait in seconds after a failure; each next one is twice as long."""

    def __init__(
        self, projection: Projection, log: EventLog, feed: Feed, nats: Nats, *, pause: float = 1.0
    ) -> None:
        self._projection, self._log, self._feed, self._nats = projection, log, feed, nats
        self._pause, self._url = pause, ""

    async def run(self, url: str) -> None:
        """Hold the role, or stand by for it, for ever. Raises EpochMismatch."""
        self._url = url
        async with self._feed:
            await hold(url, self._projection.name, PROJECTOR, self._work, options=OPTIONS)

    async def _work(self, connection: Connection) -> None:
        careful = False
        while True:
            try:
                if careful:
                    await self._crawl(connection)
                    careful = False
                await self._follow(connection, await self._checkpoint(connection))
            except Moved as reason:
                log.warning("projection.moved", projection=self._projection.name, reason=str(reason))
            except (*UNREACHABLE, EpochMismatch, GivesWay):
                raise
            except Exception as error:  # noqa: BLE001 - whatever a handler raises: find its event and say so
                log.warning("projection.batch_failed", projection=self._projection.name, error=told(error))
                careful = True

    async def _follow(self, connection: Connection, at: Checkpoint) -> None:
        """Batch after batch; the next is read and decoded while this one is written.

        For a checkpoint alone nobody waits: events that are none of its business are let gather for a moment.
        """
        coming = asyncio.create_task(self._next(at.position, at))
        try:
            while True:
                batch = await self._arrived(coming, at)
                coming = asyncio.create_task(self._next(batch[-1].position, at))
                patience = time.monotonic() + IDLE
                while len(batch) < BATCH and not any(map(self._projection.takes, batch)):
                    await asyncio.wait([coming], timeout=max(0.0, patience - time.monotonic()))
                    if not coming.done():
                        break
                    batch = [*batch, *coming.result()]
                    coming = asyncio.create_task(self._next(batch[-1].position, at))
                began = time.time_ns()
                at = await checkpoint.advance(connection, self._projection, PLACE, at, batch)
                await self._nats.ring(projected(self._projection.name))
                traced = fact_spans.places(filter(self._projection.takes, batch))
                fact_spans.followed(f"project {self._projection.name}", traced, began, len(batch))
        finally:
            await end(coming)

    async def _arrived(self, coming: asyncio.Task[Batch], at: Checkpoint) -> Batch:
        """Raises Moved when the tables were put back, which no event need follow."""
        while not (await asyncio.wait([coming], timeout=LOOK_BACK))[0]:
            if self._feed.known(self._projection.name, at.position) < at.position:
                raise Moved(f"{self._projection.name} was put back before {at.position}")
        return await coming

    async def _next(self, position: int, at: Checkpoint) -> Batch:
        return await self._log.opened(await self._feed.after(position, BATCH), at.taken(self._projection))

    async def _crawl(self, connection: Connection) -> None:
        """One event at a time from the store, as far as the batch that failed; the one that fails is tried for ever."""
        at = await self._checkpoint(connection)
        for stored in await self._log.read(at.position, BATCH):
            pause = self._pause
            while at.position < stored.position:
                try:
                    batch = await self._log.opened([stored], at.taken(self._projection))
                    at = await checkpoint.advance(connection, self._projection, PLACE, at, batch)
                except (*UNREACHABLE, EpochMismatch, Moved):
                    raise
                except Exception as error:  # noqa: BLE001
                    failure = f"event {stored.event_id} at position {stored.position}: {told(error)}"
                    with caused_by(request_of(stored)):
                        await self._stopped(connection, at, failure, pause, error, stored.event_id)
                    pause = min(2 * pause, LONGEST_PAUSE)
            await self._nats.ring(projected(self._projection.name))

    async def _checkpoint(self, connection: Connection) -> Checkpoint:
        """Where to go on; the tables are made when there are none, and built again where an older version made them.

        Raises GivesWay where a newer one did.
        """
        name, pause = self._projection.name, self._pause
        while True:
            await checkpoint.begin(connection, self._projection, PLACE)
            at = await checkpoint.load(connection, name, PLACE)
            if at is None:
                continue
            if at.position > await self._log.head():
                raise EpochMismatch(
                    f"projection {name} stands at {at.position}, after the store's last event"
                )
            ours = self._projection.version
            if at.version == ours:
                return at
            if at.version > ours:
                failure = f"built by version {at.version}, of a newer release: this is version {ours}"
                await checkpoint.fail(connection, name, PLACE, at, failure)
                raise GivesWay(failure)
            try:
                log.warning("projection.renewed", projection=name, version=at.version, ours=ours)
                await rebuild(self._url, self._log, self._projection)
            except (*UNREACHABLE, EpochMismatch, Moved):
                raise
            except Exception as error:  # noqa: BLE001 - whatever a handler raises: what is in use stays
                failure = f"built by version {at.version}, this is version {ours}: {told(error)}"
                await self._stopped(connection, at, failure, pause, error)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _stopped(
        self,
        connection: Connection,
        at: Checkpoint,
        failure: str,
        pause: float,
        error: Exception | None = None,
        event_id: UUID | None = None,
    ) -> None:
        """Say so, and wait; not for longer than until somebody has done something about it. Raises Moved."""
        name = self._projection.name
        await checkpoint.fail(connection, name, PLACE, at, failure, event_id)
        log.error("projection.stopped", projection=name, failure=failure, exc_info=error)
        for _ in range(ceil(pause / LOOK)):
            await asyncio.sleep(min(pause, LOOK))
            now = await checkpoint.load(connection, name, PLACE)
            if now is None or (now.fence, now.position) != (at.fence, at.position):
                raise Moved(f"{name} was looked after")
