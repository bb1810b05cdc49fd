"""The bare limit: the rows an append writes, one insert for all that wait, and nothing judged."""

import asyncio
from typing import Any, NamedTuple, Never
from uuid import UUID

from psycopg import AsyncConnection

from infrastructure.postgres import connect
from projections.packing import a_bytes, a_int8, a_text, a_uuid

AT_MOST = 512


class Row(NamedTuple):
    """One event that begins its stream, and the claim it takes."""

    stream_id: UUID
    event_id: UUID
    topic: str
    state: bytes
    meta: bytes
    claim: tuple[str, str]


class Bare:
    """As the writer waits and takes, without verdicts; the head is kept here, so one process alone may run it."""

    def __init__(self, url: str) -> None:
        self._url, self._head = url, 0
        self._waiting: list[tuple[Row, asyncio.Future[None]]] = []
        self._wake: asyncio.Future[None] | None = None

    async def append(self, row: Row) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, future))
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
        await future

    async def run(self) -> Never:
        async with await connect(self._url, name="bare limit") as connection:
            while True:
                if not self._waiting:
                    self._wake = asyncio.get_running_loop().create_future()
                    await self._wake
                batch, self._waiting = self._waiting[:AT_MOST], self._waiting[AT_MOST:]
                await self._write(connection, [row for row, _ in batch])
                for _, future in batch:
                    future.set_result(None)

    async def _write(self, connection: AsyncConnection[Any], rows: list[Row]) -> None:
        streams, ids, topics, states, metas, claims = zip(*rows, strict=True)
        kinds, values = zip(*claims, strict=True)
        await connection.execute(
            INSERT,
            (
                a_uuid(streams),
                a_text(topics),
                a_bytes(states),
                a_int8(range(self._head + 1, self._head + len(rows) + 1)),
                a_uuid(ids),
                a_bytes(metas),
                a_text(kinds),
                a_text(values),
            ),
            prepare=True,
        )
        self._head += len(rows)


INSERT = b"""with rows as (
    select * from unnest(%b::uuid[], %b::text[], %b::bytea[], %b::int8[],
                         %b::uuid[], %b::bytea[], %b::text[], %b::text[])
      as r(stream, topic, state, position, id, meta, kind, value)
  ), claimed as (
    insert into claims select kind, value, stream from rows
  )
  insert into stored_events select stream, 1, topic, state, position, id, clock_timestamp(), meta from rows"""
