"""`chancery subject-keys` as an operator types it."""

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
def user(dsn, tmp_path, monkeypatch):
    """Somebody in the database that the settings name."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CHANCERY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CHANCERY_DATABASE_URL", dsn)
    monkeypatch.setenv("CHANCERY_KEY_ENCRYPTION_KEY", b64encode(bytes(32)).decode())

    async def fill():
        async with open_store(dsn) as (store, _):
            return await people.registered(store)

    return asyncio.run(fill())


def keys(*arguments):
    return CliRunner().invoke(chancery, ["subject-keys", *arguments])


def test_after_a_restore_the_keys_are_applied_the_log_is_told_and_read_models_are_built_again(
    user, owner_dsn, monkeypatch
):
    monkeypatch.setenv("CHANCERY_DATABASE_OWNER_URL", owner_dsn)
    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        owner.execute("create table older as select * from subject_keys")
        owner.execute("update subject_keys set wrapped = null, destroyed_at = now()")
        assert keys("backup", "keys.ndjson").output == (
            "1 keys as of position 1 in keys.ndjson, 1 of them destroyed.\n"
        )
        owner.execute("update subject_keys k set wrapped = o.wrapped, destroyed_at = null from older o")
    done = keys("restore", "keys.ndjson")
    assert done.exit_code == 0, done.output
    assert done.output.startswith(f"0 keys added, 1 destroyed.\nThe log calls user {user} erased again.\n")
    assert "\nuser: built from " in done.output
    again = keys("restore", "keys.ndjson")
    assert (again.exit_code, again.output) == (0, "0 keys added, 0 destroyed.\n")


def test_what_cannot_be_is_told_in_a_sentence(user, monkeypatch):
    assert "no whole backup" in keys("restore", "keys.ndjson").output
    assert keys("backup", "keys.ndjson").exit_code == 0
    monkeypatch.setenv("CHANCERY_KEY_ENCRYPTION_KEY", b64encode(b"k" * 32).decode())
    refused = keys("backup", "keys.ndjson")
    assert (refused.exit_code, "another key-encryption key" in refused.output) == (1, True)
