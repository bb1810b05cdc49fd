"""Group commit: whatever waits when the last transaction returns becomes the next one, with a verdict for each."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from msgspec import Struct
from psycopg import AsyncConnection
from psycopg.rows import tuple_row

from application import spans
from infrastructure import fact_spans
from infrastructure.append_call import ACCEPTED, CALL, CONFLICT, STORED_ALREADY, VERDICTS, Item, packed
from infrastructure.postgres import LOST, Unavailable, connect
from infrastructure.watch import figures
from projections.packing import a_uuid

AT_MOST = 512
"""Commands in one transaction."""
WAITING_AT_MOST = 8192
"""Beyond it a command is refused at once (503): the queue must not hide an overload."""
PATIENCE = 10.0
"""Seconds a command may wait: through lost connections until it is answered as unavailable, or for its turn."""


class Overloaded(Unavailable):
    """More commands wait than can be written in time; this one has not been tried."""


class Judged(Struct, frozen=True, gc=False):
    """append's verdict; `position` of the last event when accepted."""

    verdict: int
    position: int = 0
    at: datetime | None = None
    detail: dict[str, Any] | None = None


class _Waiting(Struct, kw_only=True, gc=False):
    item: Item
    future: asyncio.Future[Judged]
    until: float
    again: bool = False
    span: spans.Span | None = None


class Writer:
    """One per process. `bell` is rung after each commit that stored events.

    `rests`: after each transaction as long as it took, so that whoever writes much at once leaves the others half.
    """

    def __init__(
        self,
        url: str,
        *,
        bell: Callable[[int], None] = lambda _: None,
        rests: bool = False,
        patience: float = PATIENCE,
    ) -> None:
        self._url, self.bell, self._rests, self._patience = url, bell, rests, patience
        # bounded: by WAITING_AT_MOST, then 503; by command_seconds each
        self._queue: deque[_Waiting] = deque()
        self._wake: asyncio.Future[None] | None = None
        self._connection: AsyncConnection[Any] | None = None
        self._backend: tuple[int, datetime] | None = None
        self.batches = 0
        self.commands = 0

    async def append(self, item: Item) -> Judged:
        """Raises Unavailable when the database stays away, Overloaded when too many wait, or it waited too long."""
        if len(self._queue) >= WAITING_AT_MOST:
            figures.FULL.inc()
            raise Overloaded("too many commands wait")
        future: asyncio.Future[Judged] = asyncio.get_running_loop().create_future()
        until = time.monotonic() + self._patience
        self._queue.append(_Waiting(item=item, future=future, until=until, span=spans.current()))
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
        return await future

    async def rehearse(self, item: Item) -> Judged:
        """What append says of it now; nothing of it stays. Raises Unavailable."""
        try:
            async with (
                await connect(self._url, name="chancery rehearsal") as connection,
                connection.transaction(force_rollback=True),
            ):
                cursor = connection.cursor(row_factory=tuple_row, binary=True)
                await cursor.execute(CALL, packed([item], again=False))
                row = await cursor.fetchone()
        except psycopg.errors.UniqueViolation:
            return Judged(CONFLICT)
        except LOST as problem:
            raise Unavailable(str(problem)) from None
        assert row is not None
        _, at, verdicts, details, _ = row
        return Judged(ACCEPTED if verdicts is None else verdicts[0], detail=(details or {}).get("1"), at=at)

    async def run(self) -> None:
        """Writes for ever. Its end is the end of the process: nothing half-alive."""
        try:
            while True:
                if not self._queue:
                    figures.QUEUE.set(0)
                    self._wake = asyncio.get_running_loop().create_future()
                    await self._wake
                    self._wake = None
                began, batch = time.monotonic(), self._next()
                figures.QUEUE.set(len(self._queue))
                if batch:
                    await self._write(batch)
                if self._rests:
                    await asyncio.sleep(time.monotonic() - began)
        finally:
            if self._connection is not None:
                await self._connection.close()
            for waiting in self._queue:
                if not waiting.future.done():
                    waiting.future.set_exception(Unavailable("shutting down"))

    def _next(self) -> list[_Waiting]:
        """As many as fit; one that touches what an earlier one writes, or writes what it reads, waits a turn.

        What nobody waits for any more, or has waited too long, is not begun.
        """
        now = time.monotonic()
        batch: list[_Waiting] = []
        aside: list[_Waiting] = []
        written: set[Hashable] = set()
        read: set[Hashable] = set()
        while self._queue and len(batch) < AT_MOST and len(aside) < AT_MOST:
            waiting = self._queue.popleft()
            if not waiting.again and (waiting.future.done() or now >= waiting.until):
                _refuse(waiting.future)
                continue
            writes, reads = waiting.item.writes, waiting.item.reads
            if written.isdisjoint(writes) and read.isdisjoint(writes) and written.isdisjoint(reads):
                batch.append(waiting)
            else:
                aside.append(waiting)
            written |= writes
            read |= reads
        self._queue.extendleft(reversed(aside))
        return batch

    async def _write(self, batch: list[_Waiting]) -> None:
        again, began = any(waiting.again for waiting in batch), time.time_ns()
        try:
            if self._connection is None or self._connection.closed:
                await self._connect()
            head, at, verdicts, details = await self._call([waiting.item for waiting in batch], again=again)
            stored = await self._stored_before(batch, verdicts) if again and verdicts is not None else {}
        except LOST as problem:
            await self._lost(batch, problem)
            return
        except psycopg.Error as problem:
            await self._singly(batch, problem)
            return
        except Exception as problem:
            for waiting in batch:
                if not waiting.future.done():
                    waiting.future.set_exception(problem)
            raise
        self.batches += 1
        self.commands += len(batch)
        figures.BATCH.observe(len(batch))
        for verdict, number in Counter(verdicts or ()).items() if verdicts else ((ACCEPTED, len(batch)),):
            _SAID[verdict].inc(number)
        fact_spans.batched((each.span for each in batch), began, len(batch))
        self._answer(batch, head, at, verdicts, details, stored)

    def _answer(
        self,
        batch: list[_Waiting],
        head: int,
        at: datetime,
        verdicts: list[int] | None,
        details: dict[str, Any] | None,
        stored: dict[UUID, int],
    ) -> None:
        position = head
        for number, waiting in enumerate(batch):
            verdict = ACCEPTED if verdicts is None else verdicts[number]
            judged = Judged(verdict, detail=(details or {}).get(str(number + 1)), at=at)
            if verdict == ACCEPTED:
                position += len(waiting.item.event_ids)
                judged = Judged(ACCEPTED, position if waiting.item.event_ids else 0, at)
            elif verdict == STORED_ALREADY:
                judged = Judged(ACCEPTED, stored[waiting.item.event_ids[-1]], at)
            _settle(waiting.future, judged)
        if position > head:
            self.bell(position)

    async def _singly(self, batch: list[_Waiting], problem: psycopg.Error) -> None:
        """The database refused what was judged acceptable: whose fault it is shows when each goes alone."""
        if len(batch) > 1:
            for waiting in batch:
                await self._write([waiting])
        elif isinstance(problem, psycopg.errors.UniqueViolation):
            _settle(batch[0].future, Judged(CONFLICT))
        elif not batch[0].future.done():
            batch[0].future.set_exception(problem)

    async def _lost(self, batch: list[_Waiting], problem: Exception) -> None:
        """The outcome is unknown: ask again with the same event ids, until patience ends."""
        figures.LOST.inc()
        if self._connection is not None:
            await self._connection.close()
        self._connection = None
        now = time.monotonic()
        for waiting in reversed(batch):
            waiting.again = True
            if waiting.future.done():
                continue
            if now < waiting.until:
                self._queue.appendleft(waiting)
            else:
                waiting.future.set_exception(Unavailable(str(problem)))
        await asyncio.sleep(0.05)

    async def _connect(self) -> None:
        """What the lost connection's back-end still holds or waits for must not be stored after a retry was refused."""
        self._connection = connection = await connect(self._url, name="chancery writer")
        if self._backend is not None:
            await connection.execute(END_BACKEND, self._backend)
        cursor = await connection.execute(
            "select pid, backend_start from pg_stat_activity where pid = pg_backend_pid()"
        )
        self._backend = await cursor.fetchone()

    async def _stored_before(self, batch: list[_Waiting], verdicts: list[int]) -> dict[UUID, int]:
        ids = [w.item.event_ids[-1] for w, v in zip(batch, verdicts, strict=True) if v == STORED_ALREADY]
        if not ids:
            return {}
        assert self._connection is not None
        rows = await self._connection.execute(
            "select event_id, notification_id from stored_events where event_id = any(%b::uuid[])",
            (a_uuid(ids),),
        )
        return dict(await rows.fetchall())

    async def _call(
        self, items: list[Item], *, again: bool
    ) -> tuple[int, datetime, list[int] | None, dict[str, Any] | None]:
        assert self._connection is not None
        cursor = self._connection.cursor(row_factory=tuple_row, binary=True)
        with figures.APPEND.time():
            await cursor.execute(CALL, packed(items, again=again), prepare=True)
        row = await cursor.fetchone()
        assert row is not None
        head, at, verdicts, details, waited = row
        figures.LOCK_WAIT.observe(max(0.0, waited))
        return head, at, verdicts, details


_SAID = [figures.VERDICTS.labels(word) for word in VERDICTS]


def _refuse(future: asyncio.Future[Judged]) -> None:
    if not future.done():
        future.set_exception(Overloaded("this command waited too long for its turn"))


def _settle(future: asyncio.Future[Judged], judged: Judged) -> None:
    """The caller may have left meanwhile."""
    if not future.done():
        future.set_result(judged)


END_BACKEND = b"""select pg_terminate_backend(pid, 3000) from pg_stat_activity
  where pid = %s and backend_start = %s and pid <> pg_backend_pid()"""
