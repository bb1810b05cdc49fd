"""The object store against a real S3 server: whole or not at all, and a clear word when it cannot."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from application.file_content import ObjectMissing
from infrastructure import object_store as module
from infrastructure.bounded import Busy
from infrastructure.event_store import new_id
from infrastructure.object_parts import PART, StoreUnavailable
from infrastructure.object_store import ObjectStore
from infrastructure.settings import Settings
from infrastructure.unbound import id_of_time
from tests import servers

pytestmark = pytest.mark.anyio


@pytest.fixture
def store(object_store: servers.ObjectStore):
    made = ObjectStore(Settings(**object_store.settings), patience=0.5)
    yield made
    made.close()


async def pieces(*data):
    for each in data:
        yield each


async def read(store, object_id):
    async with store.reading(object_id) as found:
        return b"".join([piece async for piece in found])


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 3 * PART + 7])
async def test_what_goes_in_comes_out(store, size):
    object_id, data = new_id(), (bytes(range(251)) * (size // 251 + 1))[:size]
    await store.store(object_id, pieces(*(data[at : at + 300_000] for at in range(0, size, 300_000))))
    assert await store.size(object_id) == size
    assert await read(store, object_id) == data
    copied = new_id()
    await store.copy(object_id, copied)
    await store.remove(object_id)
    await store.remove(object_id)
    assert await read(store, copied) == data
    with pytest.raises(ObjectMissing):
        await store.size(object_id)
    with pytest.raises(ObjectMissing):
        await read(store, object_id)
    with pytest.raises(ObjectMissing):
        await store.copy(object_id, new_id())


@pytest.mark.parametrize("failure", [ValueError("the rest is wrong"), asyncio.CancelledError()])
@pytest.mark.parametrize("size", [10, 3 * PART])
async def test_content_that_breaks_off_leaves_nothing(store, object_store, size, failure):
    before = object_store.names

    async def content():
        yield bytes(size)
        raise failure

    with pytest.raises(type(failure)):
        await store.store(new_id(), content())
    assert object_store.names == before


@pytest.mark.parametrize("size", [10, 2 * PART])
async def test_a_store_that_does_not_answer_is_given_up(store, object_store, size):
    await store.store(kept := new_id(), pieces(b"kept"))
    started = time.monotonic()
    with object_store.frozen():
        with pytest.raises(StoreUnavailable):
            await store.store(new_id(), pieces(bytes(size)))
        with pytest.raises(StoreUnavailable):
            await read(store, kept)
        await store.discard(new_id())  # says so in the log, and no more
    assert time.monotonic() - started < 10
    assert await read(store, kept) == b"kept"


async def test_a_store_that_is_not_set_is_away():
    store = ObjectStore(Settings())
    with pytest.raises(StoreUnavailable):
        await store.size(new_id())
    store.close()


async def test_only_so_many_transfers_go_on_at_once(store, monkeypatch):
    monkeypatch.setattr(module, "TRANSFERS", 1)
    await store.store(kept := new_id(), pieces(b"kept"))
    async with store.reading(kept):
        with pytest.raises(Busy):
            await store.store(new_id(), pieces(b"x"))
    assert await read(store, kept) == b"kept"


async def test_objects_are_told_by_when_they_were_made(store):
    now = datetime.now(UTC) - timedelta(days=9)
    first, then = id_of_time(now), id_of_time(now + timedelta(milliseconds=1))
    before, after = id_of_time(now - timedelta(seconds=1)), id_of_time(now + timedelta(seconds=1))
    for object_id in (then, first):
        await store.store(object_id, pieces(b"x"))
    assert await store.names(before, after) == [first, then]
    assert await store.names(before, then) == [first]
    assert await store.names(first, after) == [then]


async def test_an_id_of_a_time_lies_between_those_made_before_and_after():
    now = datetime.now(UTC)
    made = new_id()
    assert id_of_time(now - timedelta(seconds=1)) < made < id_of_time(now + timedelta(seconds=1))


async def test_our_own_servers_objects_are_on_disk_before_they_count(object_store, monkeypatch):
    files = servers.objects(object_store.data_dir, object_store.bucket)
    synced: list[Path] = []
    monkeypatch.setattr(module, "sync", synced.append)
    store = ObjectStore(Settings(**object_store.settings), files)
    await store.store(object_id := new_id(), pieces(b"x"))
    await store.copy(object_id, copied := new_id())
    store.close()
    assert synced == [files / str(object_id), files / str(copied)]
    assert all(path.exists() for path in synced)
    monkeypatch.undo()
    for path in (*synced, files / "nobody's"):
        module.sync(path)
