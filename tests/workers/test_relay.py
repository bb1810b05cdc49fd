"""The stream is the log, number for number, whatever happens to the stream."""

import asyncio
from uuid import uuid4

import msgspec
import nats.errors
import psycopg
import pytest

from projections.leaf import leaf, stored_of
from tests.auditing import superuser
from tests.flow import append, workers
from workers.epoch import EpochMismatch
from workers.relay import Relay, Unacknowledged

pytestmark = pytest.mark.anyio


@pytest.fixture
async def flow(dsn, nats_server):
    nats_server.wipe()
    async with workers(dsn, nats_server) as made:
        yield made


async def stream_is_the_log(flow) -> bool:
    """Every message from the first on is the event of its number."""
    head = await flow.log.head()
    state = (await flow.nats.stream.stream_info("EVENTS")).state
    if state.last_seq != head:
        return False
    for stored in await flow.log.read(state.first_seq - 1, 10_000):
        message = await flow.nats.stream.get_msg("EVENTS", stored.position)
        assert message.data == leaf(stored)
        assert message.subject == f"events.{stored.topic}"
        assert message.headers["Chancery-Event-Id"] == str(stored.event_id)
        assert stored_of(message.data) == stored
    return True


async def published(flow) -> bool:
    try:
        return await stream_is_the_log(flow)
    except nats.errors.Error:
        return False


async def test_an_event_is_published_under_its_position(flow, dsn):
    append(dsn, 30)
    flow.relay()
    await flow.until(lambda: published(flow))
    append(dsn, 20)
    await flow.until(lambda: published(flow))


async def test_the_server_refuses_another_order(flow, dsn):
    append(dsn, 5)
    flow.relay()
    await flow.until(lambda: published(flow))
    for wrong in ("3", "7"):
        with pytest.raises(nats.js.errors.APIError) as refusal:
            await flow.publisher.stream.publish(
                "events.x.y.v1", b"", headers={"Nats-Expected-Last-Sequence": wrong}
            )
        assert refusal.value.err_code == 10071
    assert await flow.stream_ends_at() == 5


async def test_a_wiped_server_is_filled_again(flow, dsn, nats_server):
    append(dsn, 40)
    flow.relay()
    await flow.until(lambda: published(flow))
    nats_server.wipe()
    append(dsn, 10)
    await flow.until(lambda: published(flow))


async def test_a_deleted_stream_is_made_again_without_a_new_event(flow, dsn, monkeypatch):
    monkeypatch.setattr("workers.relay.LOOK_SECONDS", 0.2)
    append(dsn, 40)
    flow.relay()
    await flow.until(lambda: published(flow))
    await flow.publisher.stream.delete_stream("EVENTS")
    await flow.until(lambda: published(flow))


async def test_only_the_newest_events_are_put_back(flow, dsn, monkeypatch):
    monkeypatch.setattr("workers.relay.REFILL", 15)
    append(dsn, 40)
    flow.relay()
    await flow.until(lambda: published(flow))
    assert (await flow.nats.stream.stream_info("EVENTS")).state.first_seq == 26


async def test_a_stream_cut_short_goes_on_where_it_ends(flow, dsn):
    append(dsn, 20)
    relay = flow.relay()
    await flow.until(lambda: published(flow))
    await flow.stop(relay)
    await flow.publisher.stream.delete_msg("EVENTS", 20)
    append(dsn, 10)
    flow.relay()

    async def ended() -> bool:
        return await flow.stream_ends_at() == 30

    await flow.until(ended)


async def test_two_relays_publish_nothing_twice(flow, dsn, nats_server):
    async with workers(dsn, nats_server) as other:
        flow.relay()
        other.relay()
        for _ in range(10):
            append(dsn, 50)
        await flow.until(lambda: published(flow))
        state = (await flow.nats.stream.stream_info("EVENTS")).state
        assert state.messages == 500


async def test_a_relay_that_has_slept_publishes_nothing_twice(flow, dsn):
    """Locks only save work: the server alone must refuse one that believes it is still the relay."""
    append(dsn, 50)
    flow.relay()
    await flow.until(lambda: published(flow))
    late = Relay(flow.log, flow.positions, flow.publisher)
    for believed in (0, 49):
        with pytest.raises(Unacknowledged):
            await late._publish_from(flow.connection, believed)
    assert (await flow.nats.stream.stream_info("EVENTS")).state.messages == 50


async def test_the_next_relay_takes_over_when_the_connection_of_the_first_is_cut(
    flow, dsn, database, nats_server
):
    async with workers(dsn, nats_server) as other:
        flow.relay()
        append(dsn, 10)
        await flow.until(lambda: published(flow))
        other.relay()
        with psycopg.connect(database.admin, autocommit=True) as admin:
            admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'chancery relay%'"
            )
        append(dsn, 10)
        await flow.until(lambda: published(flow))


@pytest.mark.parametrize("appended", [0, 1], ids=["ahead of the store", "with another event"])
async def test_a_stream_of_another_history_stops_the_relay(flow, dsn, appended):
    append(dsn, 5)
    relay = flow.relay()
    await flow.until(lambda: published(flow))
    await flow.stop(relay)
    (last,) = await flow.log.read(4, 1)
    foreign = msgspec.structs.replace(last, position=6, event_id=uuid4())
    await flow.publisher.stream.publish("events.x.y.v1", leaf(foreign))
    append(dsn, appended)
    with pytest.raises(EpochMismatch):
        await asyncio.wait_for(Relay(flow.log, flow.positions, flow.publisher).run(dsn), 10)


async def test_a_stream_of_an_epoch_that_this_store_does_not_know_stops_the_relay(flow, dsn):
    await flow.until(lambda: flow.publisher.connected)
    metadata = {"chancery-epoch": str(uuid4())}
    await flow.publisher.stream.add_stream(name="EVENTS", subjects=["events.>"], metadata=metadata)
    append(dsn, 5)
    with pytest.raises(EpochMismatch, match="the stream is of epoch"):
        await asyncio.wait_for(Relay(flow.log, flow.positions, flow.publisher).run(dsn), 30)


async def test_when_an_operator_has_begun_an_epoch_the_stream_is_made_anew(flow, dsn, owner_dsn, database):
    append(dsn, 5)
    relay = flow.relay()
    await flow.until(lambda: published(flow))
    await flow.stop(relay)
    superuser(database, "delete from stored_events where notification_id > 3")
    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        owner.execute("insert into epochs (timeline, reason) values (2, 'restored')")
    flow.positions.head = 3
    flow.relay()
    await flow.until(lambda: published(flow))
    append(dsn, 4)
    await flow.until(lambda: published(flow))
    assert await flow.stream_ends_at() == 7
