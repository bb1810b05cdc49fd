"""Sees to it that every operation gets to a worker: what is due is offered to the broker, again when nobody took it."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import structlog
from psycopg import AsyncConnection
from redis.exceptions import RedisError

from infrastructure.bounded import Bounded
from infrastructure.operations import Operations, ask
from infrastructure.postgres import SWEEPER
from infrastructure.role import hold
from workers.jobs import Offer

EVERY = 0.5
"""Seconds between two looks."""
HOURLY = ("file.remove_orphans", "grant.lapse", "import.expire", "letter.tell_due")
"""Operations that are asked for once an hour."""

log = structlog.get_logger()


class Sweeper:
    def __init__(self, operations: Operations, offer: Offer) -> None:
        self._operations, self._offer = operations, offer
        self._threads = Bounded("broker", threads=1, waiting=4)
        self._complaint = ""

    async def run(self, url: str) -> None:
        await hold(url, "sweeper", SWEEPER, self._work)

    async def _work(self, connection: AsyncConnection[Any]) -> None:
        asked = ""
        while True:
            hour = datetime.now(UTC).strftime("%Y-%m-%dT%H")
            if hour != asked:
                for kind in HOURLY:
                    await ask(connection, kind, {}, occasion=f"{kind} {hour}")
                asked = hour
            for operation_id in await self._operations.due():
                try:
                    await self._threads(self._offer, operation_id)
                    self._complaint = ""
                except RedisError as error:  # the row stays; it is offered again
                    if repr(error) != self._complaint:
                        self._complaint = repr(error)
                        log.warning("broker.away", error=self._complaint)
                    break
            await asyncio.sleep(EVERY)
