"""`chancery guards` as an operator types it."""

import asyncio
import os
from base64 import b64encode

import psycopg
import pytest
from click.testing import CliRunner

from cli.main import chancery
from tests import people
from tests.store import open_store


@pytest.fixture
def run(dsn, owner_dsn, tmp_path, monkeypatch):
    """Types a `guards` command against a database in which two people are signed in."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CHANCERY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CHANCERY_DATABASE_URL", dsn)
    monkeypatch.setenv("CHANCERY_DATABASE_OWNER_URL", owner_dsn)
    monkeypatch.setenv("CHANCERY_KEY_ENCRYPTION_KEY", b64encode(bytes(32)).decode())

    async def fill():
        async with open_store(dsn) as (store, _):
            for _ in range(2):
                await people.signed_in(store, await people.registered(store))

    asyncio.run(fill())
    return lambda *arguments: CliRunner().invoke(chancery, ["guards", *arguments])


def test_sound_guards_are_said_to_be_so(run):
    result = run("verify")
    assert (result.exit_code, result.output) == (0, "The guards are what the log says.\n")


def test_damage_is_named_and_healed(run, owner_dsn):
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        connection.execute("update principals set role = 'admin'")
    found = run("verify")
    assert found.exit_code == 1
    assert "2 guard row(s) differ" in found.output
    assert found.output.count("role is admin, the log says user") == 2
    assert run("rebuild").exit_code == 1, "nobody said yes"
    healed = run("rebuild", "--yes")
    assert healed.exit_code == 0
    assert "2 session(s) ended" in healed.output
    assert run("verify").exit_code == 0


def test_another_installations_key_is_said_to_be_so(run, monkeypatch):
    monkeypatch.setenv("CHANCERY_KEY_ENCRYPTION_KEY", b64encode(b"k" * 32).decode())
    result = run("verify")
    assert result.exit_code == 1
    assert "not the one this database was written with" in result.output
