"""`chancery work` as a process: it carries everything on, ends at once when asked, and never goes on half-alive."""

import json
import os
import signal
import sys
import time
from base64 import b64encode

import psycopg
import pytest
from click.testing import CliRunner, Result

from cli.projections import command
from infrastructure.embedded.children import Child, end, wait_until
from projections.projection import discover
from tests.auditing import superuser
from tests.flow import append

FIRST_KEY = 2
"""Events of the signing key that the first process on an empty database makes: added, activated."""


@pytest.fixture
def environment(dsn, nats_server, tmp_path):
    nats_server.wipe()
    ours = {name: value for name, value in os.environ.items() if not name.startswith("CHANCERY_")}
    return ours | {
        "CHANCERY_DATA_DIR": str(tmp_path / "data"),
        "CHANCERY_DATABASE_URL": dsn,
        "CHANCERY_NATS_URL": nats_server.url,
        "CHANCERY_NATS_RELAY_URL": nats_server.relay_url,
        "CHANCERY_KEY_ENCRYPTION_KEY": b64encode(bytes(32)).decode(),
    }


@pytest.fixture
def start(environment, tmp_path):
    """A `chancery` command as a process; whatever is left of it ends with the test."""
    begun = []

    def starting(*command: str) -> Child:
        folder = tmp_path / str(len(begun))
        folder.mkdir()
        child = Child(command[0], folder, log=folder / "log")
        child.start([sys.executable, "-m", "cli.main", *command], environment)
        begun.append(child)
        return child

    yield starting
    for child in begun:
        child.stop()


def said(child: Child) -> str:
    return child._log.read_text()


def projected(dsn: str) -> int:
    """The position every read model has reached."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "select coalesce(min(position), 0) from projections where place = 'read' having count(*) = %s",
            (len(discover()),),
        ).fetchone()
        return row[0] if row else 0


def test_it_ends_within_a_second_and_hands_its_roles_over(dsn, start):
    append(dsn, 100)
    first = start("work")
    assert wait_until(lambda: projected(dsn) == 100 + FIRST_KEY, 60)
    second = start("work")
    assert wait_until(lambda: "nats.connected" in said(second), 60)
    asked = time.monotonic()
    end(first.pid, signal.SIGTERM)
    assert wait_until(first.died, 10)
    assert time.monotonic() - asked < 1
    assert "work.ended" in said(first)
    append(dsn, 50)
    assert wait_until(lambda: projected(dsn) == 150 + FIRST_KEY, 10)


def test_after_kill_9_another_goes_on(dsn, start):
    append(dsn, 100)
    first = start("work")
    assert wait_until(lambda: projected(dsn) == 100 + FIRST_KEY, 60)
    append(dsn, 2000)
    end(first.pid, signal.SIGKILL)
    start("work")
    assert wait_until(lambda: projected(dsn) == 2100 + FIRST_KEY, 60)


def test_a_dead_task_ends_the_process_with_exit_code_1(dsn, database, start):
    append(dsn, 10)
    worker = start("work")
    assert wait_until(lambda: projected(dsn) == 10 + FIRST_KEY, 60)
    assert wait_until(lambda: "relay.stream_created" in said(worker), 10)
    superuser(database, "delete from stored_events where notification_id > 5")
    assert wait_until(worker.died, 30)
    assert worker.stop() == 1
    assert "worker.died" in said(worker)


def test_the_command_shows_verifies_and_rebuilds(dsn, environment, start):
    def ran(*arguments: str) -> Result:
        return CliRunner().invoke(command, arguments, env=environment)

    append(dsn, 40)
    worker = start("work")
    assert wait_until(lambda: projected(dsn) == 40 + FIRST_KEY, 60)
    rows = json.loads(ran("status", "--json").stdout)
    assert {
        name: (row["position"], row["lag"], row["active"]) for name, row in rows.items()
    } == dict.fromkeys(discover(), (40 + FIRST_KEY, 0, True))
    for arguments in (("verify", "--deep"), ("rebuild", "--all"), ("verify",), ("status",)):
        result = ran(*arguments)
        assert result.exit_code == 0, result.output
        assert "NOT" not in result.output
        assert "DIFFERENT" not in result.output
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("update projections set count = 1 where name = 'user' and place = 'read'")
    result = ran("verify")
    assert result.exit_code == 1
    assert "not right: user" in result.output
    assert ran("rebuild").exit_code == 2
    assert ran("verify", "nothing").exit_code == 2
    assert not worker.died()
