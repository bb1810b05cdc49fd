"""Jobs over a real broker: what was asked for is done whoever dies, and one word on it counts."""

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import redis
from structlog.testing import capture_logs

from domain.file.events import FileUploaded
from infrastructure.bootstrap import clock, running
from infrastructure.embedded.children import Child, end, wait_until
from infrastructure.event_store import new_id
from infrastructure.object_parts import StoreUnavailable
from infrastructure.operations import MOST_ATTEMPTS, MOST_IN_OUTAGES, Operations
from infrastructure.settings import environment
from infrastructure.tasks import end as end_tasks
from infrastructure.unbound import id_of_time
from tests.people import append
from tests.serving import settings
from tests.waiting import until
from workers import jobs, operations, sweeper
from workers.sweeper import Sweeper

pytestmark = pytest.mark.anyio
LABORER = Path(__file__).parents[1] / "laborer.py"


@pytest.fixture
def broker(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        yield client


@pytest.fixture
async def system(dsn, redis_url, broker):
    async with running(settings(dsn, "", redis_url=redis_url)) as opened:
        yield opened


@pytest.fixture
def asked(system):
    return Operations(system.pool, offer_again=timedelta(milliseconds=300))


@asynccontextmanager
async def sweeping(system, asked, redis_url=None):
    offer = jobs.offering(settings("", "", redis_url=redis_url or system.settings.redis_url))
    task = asyncio.create_task(Sweeper(asked, offer).run(system.settings.database_url))
    try:
        yield task
    finally:
        await end_tasks(task)


@pytest.fixture
def laborers(system, tmp_path):
    """Starts processes that do jobs."""
    begun = []

    def start() -> Child:
        folder = tmp_path / f"laborer-{len(begun)}"
        folder.mkdir()
        ours = {name: value for name, value in os.environ.items() if not name.startswith("CHANCERY_")}
        child = Child("jobs", folder, log=folder / "log")
        here = {"PYTHONPATH": str(LABORER.parents[1]), "CHANCERY_DATA_DIR": str(tmp_path / "data")}
        child.start([sys.executable, str(LABORER)], ours | environment(system.settings) | here)
        begun.append(child)
        return child

    yield start
    for child in begun:
        child.stop(5)


def age(owner_dsn, **columns) -> None:
    """Make time pass for every operation."""
    changes = ", ".join(f"{name} = {name} - interval '{hours} hours'" for name, hours in columns.items())
    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        owner.execute(f"update operations set {changes}")


def states(owner_dsn, kind="test.%") -> list:
    with psycopg.connect(owner_dsn) as owner:
        query = "select state, attempt from operations where kind like %s order by made_at, id"
        return owner.execute(query, (kind,)).fetchall()


def attempts(folder) -> set:
    return {path.name for path in folder.iterdir()}


def folder_for(tmp_path, name="done") -> Path:
    folder = tmp_path / name
    folder.mkdir()
    return folder


async def test_jobs_run_through_the_broker_and_a_flushed_one_loses_nothing(
    system, asked, broker, laborers, owner_dsn, tmp_path
):
    folder = folder_for(tmp_path)
    for _ in range(5):
        await asked.ask("test.note", {"folder": str(folder)})
    async with sweeping(system, asked):
        await until(lambda: broker.llen("dramatiq:default") >= 5)
    broker.flushall()
    async with sweeping(system, asked):
        laborers()
        await until(lambda: states(owner_dsn) == [("done", 1)] * 5)
        broker.flushall()
        await asked.ask("test.note", {"folder": str(folder)})
        await until(lambda: states(owner_dsn) == [("done", 1)] * 6)


async def test_when_a_worker_is_killed_in_the_middle_another_attempt_ends_it(
    system, asked, laborers, owner_dsn, tmp_path
):
    folder = folder_for(tmp_path)
    await asked.ask("test.stick", {"folder": str(folder)})
    async with sweeping(system, asked):
        first = laborers()
        await until(lambda: attempts(folder) == {"1"})
        end(first.pid, signal.SIGKILL)
        assert wait_until(first.died, 5)
        laborers()
        age(owner_dsn, leased_until=1)
        await until(lambda: states(owner_dsn) == [("done", 2)])
    assert attempts(folder) == {"1", "2"}


async def test_a_worker_that_is_asked_to_end_gives_its_job_back(system, asked, laborers, owner_dsn, tmp_path):
    folder = folder_for(tmp_path)
    await asked.ask("test.stick", {"folder": str(folder)})
    async with sweeping(system, asked):
        first = laborers()
        await until(lambda: attempts(folder) == {"1"})
        assert first.stop(30) == 0
        laborers()
        await until(lambda: states(owner_dsn) == [("done", 2)])


async def test_a_frozen_attempts_word_counts_no_more(system, asked, owner_dsn, monkeypatch):
    frozen, thawed = asyncio.Event(), asyncio.Event()

    async def freezing(_, taken):
        if taken.attempt == 1:
            frozen.set()
            await thawed.wait()

    monkeypatch.setattr(operations, "test_freeze", freezing, raising=False)
    await asked.ask("test.freeze", {})
    (operation_id,) = await asked.due()
    first = asyncio.create_task(jobs.perform(system, asked, operation_id))
    await frozen.wait()
    age(owner_dsn, leased_until=1)
    await jobs.perform(system, asked, operation_id)
    assert states(owner_dsn) == [("done", 2)]
    thawed.set()
    with capture_logs() as said:
        await first
    assert [entry["event"] for entry in said] == ["operation.overtaken"]
    assert states(owner_dsn) == [("done", 2)]


async def test_whoever_loses_the_lease_stops(system, owner_dsn, monkeypatch):
    asked = Operations(system.pool, lease=timedelta(milliseconds=300))
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def working(*_):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    monkeypatch.setattr(operations, "test_work", working, raising=False)
    await asked.ask("test.work", {})
    (operation_id,) = await asked.due()
    attempt = asyncio.create_task(jobs.perform(system, asked, operation_id))
    await begun.wait()
    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        owner.execute("update operations set attempt = 2")
    await attempt
    assert stopped.is_set()
    assert states(owner_dsn) == [("running", 2)]


async def test_a_failing_job_is_tried_again_and_given_up_visibly(system, asked, owner_dsn, monkeypatch):
    async def failing(*_):
        raise RuntimeError("the printer is on fire")

    monkeypatch.setattr(operations, "test_fail", failing, raising=False)
    await asked.ask("test.fail", {})
    (operation_id,) = await asked.due()
    with capture_logs() as said:
        for attempt in range(1, MOST_ATTEMPTS + 1):
            await jobs.perform(system, asked, operation_id)
            await jobs.perform(system, asked, operation_id)  # not before its pause is over
            assert states(owner_dsn) == [("failed" if attempt == MOST_ATTEMPTS else "queued", attempt)]
            age(owner_dsn, run_at=2)
    assert [entry["event"] for entry in said] == [*["operation.failed"] * 7, "operation.given_up"]
    with psycopg.connect(owner_dsn) as owner:
        assert owner.execute("select last_error from operations").fetchone() == (
            "RuntimeError: the printer is on fire",
        )


@pytest.mark.parametrize("away", [psycopg.OperationalError(), StoreUnavailable("ConnectionError")])
async def test_what_fails_because_a_server_of_ours_is_away_is_not_given_up_within_minutes(
    system, asked, owner_dsn, monkeypatch, away
):
    async def fails(_, __):
        raise away

    monkeypatch.setattr(operations, "test_fetch", fails, raising=False)
    await asked.ask("test.fetch", {})
    with psycopg.connect(owner_dsn, autocommit=True) as database:
        for attempt in (MOST_ATTEMPTS, MOST_IN_OUTAGES):
            database.execute("update operations set attempt = %s, run_at = now()", (attempt - 1,))
            (operation_id,) = database.execute("select id from operations").fetchone()
            await jobs.perform(system, asked, operation_id)
            assert states(owner_dsn) == [("failed" if attempt == MOST_IN_OUTAGES else "queued", attempt)]


async def test_an_operation_nobody_knows_is_given_up_too_not_lost(system, asked, owner_dsn):
    await asked.ask("test.unheard_of", {})
    (operation_id,) = await asked.due()
    await jobs.perform(system, asked, operation_id)
    assert states(owner_dsn) == [("queued", 1)]


async def test_a_sweeper_whose_connection_is_ended_stands_for_its_role_anew(system, asked, database):
    standing = "select pid from pg_locks l join pg_stat_activity a using (pid) where l.locktype = 'advisory'"
    standing += (
        " and l.granted and a.datname = current_database() and a.application_name like 'chancery sweeper%'"
    )
    with psycopg.connect(database.admin, autocommit=True) as admin:
        async with sweeping(system, asked):

            def holder() -> list:
                return admin.execute(standing).fetchall()

            await until(holder)
            before = holder()
            admin.execute("select pg_terminate_backend(%s)", before[0])
            await until(lambda: holder() not in ([], before))


async def test_without_redis_the_sweeper_complains_once_and_waits(system, asked, broker, owner_dsn, tmp_path):
    await asked.ask("test.note", {})
    with capture_logs() as said:
        async with sweeping(system, asked, f"unix://{tmp_path}/nobody.sock") as task:
            tries = [0]

            def tried() -> bool:
                with psycopg.connect(owner_dsn) as owner:
                    (count,) = owner.execute("select count(distinct offered_at) from operations").fetchone()
                    tries[0] = max(tries[0], count)
                return any(entry["event"] == "broker.away" for entry in said)

            await until(tried)
            first = offered(owner_dsn)
            await until(lambda: offered(owner_dsn) > first)
            await until(lambda: offered(owner_dsn) > first + timedelta(milliseconds=700))
            assert not task.done()
    assert [entry["event"] for entry in said].count("broker.away") == 1
    async with sweeping(system, asked):
        await until(lambda: broker.llen("dramatiq:default") > 0)


def offered(owner_dsn):
    with psycopg.connect(owner_dsn) as owner:
        return owner.execute("select max(offered_at) from operations where kind = 'test.note'").fetchone()[0]


async def test_files_nobody_has_bound_for_a_day_are_removed_and_younger_ones_stay(
    dsn, object_store, owner_dsn
):
    async with running(settings(dsn, "", **object_store.settings)) as system:
        old, young = id_of_time(clock() - timedelta(days=2)), new_id()
        for file_id in (old, young):
            await system.objects.store(file_id, _content())
            await append(system.execute._store, file_id, uploaded(file_id))
        asked = Operations(system.pool)
        for again in range(2):
            await asked.ask("file.remove_orphans", {}, occasion=f"hour {again}")
        for operation_id in await asked.due():
            await jobs.perform(system, asked, operation_id)
        assert states(owner_dsn, "file.%") == [("done", 1)] * 2
        last = [(await system.log.stream(file_id))[-1].topic for file_id in (old, young)]
        assert last == ["file.removed.v1", "file.uploaded.v1"]
        assert str(young) in object_store.names
        assert str(old) not in object_store.names


async def _content():
    yield b"note"


def uploaded(file_id) -> FileUploaded:
    return FileUploaded(
        owner_id=uuid4(),
        purpose="attachment",
        name="note.txt",
        size=4,
        content_type="text/plain",
        sha256="00" * 32,
        object_id=file_id,
    )


async def test_what_is_due_hourly_is_asked_once_an_hour_and_can_be_done(system, asked, owner_dsn):
    for _ in range(2):
        async with sweeping(system, asked):
            await until(lambda: len(states(owner_dsn, "%")) == len(sweeper.HOURLY))
    assert states(owner_dsn, "%") == [("queued", 0)] * len(sweeper.HOURLY)
    for kind in sweeper.HOURLY:
        assert operations.named(kind)
    with psycopg.connect(owner_dsn) as owner:
        lapse = owner.execute("select id from operations where kind = 'grant.lapse'").fetchone()[0]
    await jobs.perform(system, asked, lapse)
    assert states(owner_dsn, "grant.lapse") == [("done", 1)]
