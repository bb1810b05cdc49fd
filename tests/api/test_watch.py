"""Figures and readiness: everything that is told is explained, and every part that is behind says why."""

import asyncio
import pkgutil
import re
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import psycopg
import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

import api
import application
import infrastructure
import projections
import workers
from api.readiness import readiness
from infrastructure import log_sink
from infrastructure.alarms import alarm, all_clear
from infrastructure.bounded import Bounded, Busy
from infrastructure.migrations.files import migrations
from infrastructure.watch.families import families
from infrastructure.watch.survey import ROLES, Follower, LastCheck, Survey, Work
from projections.projection import discover
from tests.collecting_lines import TOKEN
from tests.waiting import until

pytestmark = pytest.mark.anyio

ROOT = "http://testserver"
DOCS = Path(__file__).parents[2]
NOW = datetime(2026, 1, 2, tzinfo=UTC)
LATE = Follower(position=3, lag=4, waited=61.5)


def seen(**changed: object) -> Survey:
    """A survey that says something of everything."""
    return Survey(
        **{
            "head": 7,
            "newest_at": NOW,
            "epochs": 2,
            "begun_at": NOW,
            "projections": {name: Follower(position=7, lag=0) for name in discover()},
            "rebuilds": {"user": LATE},
            "reactor": Follower(position=7, lag=0),
            "signer": Follower(position=7, lag=0),
            "signed_at": NOW,
            "relay": Follower(position=7, lag=0),
            "work": (
                Work(kind="mail.send", state="queued", count=1),
                Work(kind="x", state="running", count=1),
            ),
            "check": LastCheck(at=NOW, differing=0),
            "held": frozenset([*discover(), *ROLES]),
            "lock_waiting": 0,
            "lock_waited": 0.0,
            "missing": (),
            "alarms": {},
            "kept_outside": {"backup": NOW},
        }
        | changed
    )


def told() -> set[str]:
    """The names of all figures there are, as one asks Prometheus for them."""
    for package in (api, application, infrastructure, projections, workers):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            import_module(module.name)
    found = [each for each in REGISTRY.collect() if each.name.startswith("chancery")]
    found += families(seen(alarms={"check": "x"}), {"nats": True, "mail": None}, 0)
    return {each.name + ("_total" if each.type == "counter" else "") for each in found}


def test_every_figure_is_explained_and_every_explained_figure_exists():
    page = (DOCS / "docs" / "how-to" / "watch.md").read_text()
    explained = re.findall(r"^\| `(chancery_\w+)` \|", page, re.MULTILINE)
    assert len(explained) == len(set(explained))
    assert set(explained) == told()


def test_every_alert_asks_for_figures_that_exist():
    rules = (DOCS / "deploy" / "prometheus-rules.yaml").read_text()
    asked = {
        name.removesuffix("_count").removesuffix("_bucket") for name in re.findall(r"chancery_\w+", rules)
    }
    assert asked
    assert asked <= told()


def test_a_log_that_cannot_be_seen_has_no_figures_rather_than_old_ones():
    (up, *others) = families(None, {}, 1)
    assert (up.name, up.samples[0].value) == ("chancery_up", 0)
    assert {each.name for each in others} == {"chancery_tasks_dead", "chancery_neighbour_up"}


async def figures(office) -> dict[str, list[tuple[dict[str, str], float]]]:
    text = (await office.stranger.get(f"{ROOT}/metrics")).text
    return {
        sample.name: [(each.labels, each.value) for each in family.samples if each.name == sample.name]
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_what_a_command_costs_and_where_the_log_stands_is_told(office):
    before = await figures(office)
    await office.organisation()
    await office.system.surveyor.look()
    after = await figures(office)

    def grew(name: str) -> float:
        return sum(value for _, value in after[name]) - sum(value for _, value in before[name])

    assert grew("chancery_append_batch_commands_count") >= 1
    assert grew("chancery_append_seconds_count") == grew("chancery_append_lock_wait_seconds_count") >= 1
    assert grew("chancery_append_verdicts_total") >= 1
    assert after["chancery_head_position"] == [({}, await office.head())]
    assert {"projection": "organisation"} in [
        labels for labels, _ in after["chancery_projection_lag_positions"]
    ]
    assert after["chancery_relay_lag_positions"][0][1] == await office.head(), "nobody relays here"
    assert ({"role": "relay"}, 0.0) in after["chancery_role_holders"]


async def test_somebody_who_holds_the_logs_lock_is_seen_waiting_for(office):
    office.owner.execute("select pg_advisory_lock(4242)")
    with psycopg.connect(office.addresses.owner, autocommit=True) as other:
        waiting = asyncio.create_task(asyncio.to_thread(other.execute, "select pg_advisory_lock(4242)"))
        try:

            async def waits() -> bool:
                return (await office.system.surveyor.look()).lock_waiting == 1

            await until(waits)
            found = await figures(office)
        finally:
            office.owner.execute("select pg_advisory_unlock(4242)")
            await waiting
    assert found["chancery_append_lock_waiters"] == [({}, 1.0)]
    assert found["chancery_append_lock_longest_seconds"][0][1] > 0


async def test_a_full_pool_of_threads_is_counted():
    full = Bounded("tests", threads=1, waiting=0)
    gate = asyncio.get_running_loop().create_future()
    entered = asyncio.Event()
    loop = asyncio.get_running_loop()

    def work() -> None:
        loop.call_soon_threadsafe(entered.set)
        asyncio.run_coroutine_threadsafe(asyncio.wait_for(gate, 60), loop).result()

    running = asyncio.create_task(full(work))
    await entered.wait()
    with pytest.raises(Busy):
        await full(work)
    assert REGISTRY.get_sample_value("chancery_threads_calls", {"kind": "tests"}) == 1
    assert REGISTRY.get_sample_value("chancery_threads_refusals_total", {"kind": "tests"}) == 1
    gate.set_result(None)
    await running
    assert REGISTRY.get_sample_value("chancery_threads_calls", {"kind": "tests"}) == 0
    full.close()


# Readiness


class Seen:
    """Positions of a moment ago."""

    def __init__(self, head: int = 7, **failures: str) -> None:
        self.head, self.failures = head, failures
        self.known = dict.fromkeys(discover(), 7)

    @property
    def seen_at(self) -> float:
        return asyncio.get_running_loop().time()


def parts(survey: Survey | None, neighbours: dict[str, bool | None] | None = None, sink=None, positions=None):
    found = readiness(positions or Seen(), sorted(discover()), [], neighbours or {}, survey, sink)
    return found.ready, {each.name: each for each in found.parts if not each.ok}


async def test_nothing_is_wrong_with_a_chancery_that_is_well():
    assert parts(seen()) == (True, {})
    assert parts(None) == (True, {}), "what all of it does may be unknown while this process serves"


@pytest.mark.parametrize(
    ("changed", "name", "detail"),
    [
        ({"relay": LATE}, "relay", "4 events behind, for 61.5 s"),
        ({"relay": None}, "relay", "the stream cannot be asked"),
        ({"signer": LATE}, "signer", "4 events behind, for 61.5 s"),
        ({"reactor": LATE}, "reactor", "4 events behind, for 61.5 s"),
        ({"reactor": None}, "reactor", "has not started"),
        (
            {"reactor": Follower(position=3, lag=4, failure="event 5: nobody is zoe@example.org")},
            "reactor",
            "stopped: event 5: nobody is ********",
        ),
        ({"held": frozenset(ROLES) - {"signer"}}, "roles", "nobody is signer: start `chancery work`"),
        (
            {"strange_stream": "the stream ends at 9, the log at 7"},
            "epoch",
            "the stream ends at 9, the log at 7: look with `chancery epoch status`",
        ),
        (
            {"work": (Work(kind="mail.send", state="queued", count=3, oldest=61.0),)},
            "jobs",
            "3 wait, the oldest is due for 61.0 s",
        ),
        (
            {"work": (Work(kind="mail.send", state="failed", count=3),)},
            "jobs",
            "0 wait, the oldest is due for 0.0 s; given up in the last day: 3 mail.send",
        ),
        ({"alarms": {"check": "one difference"}}, "check", "one difference"),
    ],
)
async def test_a_part_that_commands_and_reads_do_without_says_why_and_leaves_it_ready(changed, name, detail):
    ready, wrong = parts(seen(**changed))
    assert ready
    assert wrong.keys() == {name}
    assert wrong[name].detail == detail
    assert not wrong[name].needed


async def test_a_read_model_says_since_when_it_is_behind_and_whether_anybody_works_on_it():
    survey = seen(projections={"user": LATE}, held=frozenset(ROLES))
    found = readiness(Seen(head=11), ["user"], [], {}, survey)
    (user,) = [each for each in found.parts if each.name == "projection user"]
    assert user.detail == "4 events behind, for 61.5 s; nobody has its role: start `chancery work`"
    assert user.ok
    ready, wrong = parts(seen(projections={"user": Follower(position=7, lag=0, parked=2)}))
    assert (ready, wrong["parked user"].detail) == (
        True,
        "2 streams are set aside: see `chancery projections status`",
    )


async def test_a_failure_is_told_without_the_person_it_befell():
    ready, wrong = parts(seen(), positions=Seen(user="event 3 at position 3: ValueError: zoe@example.org"))
    assert not ready
    assert wrong["projection user"].detail == "stopped: event 3 at position 3: ValueError: ********"


async def test_a_missing_migration_makes_it_unready():
    ready, wrong = parts(seen(missing=(44, 49)))
    assert (ready, wrong["migrations"].detail) == (False, "44, 49 missing: run `chancery migrate`")


async def test_a_log_sink_that_is_away_is_said_and_no_reason_not_to_serve():
    sink = log_sink.Sink("http://127.0.0.1:1", TOKEN)
    sink.trouble = "does not answer: ConnectError"
    ready, wrong = parts(seen(), sink=sink)
    assert (ready, wrong["log sink"].detail) == (True, "does not answer: ConnectError")


async def test_the_survey_sees_what_stands_in_the_database(office):
    office.owner.execute("delete from migrations where number = 44")
    async with office.system.pool.connection() as connection:
        await alarm(connection, "check", "one difference")
        found = await office.system.surveyor.look()
        assert (found.missing, found.alarms) == ((44,), {"check": "one difference"})
        await all_clear(connection, "check")
    sha256 = next(each.sha256 for each in migrations() if each.number == 44)
    columns = {
        name
        for (name,) in office.owner.execute(
            "select column_name from information_schema.columns where table_name = 'migrations'"
        )
    }
    more = {"number": 44, "sha256": sha256}
    kept = {name: value for name, value in more.items() if name in columns}
    office.owner.execute(
        f"insert into migrations ({', '.join(kept)}) values ({', '.join(['%s'] * len(kept))})",
        list(kept.values()),
    )
    assert (await office.system.surveyor.look()).missing == ()


async def test_while_the_database_is_away_the_last_look_grows_old_and_serving_goes_on(office, monkeypatch):
    surveyor = office.system.surveyor
    await surveyor.look()
    assert surveyor.recent is surveyor.last
    monkeypatch.setattr("infrastructure.watch.survey.STALE_SECONDS", -1.0)
    assert surveyor.recent is None
    text = (await office.stranger.get(f"{ROOT}/metrics")).text
    assert "chancery_up 0.0" in text
    assert "chancery_head_position" not in text
