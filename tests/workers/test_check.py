"""The check of everything against the log: what is sound is said to be so, and what somebody changed is named."""

import asyncio
import hashlib

import msgspec
import psycopg
import pytest
from structlog.testing import capture_logs

from application.access import system as the_system
from application.context import Context
from domain.check.events import CheckCompleted
from domain.organisation.commands import AddOrganisation
from infrastructure.bootstrap import running
from infrastructure.event_store import new_id
from infrastructure.operations import Operations, Taken
from infrastructure.postgres import connect
from infrastructure.tasks import end
from projections.organisation import ORGANISATIONS
from projections.projection import discover
from tests.auditing import superuser
from tests.serving import Follower, settings
from tests.waiting import until
from workers import check, operations
from workers.rebuild import replayed
from workers.sweeper import Sweeper

pytestmark = pytest.mark.anyio


@pytest.fixture
async def system(dsn):
    """With ten organisations, in every read model."""
    async with running(settings(dsn, "")) as opened:
        await opened.users.ensure_admin("admin@example.org", "x")
        await added(opened, 10)
        await follow(opened)
        yield opened


async def added(system, count: int) -> None:
    context = Context(caller=the_system(), request_id="test")
    for number in range(count):
        await system.organisations.add(AddOrganisation(full_name=f"Society {number}"), context)


async def follow(system) -> None:
    follower = Follower(system)
    await follower()
    await follower.close()


async def recorded(system) -> list[CheckCompleted]:
    stored = await system.log.read(0, 1_000)
    return [
        msgspec.json.decode(s.state, type=CheckCompleted) for s in stored if s.topic == CheckCompleted.TOPIC
    ]


def alarm(owner_dsn) -> str | None:
    with psycopg.connect(owner_dsn) as owner:
        row = owner.execute("select detail from alarms where name = %s", (check.ALARM,)).fetchone()
        return row and row[0]


async def test_what_is_sound_is_said_once_and_an_auditor_gets_the_same_digests_from_the_log_alone(
    system, dsn, database, owner_dsn
):
    superuser(database, "update principals set role = 'moderator'")
    assert (await check.check(system, new_id())).differing == 1
    assert "role is moderator, the log says admin" in alarm(owner_dsn)
    superuser(database, "update principals set role = 'admin'")
    await follow(system)
    head, check_id = await system.log.head(), new_id()
    for _ in range(2):
        found = await check.check(system, check_id, ["organisation"])
        assert (found.differing, found.differences, found.rebuilt) == (0, (), ("organisation",))
    _, event = await recorded(system)
    assert await system.log.head() == head + 1
    assert {model.model for model in event.models} == set(discover())
    assert {model.position for model in event.models} == {head}
    assert event.size == head
    assert alarm(owner_dsn) is None
    await added(system, 3)
    await follow(system)
    [model] = [model for model in event.models if model.model == "organisation"]
    [digest] = [table for table in model.tables if table.views]
    [table] = [table for table in await replayed(dsn, system.log, ORGANISATIONS, head) if table.views]
    assert (table.count, table.sha256, table.views) == (digest.rows, digest.sha256, digest.views)
    assert digest.rows == 10
    assert digest.views == await views_without_a_database(system, head)


async def views_without_a_database(system, position: int) -> str:
    """Each record's events folded, and what comes out hashed: what an auditor does with an export."""
    views = {}
    for stored in await system.log.open(await system.log.read(0, position)):
        if stored.topic.startswith("organisation."):
            views[stored.stream_id] = ORGANISATIONS._fold(views.get(stored.stream_id), stored)
    encode = msgspec.json.Encoder(order="deterministic").encode
    rows = [hashlib.sha256(key.bytes + encode(view)).digest() for key, view in sorted(views.items())]
    return hashlib.sha256(b"".join(rows)).hexdigest()


DAMAGE = {
    "guard principals": "update principals set role = 'moderator'",
    "read model organisation is not what the log gives": "update read.organisation set version = 77 where id = ("
    "select id from read.organisation order by id limit 1)",
    "read model user did not take in every event once": "update projections set count = 3 where name = 'user'",
    "entry 5 is not the event": "update stored_events set metadata = metadata || ' ' where notification_id = 5",
    "entry 1 is not the event": "update read.audit_tile set hashes = sha256('x') || substring(hashes from 33)",
    "the checkpoint of 7 entries": "insert into audit.checkpoints (size, root, note) values (7, sha256('x'), 'n')",
    "guard claims x": "insert into claims values ('x', repeat('y', 500), gen_random_uuid())",
}


async def test_what_somebody_changed_is_named_in_the_log_and_raises_the_alarm(system, database, owner_dsn):
    superuser(database, *DAMAGE.values())
    with capture_logs() as said:
        found = await check.check(system, new_id(), ["organisation"])
    assert [what for what in DAMAGE if not any(what in each for each in found.differences)] == []
    assert found.differing == len(found.differences) == 7
    assert "check.differs" in {entry["event"] for entry in said}
    assert alarm(owner_dsn).startswith("7 difference(s)")
    [event] = await recorded(system)
    assert (event.differing, event.differences) == (7, found.differences)


async def test_however_much_is_wrong_the_event_stays_small(system, database):
    many = "insert into claims select 'x', repeat('y', 500) || n, gen_random_uuid() from generate_series(1, 500) n"
    superuser(database, many)
    found = await check.check(system, new_id())
    assert (found.differing, len(found.differences)) == (500, check.SHOWN)
    assert max(map(len, found.differences)) <= 300


async def test_an_event_that_cannot_be_read_any_more_does_not_stop_it(system, database):
    superuser(database, "update stored_events set state = '{}' where topic = 'organisation.added.v1'")
    found = await check.check(system, new_id(), ["organisation"])
    assert any("guards cannot be told from the log" in each for each in found.differences)
    assert any("organisation cannot be built from the log" in each for each in found.differences)
    assert found.rebuilt == ()
    assert len(await recorded(system)) == 1


async def test_nobody_waits_for_it(system):
    """Whoever writes meanwhile is neither stopped nor called a difference."""
    done = asyncio.Event()

    async def write() -> int:
        count = 0
        while not done.is_set():
            await added(system, 2)
            await follow(system)
            count += 1
        return count

    writing = asyncio.create_task(write())
    try:
        found = await check.check(system, new_id())
        assert found.differences == ()
    finally:
        done.set()
    assert await writing > 0


async def test_it_is_asked_for_ahead_and_by_turns(system, owner_dsn, tmp_path):
    def asked() -> list:
        with psycopg.connect(owner_dsn) as owner:
            return owner.execute(
                "select about, run_at > clock_timestamp() from operations where kind = 'check.run'"
            ).fetchall()

    def offered(_: object) -> None:
        raise AssertionError("not due yet")

    for hours, expected in ((0, 0), (720, 1), (720, 1)):
        sweeping = asyncio.create_task(
            Sweeper(_NothingDue(system.pool), offered, check_hours=hours).run(system.settings.database_url)
        )
        try:
            await until(lambda: _hourly(owner_dsn))
            await until(lambda expected=expected: len(asked()) >= expected)
        finally:
            await end(sweeping)
        assert len(asked()) == expected
    [(about, ahead)] = asked()
    assert ahead
    assert len({check.turn_of(turn) for turn in range(len(discover()))}) == len(discover())
    taken = Taken(id=new_id(), kind="check.run", about=about, attempt=1)
    await operations.named("check.run")(system, taken)
    taken = Taken(id=new_id(), kind="check.run", about=about, attempt=1)
    async with await connect(system.url) as other:  # it is being built by somebody else
        await other.execute("select pg_advisory_lock(4251, hashtext(%s))", (check.turn_of(about["turn"]),))
        await operations.named("check.run")(system, taken)
    assert [event.rebuilt for event in await recorded(system)] == [(check.turn_of(about["turn"]),), ()]


class _NothingDue(Operations):
    async def due(self, limit: int = 500) -> list:
        return []


def _hourly(owner_dsn) -> bool:
    with psycopg.connect(owner_dsn) as owner:
        return bool(owner.execute("select from operations where kind = 'grant.lapse'").rowcount)
