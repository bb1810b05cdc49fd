"""An event store on a test's database, with the writer at work."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from infrastructure.event_codec import EventCodec
from infrastructure.event_log import EventLog
from infrastructure.event_store import EventStore, read_receipts
from infrastructure.guards import Guards
from infrastructure.personal_data import Vault, Wrapping
from infrastructure.postgres import GroupRead, open_pool
from infrastructure.writer import Writer

WRAPPING = Wrapping(bytes(32))


class Opened(NamedTuple):
    store: EventStore
    log: EventLog


@asynccontextmanager
async def open_store(dsn: str, *, write_url: str | None = None) -> AsyncIterator[Opened]:
    """`write_url`: where the writer connects, when that is another way (a proxy, say)."""
    pool = await open_pool(dsn, size=4)
    codec = EventCodec()
    vault, writer = Vault(pool, WRAPPING), Writer(write_url or dsn)
    log, receipts = EventLog(pool, codec, vault), GroupRead(dsn, read_receipts, name="receipts")
    store = EventStore(log, writer, codec, vault, Guards(WRAPPING.blind), receipts)
    tasks = [asyncio.create_task(writer.run()), asyncio.create_task(receipts.run())]
    try:
        yield Opened(store, log)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await pool.close()
