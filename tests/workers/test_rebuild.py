"""A read model can be thrown away: built again it is the same, and nobody who reads it sees it missing."""

import asyncio

import psycopg
import pytest

from projections.audit_log import AuditLog
from projections.organisation import ORGANISATIONS
from tests.flow import Tally, append, workers
from workers import checkpoint
from workers.places import Busy
from workers.rebuild import compare, rebuild
from workers.verify import verify

pytestmark = pytest.mark.anyio


@pytest.fixture
async def flow(dsn, nats_server):
    nats_server.wipe()
    async with workers(dsn, nats_server) as made:
        yield made


async def right(flow) -> bool:
    return await flow.caught_up() and await flow.tally_is_right()


async def test_what_is_built_again_is_equal_and_takes_its_place(flow, dsn):
    append(dsn, 300)
    flow.projector(Tally())
    await flow.until(lambda: right(flow))
    before = await flow.one("select 'read.tally'::regclass::oid")
    built = await rebuild(dsn, flow.log, Tally())
    assert built.at.position == 300
    assert built.comparison.equal
    assert before != await flow.one("select 'read.tally'::regclass::oid")
    assert before == await flow.one("select 'read_prev.tally'::regclass::oid")
    assert await flow.one("select count(*) from projections where place = 'read_next'") == (0,)
    append(dsn, 100)
    await flow.until(lambda: right(flow))


@pytest.mark.parametrize("projection", [ORGANISATIONS, AuditLog()], ids=lambda projection: projection.name)
async def test_a_real_read_model_is_equal_when_built_again(flow, dsn, projection):
    append(dsn, 700)
    flow.projector(projection)
    await flow.until(lambda: flow.caught_up(projection.name))
    first = await rebuild(dsn, flow.log, projection)
    append(dsn, 50)
    await flow.until(lambda: flow.caught_up(projection.name))
    second = await rebuild(dsn, flow.log, projection)
    assert first.comparison.equal
    assert second.comparison.equal
    assert any(rows.count for rows in second.comparison.built)


async def test_indexes_are_those_of_a_table_that_was_never_rebuilt(flow, dsn):
    async def indexes() -> set[str]:
        cursor = await flow.connection.execute("select indexdef from pg_indexes where schemaname = 'read'")
        return {definition for (definition,) in await cursor.fetchall()}

    append(dsn, 20)
    await checkpoint.begin(flow.connection, ORGANISATIONS, "read")
    first = await indexes()
    await rebuild(dsn, flow.log, ORGANISATIONS)
    assert await indexes() == first
    assert len(first) > 5


async def test_a_rebuild_while_events_come_in_loses_none(flow, dsn):
    flow.relay()
    flow.projector(Tally())
    append(dsn, 2000)
    stop = asyncio.Event()

    async def writing() -> None:
        while not stop.is_set():
            await asyncio.to_thread(append, dsn, 20)

    writer = asyncio.create_task(writing())
    for _ in range(5):
        built = await rebuild(dsn, flow.log, Tally())
        assert built.comparison is None or built.comparison.equal
    stop.set()
    await writer
    await flow.until(lambda: right(flow))


async def test_a_read_model_can_be_built_before_any_worker_has_run(flow, dsn):
    append(dsn, 50)
    built = await rebuild(dsn, flow.log, Tally())
    assert built.comparison is None
    assert await right(flow)


async def test_a_changed_row_is_found(flow, dsn):
    append(dsn, 50)
    flow.projector(Tally())
    await flow.until(lambda: right(flow))
    await flow.connection.execute(
        "update read.tally set seen = seen + 1 where stream_id = (select stream_id from read.tally limit 1)"
    )
    assert (await verify(dsn, "tally")).right
    assert not (await compare(dsn, flow.log, Tally())).comparison.equal
    assert await flow.one("select to_regclass('read_next.tally')") == (None,)


async def test_a_skipped_or_doubled_event_is_found(flow, dsn):
    append(dsn, 50)
    flow.projector(Tally())
    await flow.until(lambda: right(flow))
    assert (await verify(dsn, "tally")).right
    await flow.connection.execute("update projections set count = count + 1")
    assert not (await verify(dsn, "tally")).right
    await flow.connection.execute("update projections set count = count - 1, digest = sha256(digest)")
    assert not (await verify(dsn, "tally")).right


async def test_a_worker_builds_a_new_version_beside_by_itself_and_goes_on_with_it(flow, dsn):
    append(dsn, 50)
    flow.projector(Tally())
    await flow.until(lambda: right(flow))
    await flow.stop(flow.tasks[-1])
    newer = Tally()
    newer.version = 2
    newer.ddl = lambda schema: Tally.ddl(newer, schema).replace("last bigint", "last numeric")
    append(dsn, 10)
    flow.projector(newer)
    await flow.until(lambda: right(flow))
    append(dsn, 10)
    await flow.until(lambda: right(flow))
    stand = "select array_agg(row(place, version)::text order by place), bool_or(failure is not null) from projections"
    assert await flow.one(stand) == (["(read,2)", "(read_prev,1)"], False)


async def test_a_new_version_that_cannot_be_built_leaves_the_one_in_use_and_says_why(flow, dsn):
    append(dsn, 50)
    flow.projector(Tally())
    await flow.until(lambda: right(flow))
    await flow.stop(flow.tasks[-1])
    newer = Tally()
    newer.version = 2
    newer.ddl = lambda schema: Tally.ddl(newer, schema) + f'alter table "{schema}".tally add check (seen < 0)'
    flow.projector(newer, pause=0.05)

    async def said() -> bool:
        at = await checkpoint.load(flow.connection, "tally", "read")
        return (at.failure or "").startswith("built by version 1, this is version 2: ")

    await flow.until(said)
    assert await right(flow)


async def test_a_poisoned_read_model_is_compared_where_it_stands(flow, dsn):
    poisoned = Tally()
    poisoned.poison = 31
    append(dsn, 50)
    flow.projector(poisoned, pause=0.05)

    async def stopped() -> bool:
        at = await checkpoint.load(flow.connection, "tally", "read")
        return at is not None and at.failure is not None

    await flow.until(stopped)
    built = await rebuild(dsn, flow.log, Tally())
    assert built.comparison.position == 30
    assert built.comparison.equal
    assert built.at.position == 50


async def test_two_rebuilds_of_one_read_model_are_not_begun(flow, dsn):
    append(dsn, 10)
    with psycopg.connect(dsn, autocommit=True) as other:
        other.execute("select pg_advisory_lock(4251, hashtext('tally'))")
        with pytest.raises(Busy):
            await rebuild(dsn, flow.log, Tally())


async def test_a_rebuild_that_was_killed_leaves_nothing_in_the_way(flow, dsn):
    append(dsn, 50)
    await checkpoint.begin(flow.connection, Tally(), "read_next")
    built = await rebuild(dsn, flow.log, Tally())
    assert built.at.position == 50
    assert await right(flow)


async def test_a_reader_in_the_way_only_delays_the_swap(flow, dsn):
    append(dsn, 20)
    flow.projector(Tally())
    await flow.until(lambda: right(flow))
    with psycopg.connect(dsn) as reader:
        reader.execute("select * from read.tally")
        running = asyncio.create_task(rebuild(dsn, flow.log, Tally()))

        async def waits() -> bool:
            return (await flow.one("select count(*) from pg_locks where not granted"))[0] > 0

        await flow.until(waits)
        reader.commit()
        assert (await running).comparison.equal
