"""The events after a position, in order, without a hole: from NATS while it keeps up, from the store whenever not."""

import asyncio
from types import TracebackType
from typing import Self

from domain.shared import Stored
from infrastructure.event_log import EventLog
from infrastructure.nats import Nats
from infrastructure.positions import POLL, Positions
from infrastructure.tail import Tail
from infrastructure.tasks import end
from infrastructure.watch import figures

PATIENCE = 20
"""Polls in a row that found events NATS had not brought: then its consumer is stuck, perhaps ahead of its stream."""
_STREAM, _STORE = figures.FED.labels("stream"), figures.FED.labels("store")


class Feed:
    """What one follower reads. NATS only saves the store work and time; whatever it does, nothing is missed."""

    def __init__(self, log: EventLog, positions: Positions, nats: Nats) -> None:
        self._log, self._positions = log, positions
        self._tail = Tail(nats)
        self._late = 0
        self._following: asyncio.Task[None] | None = None
        self.from_stream = self.from_store = 0

    async def __aenter__(self) -> Self:
        self._following = asyncio.create_task(self._tail.run(), name="tail")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._following is not None:
            await end(self._following)

    async def after(self, position: int, limit: int) -> list[Stored]:
        """The next events, at least one; waits for it."""
        while True:
            if batch := self._tail.take(position, limit):
                self._late = 0
                self.from_stream += len(batch)
                _STREAM.inc(len(batch))
                return batch
            if not self._tail.ahead:
                if self._tail.live:
                    if await self._tail.more(POLL):
                        continue
                elif not await self._positions.beyond(position, POLL):
                    continue
            if self._positions.head > position or self._tail.ahead:
                self._doubt()
                if batch := await self._log.read(position, limit):
                    self.from_store += len(batch)
                    _STORE.inc(len(batch))
                    return batch

    def known(self, projection: str, position: int) -> int:
        """Where the read model was at this process's last look; `position` if it did not see it."""
        return self._positions.known.get(projection, position)

    def _doubt(self) -> None:
        self._late += 1
        if self._tail.live and self._late >= PATIENCE:
            self._late = 0
            figures.STUCK.inc()
            self._tail.drop("brings nothing")
