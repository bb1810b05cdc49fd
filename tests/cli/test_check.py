"""`chancery check` as an operator and an auditor type it."""

import asyncio
import os
from base64 import b64encode

import psycopg
import pytest
from click.testing import CliRunner

from application.access import system as the_system
from application.context import Context
from cli.main import chancery
from domain.organisation.commands import AddOrganisation
from infrastructure.bootstrap import running
from tests.serving import Follower, settings


@pytest.fixture
def typed(dsn, tmp_path, monkeypatch):
    """Types a `check` command; answers what it printed."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CHANCERY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CHANCERY_DATABASE_URL", dsn)
    monkeypatch.setenv("CHANCERY_KEY_ENCRYPTION_KEY", b64encode(bytes(32)).decode())

    def type_(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(chancery, ["check", *arguments])
        assert result.exit_code == code, (result.output, result.exception)
        return result.output

    return type_


def lived(dsn: str, count: int) -> None:
    """So many organisations more, in every read model."""

    async def live() -> None:
        async with running(settings(dsn, "")) as system:
            for number in range(count):
                context = Context(caller=the_system(), request_id="test")
                await system.organisations.add(AddOrganisation(full_name=f"Society {number}"), context)
            follower = Follower(system)
            await follower()
            await follower.close()

    asyncio.run(live())


def test_everything_is_checked_and_what_it_said_is_compared_with_a_replay(typed, dsn):
    lived(dsn, 3)
    assert "there is no check in the log" in typed("replay", code=1)
    assert "read models and the guards are as they should be" in typed("run")
    lived(dsn, 2)
    said = typed("replay", "organisation", "grant")
    assert said.count("as the check saw it") == 2
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("update read.organisation set view = view || ' '")
    assert "read models and the guards" in typed("run"), (
        "a digest alone says what is there, not what should be"
    )
    lived(dsn, 0)
    found = typed("replay", "organisation", code=1)
    assert "organisation at" in found
    assert "not what the check saw: organisation" in found
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("update projections set count = 1 where name = 'user'")
    assert "read model user did not take in every event once" in typed("run", code=1)
    assert "No read model nothing" in typed("replay", "nothing", code=2)


def test_without_a_database_it_says_what_to_do(typed, monkeypatch, tmp_path):
    monkeypatch.delenv("CHANCERY_DATABASE_URL")
    monkeypatch.setenv("CHANCERY_DATA_DIR", str(tmp_path / "none"))
    for command in ("run", "replay"):
        assert "chancery up" in typed(command, code=1)
