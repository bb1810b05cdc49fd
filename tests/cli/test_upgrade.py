"""`chancery upgrade` as an operator types it: what there is to do, and what this release leaves alone.

That it does it: `tests/recorded`, on the store of an older release.
"""

import os
import re
from base64 import b64encode

import psycopg
import pytest
from click.testing import CliRunner

from cli.main import chancery
from infrastructure.migrations import migrations
from infrastructure.release import RELEASE
from projections.projection import discover

LAST = migrations()[-1].number
OURS = discover()["organisation"].version


@pytest.fixture
def owner(owner_dsn):
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def typed(database, tmp_path, monkeypatch):
    """Types the command; answers all it printed."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CHANCERY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CHANCERY_DATABASE_URL", database.app)
    monkeypatch.setenv("CHANCERY_DATABASE_OWNER_URL", database.owner)
    monkeypatch.setenv("CHANCERY_KEY_ENCRYPTION_KEY", b64encode(bytes(32)).decode())

    def type_(*words: str, code: int) -> str:
        result = CliRunner().invoke(chancery, words)
        assert result.exit_code == code, (result.output, result.exception)
        return re.sub(r"[│╭╮╰╯─\s]+", " ", result.output) if code == 2 else result.output  # out of its box

    return type_


def model(owner, version):
    owner.execute(
        "insert into projections (name, place, version) values ('organisation', 'read', %s)", (version,)
    )


def test_where_there_is_nothing_to_do_it_does_nothing(typed):
    told = typed("upgrade", "--check", code=0)
    assert told.splitlines() == [
        f"release {RELEASE}, a store of 0 events",
        "migrations to run: none",
        "read models to build again: none",
        "There is nothing to do.",
    ]
    assert "The database is up to date" in typed("upgrade", code=0)
    assert "The database is up to date" in typed("migrate", code=0)


def test_what_there_is_to_do_is_said_and_not_done(typed, owner):
    owner.execute("delete from migrations where number = %s", (LAST,))
    model(owner, OURS - 1)
    with psycopg.connect(owner.info.dsn, password=owner.info.password, application_name="chancery work"):
        told = typed("upgrade", "--check", code=1)
    assert f"migrations to run: {LAST}\n" in told
    assert f"read models to build again: organisation ({OURS - 1} to {OURS}), about 0 s\n" in told
    assert "to be restarted afterwards: processes of a release before 0.2.0 are connected\n" in told
    assert "There is something to do: `chancery upgrade`." in told
    assert owner.execute("select from migrations where number = %s", (LAST,)).fetchone() is None
    assert owner.execute("select version from projections").fetchone() == (OURS - 1,)


@pytest.mark.parametrize("words", [("upgrade", "--check"), ("upgrade",)], ids=" ".join)
def test_a_store_that_a_newer_release_has_brought_on_is_refused(typed, owner, words):
    owner.execute("insert into migrations (number, release) values (99999, '9.9.9')")
    owner.execute(
        "select append_as_given(array[gen_random_uuid()], array[1], array['spell.cast.v1'], array['{}'::bytea], '{}')"
    )
    model(owner, OURS + 1)
    told = typed(*words, code=2)
    assert f"migration 99999, which release 9.9.9 ran and release {RELEASE} does not know" in told
    assert f"Release {RELEASE} cannot read what the log holds: spell.cast.v1." in told
    assert f"A newer release than {RELEASE} has built organisation" in told


def test_a_migration_that_was_edited_is_refused(typed, owner):
    owner.execute("update migrations set sha256 = 'another' where number = %s", (LAST,))
    for words in (("upgrade", "--check"), ("upgrade",), ("migrate",)):
        assert f"Migration {LAST} is not what ran on this store" in typed(*words, code=2)


def test_without_a_database_it_says_so(typed, monkeypatch):
    monkeypatch.setenv("CHANCERY_DATABASE_OWNER_URL", "postgresql://nobody@127.0.0.1:1/none")
    assert "The database does not answer: " in typed("upgrade", code=2)
    monkeypatch.delenv("CHANCERY_DATABASE_OWNER_URL")
    monkeypatch.delenv("CHANCERY_DATABASE_URL")
    for command in ("upgrade", "migrate"):
        assert "There is no database" in typed(command, code=2)
