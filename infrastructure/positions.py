"""How far the log and each read model are: one poller per process, and everybody who waits is woken by it."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import psycopg
import structlog
from psycopg import AsyncConnection

from infrastructure.postgres import Unavailable, connect
from infrastructure.watch import figures

POLL = 0.05
"""Seconds between two looks: the guarantee. The bell only makes it quicker."""

_log = structlog.get_logger("positions")


class BeyondHead(Exception):
    """The position waited for has not been given to any event yet."""


class Behind(Exception):
    """The read model did not get there in time; `position` is where it is."""

    def __init__(self, position: int) -> None:
        super().__init__(f"at {position}")
        self.position = position


class Parked(Behind):
    """The record's stream was set aside: `position` is where it is still whole. It comes when somebody unparks it."""


class Positions:
    """`known` tells how far each read model is, `failures` why one stands still, `parked` how many streams it lacks."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._moved = asyncio.Event()
        self._bell = asyncio.Event()
        self.head = 0
        # bounded: by the read models there are
        self.known: Mapping[str, int] = {}
        # bounded: by the read models there are
        self.failures: Mapping[str, str] = {}
        # bounded: by the read models there are
        self.parked: Mapping[str, int] = {}
        self.seen_at = 0.0

    def ring(self, position: int = 0) -> None:
        """Something was appended or projected."""
        self.head = max(self.head, position)
        self._bell.set()

    async def reached(self, projection: str, position: int, *, seconds: float = 2.0) -> None:
        """Returns once the read model has passed `position`. Raises BeyondHead, Behind, Unavailable."""
        if self.known.get(projection, 0) >= position:
            return
        await self.written(position, seconds=seconds)
        try:
            with figures.POSITION_WAIT.time():
                async with asyncio.timeout(seconds):
                    while self.known.get(projection, 0) < position:
                        await self._moved.wait()
        except TimeoutError:
            figures.POSITION_BEHIND.labels(projection).inc()
            raise Behind(self.known.get(projection, 0)) from None

    async def written(self, position: int, *, seconds: float = 2.0) -> int:
        """The log's head, which is at least `position`. Raises BeyondHead, Unavailable."""
        if position > self.head:
            await self._next(seconds)
            if position > self.head:
                raise BeyondHead
        return self.head

    async def beyond(self, position: int, seconds: float) -> bool:
        """Whether anything was appended after `position`; waits for it, at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.head <= position:
                    await self._moved.wait()
        return self.head > position

    async def _next(self, seconds: float) -> None:
        """The look after this one."""
        try:
            async with asyncio.timeout(seconds):
                for _ in range(2):
                    self._bell.set()
                    await self._moved.wait()
        except TimeoutError:
            raise Unavailable("nobody knows how long the log is") from None

    async def run(self) -> None:
        """Looks for ever; while the database is away nothing moves, and waiters run into their time limit."""
        connection: AsyncConnection[Any] | None = None
        try:
            while True:
                try:
                    if connection is None or connection.closed:
                        connection = await connect(self._url, name="chancery positions")
                    await self._look(connection)
                except (psycopg.OperationalError, psycopg.InterfaceError) as problem:
                    _log.warning("the database is away", problem=str(problem))
                    if connection is not None:
                        await connection.close()
                    connection = None
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL):
                        await self._bell.wait()
                self._bell.clear()
        finally:
            if connection is not None:
                await connection.close()

    async def _look(self, connection: AsyncConnection[Any]) -> None:
        cursor = await connection.execute(LOOK, prepare=True)
        rows = await cursor.fetchall()
        self.head = rows[0][0]
        self.known = {name: position for _, name, position, _, _ in rows if name is not None}
        self.failures = {name: failure for _, name, _, failure, _ in rows if failure is not None}
        self.parked = {name: parked for _, name, _, _, parked in rows if parked is not None}
        self.seen_at = asyncio.get_running_loop().time()
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()


LOOK = b"""select h.head, p.name, p.position, p.failure, k.streams
  from (select coalesce((select notification_id from stored_events order by notification_id desc limit 1), 0) as head) h
  left join projections p on p.place = 'read'
  left join (select projection, count(*) as streams from parked_streams where place = 'read' group by 1) k
    on k.projection = p.name"""
