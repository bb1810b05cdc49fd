"""A store that an earlier release wrote opens in this one: upgraded, folded, verified, and written on."""

import os
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from cli.main import chancery
from infrastructure import guard_check
from infrastructure.audit.live import verify_database
from infrastructure.audit.report import Verdict
from infrastructure.audit.signed_note import parse_note, parse_vkey
from infrastructure.event_codec import EventCodec, event_classes
from infrastructure.event_log import EventLog
from infrastructure.migrations import migrations
from infrastructure.personal_data import Vault, Wrapping
from infrastructure.postgres import connect, open_pool
from projections.projection import discover
from tests import serving
from tests.recorded.stores import KEK, ONCE, loaded, recorded
from workers.rebuild import compare

pytestmark = pytest.mark.anyio
WRAPPING = Wrapping(bytes(32))


class Opened:
    """`said`: what `chancery upgrade --check`, `upgrade` and `--check` again printed, with their exit codes."""

    def __init__(self, store, addresses, said):
        self.recorded, self.facts, self.addresses, self.said = store, store.facts, addresses, said


@pytest.fixture(scope="module", params=recorded(), ids=lambda store: store.release)
def store(request, cluster, tmp_path_factory):
    with loaded(cluster, request.param) as addresses:
        place = tmp_path_factory.mktemp("upgrade")
        said = [typed(place, addresses, *words) for words in (["--check"], [], ["--check"])]
        yield Opened(request.param, addresses, said)


def typed(place: Path, addresses, *words: str) -> tuple[int, str]:
    settings = {
        "CHANCERY_DATABASE_URL": addresses.app,
        "CHANCERY_DATABASE_OWNER_URL": addresses.owner,
        "CHANCERY_KEY_ENCRYPTION_KEY": KEK,
        "CHANCERY_DATA_DIR": str(place / "data"),
    }
    cleared = {name: None for name in os.environ if name.startswith("CHANCERY_")}
    done = CliRunner().invoke(chancery, ["upgrade", *words], env=cleared | settings)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


@pytest.fixture
def lived_in(store, cluster, tmp_path):
    """Another one like it, to write to."""
    with loaded(cluster, store.recorded) as addresses:
        assert typed(tmp_path, addresses)[0] == 0
        yield addresses


@pytest.fixture
async def log(store):
    pool = await open_pool(store.addresses.app, size=2)
    async with pool:
        yield EventLog(pool, EventCodec(), Vault(pool, WRAPPING))


def test_it_is_brought_to_this_release_once(store):
    (before, told), (done, _), (after, nothing) = store.said
    missing = [str(number) for number, _ in migrations() if number not in store.facts.migrations]
    assert f"a store of {store.facts.events} events" in told
    assert f"migrations to run: {', '.join(missing) or 'none'}\n" in told
    assert (before, done, after) == (1 if missing else 0, 0, 0)
    assert "There is nothing to do." in nothing


def test_a_migration_that_went_out_is_never_edited(store):
    ours = {migration.number: migration.sha256 for migration in migrations()}
    assert {number: ours[number] for number in store.facts.migrations} == store.facts.migrations


async def test_every_event_of_it_is_read(store, log):
    events = await log.open(await log.read(0, store.facts.events + 1))
    assert [event.position for event in events] == list(range(1, store.facts.events + 1))
    assert sorted({event.topic for event in events}) == sorted(store.facts.topics)
    assert all(event.event.TOPIC in event_classes() for event in events)


async def test_its_guards_are_what_the_log_says(store):
    assert await guard_check.verify(store.addresses.app, WRAPPING) == []


@pytest.mark.parametrize("name", sorted(discover()))
async def test_a_read_model_of_the_same_version_is_as_that_release_left_it(store, log, name):
    """Built again by this release it has the same rows; else it needed another version."""
    built = await compare(store.addresses.app, log, discover()[name])
    if name not in store.facts.models:
        assert built.comparison is None, "nobody has begun it yet"
        return
    assert built.comparison.equal
    version, tables = store.facts.models[name]
    if version == built.at.version:
        assert {each.table: (each.count, each.sha256) for each in built.comparison.built} == tables


async def test_its_audit_log_is_the_one_that_was_signed(store):
    async with await connect(store.addresses.app) as connection:
        keys = [parse_vkey(key) for key in store.facts.keys]
        report = await verify_database(connection, keys, parse_note(store.facts.checkpoint.encode()))
    assert report.verdict is Verdict.OK, report.findings


async def test_what_lived_in_it_lives_on(lived_in, nats_server):
    """Who signed in does so again; a stream goes on; a command that was accepted then is not done twice now."""
    path, body, headers = ONCE
    with psycopg.connect(lived_in.app) as connection:
        organisation, version = connection.execute(
            "select originator_id, max(originator_version) from stored_events where topic like 'organisation.%'"
            " group by originator_id order by 2 desc limit 1"
        ).fetchone()
    async with serving.served(serving.settings(lived_in.app, nats_server.url)) as client:
        client.headers.update(await serving.sign_in(client))
        changed = await client.patch(
            f"/organisations/{organisation}", json={"short_name": "After the upgrade"}
        )
        assert (changed.status_code, changed.json()["version"]) == (200, version + 1)
        shown = (await client.get(f"/organisations/{organisation}")).json()
        assert shown["short_name"] == "After the upgrade"
        past = (await client.get(f"/organisations/{organisation}?as_of=v1")).json()
        assert past["full_name"] == shown["full_name"]
        again = await client.post(path, json=body, headers=headers)
        assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")
