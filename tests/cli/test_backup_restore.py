"""`chancery backup restore`: what comes back, into what alone, and what it wants before anybody is served."""

import asyncio
import shutil
from base64 import b64encode
from pathlib import Path
from threading import Thread

import msgspec
import psycopg
import pytest
from click.testing import CliRunner
from msgspec import structs

from cli.main import chancery
from infrastructure import subject_keys
from infrastructure.backup.create import LEFT
from infrastructure.backup.manifest import BackupRefused
from infrastructure.backup.mark import standing_in_the_way
from infrastructure.backup.objects import Bucket
from infrastructure.backup.programs import programs
from infrastructure.migrations import wait_until_migrated
from infrastructure.object_store import ObjectStore
from projections.audit_log import AuditLog
from projections.projection import discover
from tests import backing_up, people, servers
from tests.store import WRAPPING, open_store

OTHERWISE = {"projections", "restores", "migrations", "kept_outside", *LEFT}
"""Tables that are not as they were: made anew, or not in a backup."""


@pytest.fixture(scope="module")
def office(cluster, object_store):
    with servers.database(cluster) as addresses:
        yield backing_up.lived(backing_up.settings(addresses, object_store))


@pytest.fixture(scope="module")
def made(office, tmp_path_factory):
    """A backup of the office as `b` and `k`, and `later`: its keys after one more came."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("made")
        backing_up.environment(office.settings, patch, folder)
        typed("subject-keys", "backup", "older")
        asyncio.run(comes(office.settings.database_url))
        typed("backup", "create", "b", "--keys-to", "k")
        asyncio.run(comes(office.settings.database_url))
        typed("subject-keys", "backup", "later")
    return folder


async def comes(url: str) -> None:
    async with open_store(url) as (store, _):
        await people.registered(store)


@pytest.fixture
def target(cluster, object_store, office, made, monkeypatch, tmp_path):
    """Nothing at all, to which the settings lead."""
    with backing_up.nothing(cluster) as addresses:
        given = backing_up.settings(addresses, object_store)
        given = structs.replace(given, s3_bucket=f"b{tmp_path.name.replace('_', '-')[-40:]}")
        backing_up.environment(given, monkeypatch, tmp_path)
        shutil.copytree(made, tmp_path, dirs_exist_ok=True)
        yield given


def typed(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(chancery, words)
    assert done.exit_code == code, (done.output, done.exception)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return " ".join(done.output.replace("│", " ").split())


def restore(*words: str, code: int = 0) -> str:
    return typed("backup", "restore", "b", "--keys", "k", *words, code=code)


def rows(url: str, table: str, limit: str = "") -> list:
    with psycopg.connect(url) as owner:
        return sorted(map(str, owner.execute(f"select * from {table} {limit}".encode()).fetchall()))


def tables(url: str) -> list[str]:
    with psycopg.connect(url) as owner:
        found = owner.execute(
            "select format('%s.%s', schemaname, tablename) from pg_tables where schemaname in ('public', 'audit')"
        ).fetchall()
    return sorted(name for (name,) in found if name.removeprefix("public.") not in OTHERWISE)


def test_everything_comes_back_and_is_served_after_epoch_and_keys_alone(target, office):
    said = restore()
    head = office.signed + 4
    assert f"{head} events and 1 objects came back in " in said
    assert "s per GB" in said
    assert "next: `chancery epoch status`" in said
    assert tables(target.database_owner_url) == tables(office.settings.database_owner_url)
    for table in tables(target.database_owner_url):
        limit = f"where notification_id <= {head}" if table.endswith("stored_events") else ""
        if not table.endswith(("principals", "claims", "access_changes")):
            assert rows(target.database_owner_url, table) == rows(
                office.settings.database_owner_url, table, limit
            )
    assert (
        rows(target.database_owner_url, "subject_keys") == rows(target.database_owner_url, "refreshes") == []
    )
    assert asyncio.run(content(target, office.contents)) == backing_up.CONTENT

    serving = Thread(target=wait_until_migrated, args=[target.database_url], daemon=True)
    serving.start()
    assert "chancery epoch begin" in waits_for(target)
    assert f"came out of a backup that ends at {head}" in typed("epoch", "status", code=1)
    assert "First of all" in typed("subject-keys", "restore", "later", code=1)
    assert f"came out of a backup that ends at {head}" in typed(
        "epoch", "begin", "--reason", "drill", "--yes"
    )
    assert "chancery subject-keys restore" in waits_for(target)
    assert "older than the backup" in typed("subject-keys", "restore", "older", code=1)
    assert serving.is_alive(), "what serves waits for that, and begins by itself"
    apply(target, "later")
    assert serving.is_alive()
    asyncio.run(subject_keys.served_again(target.database_owner_url))
    serving.join(60)
    assert not serving.is_alive()
    assert waits_for(target) is None
    typed("guards", "verify")


def apply(given, keys: str) -> None:
    """What the command does before it builds read models: the drill waits for those."""
    applied = asyncio.run(subject_keys.restore(given.database_owner_url, WRAPPING, Path(keys)))
    assert applied.added
    assert set(applied.to_build) == set(discover()) - {AuditLog.name}


def waits_for(given) -> str | None:
    """What `serve`, `work` and `jobs` say while they wait."""
    with psycopg.connect(given.database_url) as connection:
        return standing_in_the_way(connection)


async def content(given, object_id) -> bytes:
    objects = ObjectStore(given)
    try:
        async with objects.reading(object_id) as pieces:
            return b"".join([piece async for piece in pieces])
    finally:
        objects.close()


def test_a_store_that_only_moved_goes_on_in_its_epoch_unless_keys_know_better(target):
    assert "epoch begin" not in restore("--moved")
    typed("epoch", "status")
    assert "The log was set back" in typed("subject-keys", "restore", "later", code=1)
    apply(target, "k/subject-keys.ndjson")


def test_privileges_are_those_of_a_migrated_database(target, office):
    restore()
    asked = b"""select c.oid::regclass::text, array(select unnest(c.relacl)::text order by 1) from pg_class c
        where relnamespace in ('public'::regnamespace, 'audit'::regnamespace, 'lookup'::regnamespace)
      union all select p.oid::regprocedure::text, array(select unnest(p.proacl)::text order by 1) from pg_proc p
        where pronamespace = 'public'::regnamespace
      union all select nspname, array(select unnest(nspacl)::text order by 1) from pg_namespace
        where nspname in ('public', 'audit', 'lookup', 'read', 'read_next', 'read_prev')"""
    found = []
    for url in (target.database_owner_url, office.settings.database_owner_url):
        with psycopg.connect(url) as owner:
            found.append(dict(owner.execute(asked).fetchall()))
    restored, migrated = found
    assert {name: restored.get(name) for name in migrated} == migrated


def test_into_a_database_with_anything_in_it_nothing_is_restored(target):
    with psycopg.connect(target.database_owner_url, autocommit=True) as owner:
        owner.execute("create table mine as select 1 as one")
        said = restore(code=1)
        assert "The database is not empty: it has public.mine. Nothing was changed." in said
        assert list(Bucket(target).listed()) == []
        assert owner.execute("select count(*) from pg_tables where schemaname = 'public'").fetchone() == (1,)


def test_into_a_bucket_with_anything_else_in_it_nothing_is_restored(target, office):
    Bucket(target).make()
    asyncio.run(put(target, "audit/of/another", b"log"))
    assert "The bucket is not empty: it has 1 other objects, one is audit/of/another" in restore(code=1)
    assert waits_in(target) == []


async def put(given, name: str, data: bytes) -> None:
    objects = ObjectStore(given)
    try:
        await objects.keep(name, data)
    finally:
        objects.close()


def waits_in(given) -> list:
    with psycopg.connect(given.database_owner_url) as owner:
        return owner.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()


def test_a_restore_that_was_interrupted_leaves_no_table_and_is_done_again(target, tmp_path):
    (tmp_path / "spoilt").write_bytes((tmp_path / "k/secrets.dump").read_bytes()[:-200])
    dumps = [(tmp_path / "b/database.dump", ()), (tmp_path / "spoilt", ("--data-only",))]
    with pytest.raises(BackupRefused, match="pg_restore failed"):
        programs(18).load(target.database_owner_url, dumps, b"select 1;")
    assert waits_in(target) == []
    with pytest.raises(BackupRefused, match=r"psql failed: .*division by zero"):
        programs(18).load(target.database_owner_url, dumps[:1], b"select 1 / 0;")
    assert waits_in(target) == []
    Bucket(target).make()
    (one,) = (
        each for each in msgspec.json.Decoder().decode_lines((tmp_path / "b/objects.ndjson").read_bytes())
    )
    asyncio.run(put(target, one["name"], b"only half"))
    assert "1 objects came back" in restore(), "what is there of this very backup is no hindrance"


def test_a_spoilt_backup_is_not_begun_with(target, tmp_path):
    dump = tmp_path / "b/database.dump"
    whole = dump.read_bytes()
    dump.write_bytes(whole[:-1] + b"?")
    assert "TAMPERED" in restore(code=2)
    dump.write_bytes(whole)
    (tmp_path / "k/subject-keys.ndjson").unlink()
    assert "subject-keys.ndjson is missing" in restore(code=3)
    assert waits_in(target) == []


def test_only_with_its_own_keys_and_their_key(target, tmp_path, monkeypatch):
    keys = msgspec.json.decode((tmp_path / "k/keys.json").read_bytes())
    (tmp_path / "k/keys.json").write_bytes(msgspec.json.encode(keys | {"backup": "0" * 32}))
    assert "has the keys of another backup" in restore(code=4)
    (tmp_path / "k/keys.json").write_bytes(msgspec.json.encode(keys))
    monkeypatch.setenv("CHANCERY_KEY_ENCRYPTION_KEY", b64encode(b"k" * 32).decode())
    assert "set CHANCERY_KEY_ENCRYPTION_KEY to that" in restore(code=1)
    assert waits_in(target) == []


def test_a_backup_of_a_later_schema_is_named(target, tmp_path, monkeypatch):
    monkeypatch.setattr("infrastructure.backup.restore.migrations", list)
    assert "A later version of Chancery made it: migration 1 is not known here" in restore(code=1)
    assert waits_in(target) == []


def test_a_backup_of_a_restore_that_is_not_over_is_refused(target):
    restore("--moved")
    assert "Nothing to back up yet" in typed("backup", "create", "again", "--keys-to", "kk", code=1)
    assert not [path for path in Path().iterdir() if "again" in path.name or "kk" in path.name]
