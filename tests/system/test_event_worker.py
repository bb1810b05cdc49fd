"""The sample worker of the docs on a whole Chancery: killed, and NATS wiped under it, it counts each event once."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import nats
import pytest

from infrastructure.embedded.children import wait_until
from infrastructure.settings_sources import running_stack
from tests import servers, whole
from tests.system.test_examples import EXAMPLES


@pytest.fixture(scope="module")
def chancery():
    with whole.up(servers.place("worker"), CHANCERY_HTTP_WORKERS="1") as running:
        yield running


@contextmanager
def working(chancery, keys: dict, store: Path):
    """The worker at work; yields its process, and ends it."""
    environ = whole.ENVIRONMENT | {"CHANCERY_URL": chancery.url} | keys
    environ["NATS_URL"] = running_stack(chancery.data_dir)["nats_url"]
    command = [sys.executable, str(EXAMPLES / "event_worker.py"), str(store)]
    with (
        (store.parent / "worker.log").open("a") as log,
        subprocess.Popen(command, env=environ, stdout=log, stderr=log) as worker,
    ):
        try:
            yield worker
        finally:
            worker.send_signal(signal.SIGINT)
            worker.wait(whole.END)


def told(store: Path) -> tuple[list[int], dict[str, int]]:
    with sqlite3.connect(store) as db:
        try:
            positions = [position for (position,) in db.execute("select position from dealt_with order by 1")]
            return positions, dict(db.execute("select topic, events from counts").fetchall())
        except sqlite3.OperationalError:  # not begun yet, or it writes just now
            return [], {}


def add(admin, count: int) -> int:
    for number in range(count):
        answer = admin.post("/organisations", json={"full_name": f"Counted {number}"}).raise_for_status()
    return int(answer.headers["x-event-position"])


def has(store: Path, position: int) -> bool:
    return wait_until(lambda: position in told(store)[0], whole.END)


def wipe(chancery) -> None:
    """NATS loses everything that it kept: stream, consumers."""

    async def lose() -> None:
        client = await nats.connect(running_stack(chancery.data_dir)["nats_relay_url"])
        try:
            await client.jetstream().delete_stream("EVENTS")
        finally:
            await client.close()

    asyncio.run(lose())


def test_it_counts_each_event_once_through_its_own_death_and_the_loss_of_all_that_nats_had(chancery):
    store = servers.place("counts")
    store.mkdir()
    store = store / "counts.db"
    with chancery.signed_in() as admin:
        made = admin.post("/api-clients", json={"name": "A counter"}).raise_for_status().json()
        right = {"scope_type": "global", "scope_id": "*", "module": "events", "action": "read"}
        subject = {"type": "client", "id": made["id"]}
        admin.post("/grants", json={"subject": subject, **right}).raise_for_status()
        keys = {"CHANCERY_CLIENT_KEY": made["client_key"], "CHANCERY_API_KEY": made["api_key"]}
        with working(chancery, keys, store) as worker:
            assert has(store, add(admin, 5))
            worker.kill()
        missed = add(admin, 5)
        with working(chancery, keys, store) as worker:
            assert has(store, missed)
            wipe(chancery)
            assert has(store, add(admin, 5))
            chancery.kill("nats")
            last = add(admin, 5)
            assert has(store, last)
        assert worker.returncode == 0
    positions, counts = told(store)
    assert positions == list(range(1, len(positions) + 1))
    assert (
        sum(counts.values()) == len(positions) >= last
    )  # that its key is used may have been noted meanwhile
    assert counts["organisation.added.v1"] == 20
