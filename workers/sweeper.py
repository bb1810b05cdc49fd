"""Sees to it that every operation gets to a worker: what is due is offered to the broker, again when nobody took it."""

import asyncio
from datetime import UTC, datetime, timedelta
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
HOURLY = ("file.read_missing", "file.remove_orphans", "grant.lapse", "import.expire", "letter.tell_due")
"""Operations that are asked for once an hour."""

log = structlog.get_logger()


class Sweeper:
    """`check_hours`: how often everything is checked; 0: never."""

    def __init__(self, operations: Operations, offer: Offer, *, check_hours: int = 0) -> None:
        self._operations, self._offer, self._check_hours = operations, offer, check_hours
        self._threads = Bounded("broker", threads=1, waiting=4)
        self._complaint = ""

    async def run(self, url: str) -> None:
        await hold(url, "sweeper", SWEEPER, self._work)

    async def _work(self, connection: AsyncConnection[Any]) -> None:
        asked = ""
        while True:
            await connection.execute(
                "select"
            )  # what is due is read elsewhere: without its lock it must not go on
            hour = datetime.now(UTC).strftime("%Y-%m-%dT%H")
            if hour != asked:
                for kind in HOURLY:
                    await ask(connection, kind, {}, occasion=f"{kind} {hour}")
                await self._ask_for_check(connection)
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

    async def _ask_for_check(self, connection: AsyncConnection[Any]) -> None:
        """At the end of each span of so many hours; asked for ahead, so that one that was missed is made up for."""
        if self._check_hours:
            now = datetime.now(UTC).timestamp()
            turn, gone = divmod(now, self._check_hours * 3600)
            left = timedelta(seconds=self._check_hours * 3600 - gone)
            occasion = f"check.run {self._check_hours} {turn:.0f}"
            await ask(connection, "check.run", {"turn": int(turn)}, occasion=occasion, after=left)
