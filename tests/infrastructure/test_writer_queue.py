"""What waits to be written: so much of it, for so long; what is refused has not been tried."""

import asyncio
from types import SimpleNamespace

import pytest

from infrastructure import writer as writer_module
from infrastructure.event_codec import EventCodec
from infrastructure.event_log import EventLog
from infrastructure.event_store import EventStore, read_receipts
from infrastructure.guards import Guards
from infrastructure.personal_data import Vault
from infrastructure.postgres import GroupRead, open_pool
from infrastructure.tasks import end
from infrastructure.writer import Overloaded, Writer
from tests.people import registered
from tests.store import WRAPPING
from tests.waiting import until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(dsn):
    """A store whose writer begins when `write` is called; a command waits for `patience` seconds."""
    pool, codec = await open_pool(dsn, size=2), EventCodec()
    vault, writer, tasks = Vault(pool, WRAPPING), Writer(dsn, patience=0.05), []
    log, receipts = EventLog(pool, codec, vault), GroupRead(dsn, read_receipts, name="receipts")
    store = EventStore(log, writer, codec, vault, Guards(WRAPPING.blind), receipts)

    def write() -> None:
        tasks.append(asyncio.create_task(writer.run()))

    yield SimpleNamespace(store=store, log=log, writer=writer, write=write)
    await end(*tasks)
    await pool.close()


def waiting(store) -> int:
    return len(store.writer._queue)


async def test_what_waited_too_long_for_its_turn_is_refused_and_not_written(store):
    late = asyncio.create_task(registered(store.store))
    await until(lambda: waiting(store) == 1)
    overdue = store.writer._queue[0].until
    await until(lambda: writer_module.time.monotonic() > overdue)
    store.write()
    with pytest.raises(Overloaded):
        await late
    assert await store.log.head() == 0
    store.writer._patience = 30.0
    await registered(store.store)
    assert await store.log.head() == 1


async def test_what_nobody_waits_for_any_more_is_not_begun(store):
    store.writer._patience = 30.0
    given_up, wanted = (asyncio.create_task(registered(store.store)) for _ in range(2))
    await until(lambda: waiting(store) == 2)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    store.write()
    await wanted
    assert await store.log.head() == 1


async def test_behind_so_many_nobody_waits(store, monkeypatch):
    monkeypatch.setattr(writer_module, "WAITING_AT_MOST", 2)
    store.writer._patience = 30.0
    in_time = [asyncio.create_task(registered(store.store)) for _ in range(2)]
    await until(lambda: waiting(store) == 2)
    with pytest.raises(Overloaded):
        await registered(store.store)
    store.write()
    await asyncio.gather(*in_time)
    assert await store.log.head() == 2
