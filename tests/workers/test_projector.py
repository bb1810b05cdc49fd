"""Every event reaches every projection once and in order, whatever happens on the way."""

import asyncio

import msgspec
import nats.errors
import psycopg
import pytest

from infrastructure.nats import APPENDED, projected
from infrastructure.tail import Tail
from projections.leaf import stored_of
from tests.flow import Tally, append, workers
from workers import checkpoint
from workers.checkpoint import Moved, running
from workers.epoch import EpochMismatch
from workers.rebuild import rebuild

pytestmark = pytest.mark.anyio


@pytest.fixture
async def flow(dsn, nats_server):
    nats_server.wipe()
    async with workers(dsn, nats_server) as made:
        yield made


async def right(flow) -> bool:
    return await flow.caught_up() and await flow.tally_is_right()


async def test_a_projection_catches_up_and_follows(flow, dsn):
    append(dsn, 1200)
    flow.projector(Tally())
    await flow.until(lambda: right(flow))
    append(dsn, 300)
    await flow.until(lambda: right(flow))


async def test_the_checkpoint_counts_every_event_and_digests_their_ids(flow, dsn):
    append(dsn, 700)
    flow.projector(Tally())
    await flow.until(lambda: right(flow))
    ids = [stored.event_id for stored in await flow.log.read(0, 1000)]
    at = await checkpoint.load(flow.connection, "tally", "read")
    assert (at.position, at.count, at.digest) == (700, 700, running(b"", ids))


async def test_a_projection_goes_over_to_nats_when_it_has_caught_up(flow, dsn):
    append(dsn, 50)
    flow.relay()
    feed = flow.projector(Tally())

    async def over_nats() -> bool:
        append(dsn, 5)
        return feed.from_stream > 50

    await flow.until(over_nats)
    await flow.until(lambda: right(flow))


async def carried(flow, dsn, feed) -> None:
    """Go on until NATS brings the events."""
    before = feed.from_stream

    async def brought() -> bool:
        append(dsn, 2)
        return feed.from_stream > before

    await flow.until(brought)


async def test_what_the_stream_no_longer_has_comes_from_the_store(flow, dsn, monkeypatch):
    monkeypatch.setattr("workers.relay.REFILL", 100)
    append(dsn, 1000)
    flow.relay()
    feed = flow.projector(Tally())
    await flow.until(lambda: right(flow))
    assert feed.from_store >= 900
    await carried(flow, dsn, feed)
    await flow.until(lambda: right(flow))


async def test_a_hole_in_the_stream_is_healed_from_the_store(flow, dsn):
    append(dsn, 100)
    flow.relay()

    async def published() -> bool:
        try:
            return await flow.stream_ends_at() == 100
        except nats.errors.Error:
            return False

    await flow.until(published)
    for lost in (1, 40, 41, 99):
        await flow.publisher.stream.delete_msg("EVENTS", lost)
    feed = flow.projector(Tally())
    await flow.until(lambda: right(flow))
    await carried(flow, dsn, feed)
    await flow.until(lambda: right(flow))


async def test_nothing_stops_when_nats_is_down(flow, dsn, nats_server):
    append(dsn, 20)
    flow.relay()
    feed = flow.projector(Tally())
    await carried(flow, dsn, feed)
    nats_server.kill()
    try:
        append(dsn, 200)
        await flow.until(lambda: right(flow))
    finally:
        nats_server.start()
    await carried(flow, dsn, feed)
    await flow.until(lambda: right(flow))


async def test_a_wiped_server_changes_nothing(flow, dsn, nats_server):
    append(dsn, 200)
    flow.relay()
    feed = flow.projector(Tally())
    await carried(flow, dsn, feed)
    nats_server.wipe()
    append(dsn, 200)
    await flow.until(lambda: right(flow))
    await carried(flow, dsn, feed)
    await flow.until(lambda: right(flow))


async def test_a_deleted_stream_does_not_leave_a_stuck_consumer(flow, dsn):
    append(dsn, 100)
    flow.relay()
    feed = flow.projector(Tally())
    await carried(flow, dsn, feed)
    await flow.publisher.stream.delete_stream("EVENTS")
    append(dsn, 100)
    await flow.until(lambda: right(flow))
    await carried(flow, dsn, feed)
    await flow.until(lambda: right(flow))


async def test_events_delivered_twice_are_applied_once(flow, dsn):
    append(dsn, 10)
    feed = flow.projector(Tally())
    await flow.until(lambda: right(flow))
    tail = feed._tail
    append(dsn, 10)
    for stored in [*await flow.log.read(5, 8), *await flow.log.read(10, 10), *await flow.log.read(10, 10)]:
        tail._waiting.append(stored)
    tail._more.set()
    await flow.until(lambda: right(flow))


async def test_a_hole_in_what_was_fetched_ahead_is_never_stepped_over(flow, dsn):
    append(dsn, 10)
    tail = Tail(flow.nats)
    events = await flow.log.read(0, 10)
    tail._waiting.extend([*events[:3], *events[4:]])
    assert tail.take(0, 500) == events[:3]
    assert tail.take(3, 500) == []
    assert tail.ahead
    assert tail.take(4, 2) == events[4:6]
    assert tail.take(6, 500) == events[6:]
    assert not tail.ahead


async def test_two_workers_of_one_projection_apply_nothing_twice(flow, dsn, nats_server):
    async with workers(dsn, nats_server) as other:
        flow.relay()
        flow.projector(Tally())
        other.projector(Tally())
        for _ in range(10):
            append(dsn, 100)
        await flow.until(lambda: right(flow))


async def test_a_worker_without_the_role_cannot_apply_twice(flow, dsn, monkeypatch):
    """Locks only save work: the checkpoint alone must hold. Here both believe that they are the one."""

    async def taken(*_: object) -> bool:
        return True

    monkeypatch.setattr("infrastructure.role._take", taken)
    flow.relay()
    flow.projector(Tally())
    flow.projector(Tally())
    for _ in range(10):
        append(dsn, 100)
        await asyncio.sleep(0)
    await flow.until(lambda: right(flow))


async def test_a_batch_already_applied_is_refused(flow, dsn):
    append(dsn, 10)
    await checkpoint.begin(flow.connection, Tally(), "read")
    at = await checkpoint.load(flow.connection, "tally", "read")
    batch = await flow.log.open(await flow.log.read(0, 10))
    await checkpoint.advance(flow.connection, Tally(), "read", at, batch)
    with pytest.raises(Moved):
        await checkpoint.advance(flow.connection, Tally(), "read", at, batch)
    assert await flow.tally_is_right()


async def test_an_event_that_the_store_does_not_have_is_refused(flow, dsn):
    append(dsn, 10)
    await checkpoint.begin(flow.connection, Tally(), "read")
    at = await checkpoint.load(flow.connection, "tally", "read")
    batch = await flow.log.open(await flow.log.read(0, 10))
    forged = msgspec.structs.replace(batch[-1], event_id=batch[0].event_id)
    with pytest.raises(EpochMismatch):
        await checkpoint.advance(flow.connection, Tally(), "read", at, [*batch[:-1], forged])
    assert await flow.one("select count(*) from read.tally") == (0,)


async def test_a_checkpoint_ahead_of_the_store_stops_the_worker(flow, dsn):
    append(dsn, 5)
    await checkpoint.begin(flow.connection, Tally(), "read")
    await flow.connection.execute("update projections set position = 9")
    flow.projector(Tally())
    with pytest.raises(EpochMismatch):
        await asyncio.wait_for(flow.tasks.pop(), 10)


async def test_a_poisoned_event_stops_its_projection_loudly_and_no_other(flow, dsn):
    poisoned, healthy = Tally(), Tally()
    healthy.name, healthy.tables = "other", ("other",)
    healthy.ddl = lambda schema: Tally.ddl(healthy, schema).replace("tally", "other")

    async def nothing(*_: object) -> None: ...

    healthy.apply = nothing
    poisoned.poison = 25
    append(dsn, 40)
    flow.projector(poisoned, pause=0.05)
    flow.projector(healthy)

    async def stopped() -> bool:
        at = await checkpoint.load(flow.connection, "tally", "read")
        return at is not None and at.failure is not None

    await flow.until(stopped)
    await flow.until(lambda: flow.caught_up("other"))
    event = (await flow.log.read(24, 1))[0]
    position, failure, failed_at = await flow.one(
        "select position, failure, failed_at from projections where name = 'tally' and place = 'read'"
    )
    assert position == 24
    assert failure == f"event {event.event_id} at position 25: ValueError: poisoned"
    assert failed_at is not None

    poisoned.poison = None
    await flow.until(lambda: right(flow))
    assert await flow.one(
        "select failure, failed_at from projections where name = 'tally' and place = 'read'"
    ) == (None, None)


async def test_an_event_of_an_unknown_kind_stops_the_projection_at_its_position(flow, dsn):
    append(dsn, 10)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "select append_as_given(array[gen_random_uuid()], array[1::bigint], array['never.heard.v1'],"
            " array['{}'::bytea], '{}'::bytea)"
        )
    append(dsn, 10)
    flow.projector(Tally(), pause=0.05)

    async def stopped() -> bool:
        at = await checkpoint.load(flow.connection, "tally", "read")
        return at is not None and at.failure is not None and at.position == 10

    await flow.until(stopped)


async def test_a_table_of_a_newer_version_is_left_to_a_worker_of_that_release(flow, dsn):
    """Both stand by for the role; who cannot write gives way."""
    newer = Tally()
    newer.version = 2
    append(dsn, 10)
    await rebuild(dsn, flow.log, newer)
    append(dsn, 10)
    flow.projector(Tally(), pause=0.05)

    async def said() -> bool:
        at = await checkpoint.load(flow.connection, "tally", "read")
        return at.failure == "built by version 2, of a newer release: this is version 1"

    await flow.until(said)
    assert await flow.position() == 10
    flow.projector(newer)
    await flow.until(lambda: right(flow))
    assert await flow.one("select version, failure from projections where place = 'read'") == (2, None)


async def test_cut_connections_are_made_again(flow, dsn, database):
    flow.relay()
    flow.projector(Tally())
    name = psycopg.conninfo.conninfo_to_dict(dsn)["dbname"]
    for _ in range(3):
        append(dsn, 100)
        with psycopg.connect(database.admin, autocommit=True) as admin:
            admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = %s and pid not in (%s, pg_backend_pid())",
                (name, flow.connection.info.backend_pid),
            )
        append(dsn, 100)
        await flow.until(lambda: right(flow))


async def test_a_bell_rings_for_each_batch(flow, dsn):
    rung = asyncio.Event()

    async def heard(_: object) -> None:
        rung.set()

    await flow.until(lambda: flow.nats.connected)
    await flow.nats.client.subscribe(projected("tally"), cb=heard)
    await flow.nats.client.flush()
    flow.projector(Tally())
    append(dsn, 1)
    await flow.nats.ring(APPENDED)
    await asyncio.wait_for(rung.wait(), 5)


def test_a_foreign_leaf_is_no_event():
    with pytest.raises(msgspec.DecodeError):
        stored_of(b"[1]")
