"""What a rebuild kept aside comes back whole, and whoever reads meanwhile never sees it missing."""

import asyncio
import os
import signal
import subprocess
import sys
from base64 import b64encode

import psycopg
import pytest

from projections.department import DEPARTMENTS
from projections.organisation import ORGANISATIONS
from tests.flow import Tally, append, workers
from tests.waiting import until
from workers import checkpoint
from workers.places import REBUILD, Refused
from workers.rebuild import compare, rebuild
from workers.rollback import rollback
from workers.verify import verify

pytestmark = pytest.mark.anyio
HERE = "from pg_locks where database = (select oid from pg_database where datname = current_database())"


@pytest.fixture
async def flow(dsn, nats_server):
    nats_server.wipe()
    async with workers(dsn, nats_server) as made:
        yield made


async def right(flow) -> bool:
    return await flow.caught_up() and await flow.tally_is_right()


async def table(flow, place: str = "read") -> int:
    return (await flow.one(f"select '{place}.tally'::regclass::oid"))[0]


async def test_the_one_before_is_in_use_again_and_catches_up(flow, dsn):
    append(dsn, 100)
    flow.projector(Tally())
    await flow.until(lambda: right(flow))
    first = await table(flow)
    await rebuild(dsn, flow.log, Tally())
    second = await table(flow)
    append(dsn, 50)
    await flow.until(lambda: right(flow))
    done = await rollback(dsn, flow.log, Tally())
    assert (done.at.position, done.aside.position) == (100, 150)
    assert (await table(flow), await table(flow, "read_prev")) == (first, second)
    append(dsn, 50)
    await flow.until(lambda: right(flow))
    assert (await verify(dsn, "tally")).right
    assert (await compare(dsn, flow.log, Tally())).comparison.equal
    again = await rollback(dsn, flow.log, Tally())
    assert (again.at.position, await table(flow)) == (150, second)
    await flow.until(lambda: right(flow))


async def test_readers_see_one_or_the_other_and_never_an_empty_table(flow, dsn):
    append(dsn, 200)
    flow.projector(Tally())
    await flow.until(lambda: right(flow))
    await rebuild(dsn, flow.log, Tally())
    stop, seen = asyncio.Event(), []

    async def reading() -> None:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as reader:
            while not stop.is_set():
                cursor = await reader.execute("select coalesce(sum(seen), 0) from read.tally")
                seen.append((await cursor.fetchone())[0])

    readers = [asyncio.create_task(reading()) for _ in range(3)]
    for _ in range(6):
        seen.clear()
        await until(lambda: seen)
        await rollback(dsn, flow.log, Tally())
        await rebuild(dsn, flow.log, Tally())
        assert set(seen) == {200}
    stop.set()
    await asyncio.gather(*readers)


async def test_without_anything_kept_aside_nothing_is_changed(flow, dsn):
    append(dsn, 10)
    flow.projector(Tally())
    await flow.until(lambda: right(flow))
    before = await table(flow)
    with pytest.raises(Refused, match="nothing of tally is kept aside"):
        await rollback(dsn, flow.log, Tally())
    assert await table(flow) == before


async def test_what_another_version_has_built_is_not_put_into_use(flow, dsn):
    append(dsn, 10)
    await rebuild(dsn, flow.log, Tally())
    newer = Tally()
    newer.version = 2
    await rebuild(dsn, flow.log, newer)
    with pytest.raises(Refused, match="version 1 of tally is kept aside, this program has version 2"):
        await rollback(dsn, flow.log, newer)
    assert (await rollback(dsn, flow.log, Tally())).at.version == 1, "the release before takes it back"


async def test_what_knows_more_than_the_log_is_not_put_into_use(flow, dsn):
    append(dsn, 10)
    await rebuild(dsn, flow.log, Tally())
    await rebuild(dsn, flow.log, Tally())
    await flow.connection.execute("update projections set position = 11 where place = 'read_prev'")
    with pytest.raises(Refused, match="events that the log has no more"):
        await rollback(dsn, flow.log, Tally())


async def test_what_was_parked_goes_with_the_tables_it_is_parked_of(flow, dsn):
    tally = Tally()
    append(dsn, 10)
    flow.projector(tally)
    await flow.until(lambda: right(flow))
    stream = (await flow.one("select originator_id from stored_events where notification_id = 3"))[0]
    await rebuild(dsn, flow.log, tally)
    await flow.connection.execute(
        "insert into parked_streams select name, place, %s, 11, gen_random_uuid(), '' from projections"
        " where name = 'tally' and place = 'read'",
        (stream,),
    )
    assert (await rollback(dsn, flow.log, tally)).at.parked == {}
    assert (await rollback(dsn, flow.log, tally)).at.parked == {stream: 11}


async def test_a_rebuild_whose_connection_is_lost_in_the_middle_is_done_again(flow, dsn):
    class Stuck(Tally):
        async def apply(self, cursor, schema, batch):
            await Tally.apply(self, cursor, schema, batch)
            if schema == "read_next":
                await cursor.execute("select pg_sleep(600)")

    append(dsn, 50)
    flow.projector(Tally())
    await flow.until(lambda: right(flow))
    building = asyncio.create_task(rebuild(dsn, flow.log, Stuck()))

    async def killed() -> bool:
        cursor = await flow.connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where query like 'select pg_sleep(600)%'"
            " and datname = current_database()"
        )
        return bool(await cursor.fetchall())

    await flow.until(killed)
    with pytest.raises(psycopg.OperationalError):
        await building
    assert await right(flow)
    assert (await rebuild(dsn, flow.log, Tally())).comparison.equal
    assert await right(flow)


def typed(dsn: str, *arguments: str) -> subprocess.Popen:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("CHANCERY_")}
    ours |= {"CHANCERY_DATABASE_URL": dsn, "CHANCERY_KEY_ENCRYPTION_KEY": b64encode(bytes(32)).decode()}
    command = [sys.executable, "-m", "cli.main", "projections", *arguments]
    return subprocess.Popen(command, env=ours, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


async def test_kill_9_just_before_the_swap_leaves_nothing_half(flow, dsn):
    append(dsn, 300)
    flow.projector(ORGANISATIONS)
    await flow.until(lambda: flow.caught_up("organisation"))
    before = await flow.one("select 'read.organisation'::regclass::oid")
    with psycopg.connect(dsn) as reader:
        reader.execute("select from read.organisation limit 1")
        lost = typed(dsn, "rebuild", "organisation")

        async def waits() -> bool:
            found = await flow.one(f"select count(*) {HERE} and not granted and relation = %s", before[0])
            return found[0] > 0

        try:
            await until(waits, 120)
        finally:
            lost.send_signal(signal.SIGKILL)
            lost.communicate()
    assert await flow.one("select 'read.organisation'::regclass::oid") == before

    async def alone() -> bool:
        return (await flow.one(f"select count(*) {HERE} and classid = {REBUILD}"))[0] == 0

    await until(alone)
    append(dsn, 20)
    again = await rebuild(dsn, flow.log, ORGANISATIONS)
    assert again.comparison.equal
    assert again.at.position == 320
    assert await flow.one("select count(*) from projections where place = 'read_next'") == (0,)


async def test_a_first_build_has_nothing_to_go_back_to(flow, dsn):
    await rebuild(dsn, flow.log, DEPARTMENTS)
    assert await checkpoint.load(flow.connection, "department", "read_prev") is None
    with pytest.raises(Refused):
        await rollback(dsn, flow.log, DEPARTMENTS)
