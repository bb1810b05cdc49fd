"""`chancery backup` as an operator types it: made, looked at, and all that may be wrong with it."""

import os
import resource
import shutil
import signal
import subprocess
from base64 import b64encode
from multiprocessing import get_context
from pathlib import Path

import msgspec
import psycopg
import pytest
from click.testing import CliRunner

from cli.main import chancery
from infrastructure.backup.create import APART, LEFT
from infrastructure.backup.manifest import BackupRefused, contents
from infrastructure.backup.programs import programs
from infrastructure.embedded.children import wait_until
from tests import backing_up, servers
from tests.auditing import superuser

SECRETS = {"wrapped", "secret", "sealed", "hash", "password_hash"}


@pytest.fixture(scope="module")
def database(cluster):
    with servers.database(cluster) as addresses:
        yield addresses


@pytest.fixture(scope="module")
def office(database, object_store):
    return backing_up.lived(backing_up.settings(database, object_store))


@pytest.fixture
def typed(office, monkeypatch, tmp_path):
    """Types a `backup` command about the office, and answers what it said."""
    backing_up.environment(office.settings, monkeypatch, tmp_path)
    return backup


def here() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def backup(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(chancery, ["backup", *words])
    assert done.exit_code == code, (done.output, done.exception)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.output


@pytest.fixture(scope="module")
def made(office, tmp_path_factory):
    """One backup of the office, for all who look at it."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("made")
        backing_up.environment(office.settings, patch, folder)
        backup("create", "b", "--keys-to", "k")
    return folder


@pytest.fixture
def copy(typed, made, tmp_path):
    """A backup to spoil, as `b` and `k`."""
    for name in ("b", "k"):
        shutil.copytree(made / name, tmp_path / name)
    return tmp_path / "b"


def test_a_backup_is_made_while_all_goes_on_and_found_sound(typed, office):
    said = typed("create", "b", "--keys-to", "k")
    assert f"b: {office.signed + 3} events and 1 objects of {len(backing_up.CONTENT)} bytes" in said
    assert "the key-encryption key is not among them" in said
    said = typed("verify", "b", "--keys", "k")
    assert f"ok: {office.signed + 3} entries under the signed root of {backing_up.ORIGIN}" in said
    for path in (*Path("b").rglob("*"), *Path("k").rglob("*")):
        assert not path.stat().st_mode & 0o077, f"{path} is for its owner's eyes alone"


def test_no_secret_is_in_the_folder_nor_in_what_is_said(made, office):
    with psycopg.connect(office.settings.database_owner_url) as owner:
        wrapped = [bytes(key).hex() for (key,) in owner.execute("select wrapped from subject_keys")]
        wrapped += [bytes(key).hex() for (key,) in owner.execute("select wrapped from audit.keys")]
        wrapped += [bytes(secret).hex() for (secret,) in owner.execute("select secret from refreshes")]
    assert len(wrapped) > 5
    there = programs(18).folder
    for dump, has in ((made / "b" / "database.dump", False), (made / "k" / "secrets.dump", True)):
        told = subprocess.run(
            [there / "pg_restore", "-f", "-", dump], capture_output=True, text=True, check=True
        )
        assert (backing_up.HASHED in told.stdout) is has
        if not has:
            assert not [each for each in wrapped if each in told.stdout]


def test_every_table_with_a_secret_is_kept_apart_or_left(database):
    with psycopg.connect(database.owner) as owner:
        named = owner.execute(
            "select table_schema, table_name, column_name from information_schema.columns"
            " where table_schema in ('public', 'audit', 'lookup')"
        ).fetchall()
    found = {
        f"{schema}.{table}".removeprefix("public.") for schema, table, column in named if column in SECRETS
    }
    assert found == {*APART, *LEFT}


def test_a_changed_byte_anywhere_is_found(copy):
    for path in [each for each in copy.rglob("*") if each.is_file()]:
        whole = path.read_bytes()
        middle = len(whole) // 2
        path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
        expected = 4 if path.name == "manifest.json" else 2
        said = CliRunner().invoke(chancery, ["backup", "verify", "b"])
        assert said.exit_code in (expected, 2), (path, said.output)
        path.write_bytes(whole)
    assert "ok: " in backup("verify", "b")


def test_a_part_that_is_missing_or_cut_is_named(copy):
    for path in [each for each in copy.rglob("*") if each.is_file()]:
        whole = path.read_bytes()
        path.unlink()
        assert "missing" in backup("verify", "b", code=3)
        path.write_bytes(whole[:-1])
        assert path.name == "manifest.json" or " bytes of " in backup("verify", "b", code=3)
        path.write_bytes(whole)
    shutil.copy("k/secrets.dump", "kept")
    Path("k/secrets.dump").unlink()
    assert "secrets.dump is missing" in backup("verify", "b", "--keys", "k", code=3)


def test_who_changes_the_manifest_too_is_not_believed(copy):
    manifest = msgspec.json.decode((copy / "manifest.json").read_bytes())
    (copy / "manifest.json").write_bytes(
        msgspec.json.encode(manifest | {"position": manifest["position"] - 1})
    )
    said = backup("verify", "b", code=4)
    assert "the manifest was changed, or made under another key-encryption key" in said


def test_under_another_key_it_is_not_believed(copy, monkeypatch):
    monkeypatch.setenv("CHANCERY_KEY_ENCRYPTION_KEY", b64encode(b"k" * 32).decode())
    assert "another key-encryption key" in backup("verify", "b", "--keys", "k", code=4)
    monkeypatch.delenv("CHANCERY_KEY_ENCRYPTION_KEY")
    assert "who made it was not asked" in backup("verify", "b")


def test_an_auditors_key_and_checkpoint_are_held_against_it(copy, office, tmp_path):
    (tmp_path / "kept").write_text(office.note)
    assert "ok: " in backup("verify", "b", "--checkpoint", "kept")
    stranger = "chancery.example/audit+38388de8+AaZ6fkTr+BxoNuJe5G9ZU9dxlgMv8MiUTuvlVIizpWqZ"
    assert "UNTRUSTED" in backup("verify", "b", "--key", stranger, code=4)


def test_a_log_that_was_changed_before_it_was_backed_up_is_found_out(typed, database):
    superuser(database, "update stored_events set state = state || ' ' where notification_id = 2")
    try:
        typed("create", "b", "--keys-to", "k")
    finally:
        superuser(database, "update stored_events set state = btrim(state, ' ') where notification_id = 2")
    said = typed("verify", "b", code=2)
    assert "the first 3 events are not those of the signed checkpoint" in said


def test_a_log_with_a_hole_is_found_out(typed, database):
    superuser(database, "update stored_events set notification_id = 1000 where notification_id = 5")
    try:
        typed("create", "b", "--keys-to", "k")
    finally:
        superuser(database, "update stored_events set notification_id = 5 where notification_id = 1000")
    assert "position 5 is missing in the log, and 6 is there" in typed("verify", "b", code=2)


def test_a_content_that_is_not_what_the_log_says_is_found_out(typed, office, object_store):
    path = Path(office.settings.data_dir) / "s3" / "objects" / object_store.bucket / str(office.contents)
    path.write_bytes(b"X" + backing_up.CONTENT[1:])
    try:
        typed("create", "b", "--keys-to", "k")
    finally:
        path.write_bytes(backing_up.CONTENT)
    assert f"{office.contents} is not the content that the log names" in typed("verify", "b", code=2)


def test_what_a_later_version_made_is_left_alone(copy):
    manifest = (copy / "manifest.json").read_text()
    (copy / "manifest.json").write_text(manifest.replace("chancery-backup/1", "chancery-backup/2"))
    for words in (["verify", "b"], ["restore", "b", "--keys", "k"]):
        assert "a later version of Chancery made it" in backup(*words, code=1)
    (copy / "manifest.json").write_text("{}")
    assert "this is no such file" in backup("verify", "b", code=1)
    (copy / "manifest.json").write_text("[" * 100_000)
    assert "cannot be read" in backup("verify", "b", code=2)


def test_keys_belong_apart_and_nothing_is_overwritten(typed):
    for keys in ("b", "b/keys", "."):
        assert "apart" in typed("create", "b", "--keys-to", keys, code=1)
    Path("there").mkdir()
    assert "is there already" in typed("create", "there", "--keys-to", "k", code=1)
    assert "is there already" in typed("create", "b", "--keys-to", "there", code=1)
    assert here() == ["there"]


def test_contents_that_an_older_backup_has_are_not_copied_again(typed, office):
    typed("create", "old", "--keys-to", "old keys")
    typed("create", "new", "--keys-to", "new keys", "--onto", "old")
    (before,), (after,) = contents(Path("old")), contents(Path("new"))
    assert before.path(Path("old")).samefile(after.path(Path("new")))
    before.path(Path("old")).write_bytes(b"spoilt")
    typed("create", "newer", "--keys-to", "newer keys", "--onto", "old")
    assert after.path(Path("newer")).read_bytes() == backing_up.CONTENT
    assert "is missing" in typed("create", "x", "--keys-to", "y", "--onto", "old keys", code=1)


def test_killed_in_the_middle_it_is_no_backup_and_the_next_one_sweeps_up(typed, office):
    making = get_context("fork").Process(target=backup, args=("create", "b", "--keys-to", "k"))
    with psycopg.connect(office.settings.database_owner_url) as owner:
        owner.execute("lock table receipts")  # the dump stands before it
        making.start()
        assert wait_until(Path(".k.part/subject-keys.ndjson").exists, 60)
        os.kill(making.pid, signal.SIGSTOP)
        assert "is just being made" in typed("create", "b", "--keys-to", "k", code=1)
        making.kill()
        making.join()
    assert "is missing: this is no whole backup" in typed("verify", ".b.part", code=3)
    typed("create", "b", "--keys-to", "k")
    assert here() == ["b", "k"]
    assert "ok: " in typed("verify", "b", "--keys", "k")


def test_without_room_nothing_is_left_behind(typed):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8 << 10, before[1]))
    try:
        assert "pg_dump failed" in typed("create", "b", "--keys-to", "k", code=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert here() == []


def test_a_bucket_that_does_not_answer_ends_it(typed, object_store):
    object_store.kill()
    try:
        assert "the object store" in typed("create", "b", "--keys-to", "k", code=1)
    finally:
        object_store.start()
    assert here() == []


def test_a_server_newer_than_the_programs_is_named():
    with pytest.raises(BackupRefused, match="is PostgreSQL 99, and there is no pg_dump of 99 or later here"):
        programs(99)


def test_without_a_database_or_key_it_says_what_to_do(typed, monkeypatch):
    monkeypatch.delenv("CHANCERY_KEY_ENCRYPTION_KEY")
    monkeypatch.setenv("CHANCERY_DATA_DIR", "none")
    assert "set CHANCERY_KEY_ENCRYPTION_KEY" in typed("create", "b", "--keys-to", "k", code=1)
    for name in ("CHANCERY_DATABASE_URL", "CHANCERY_DATABASE_OWNER_URL"):
        monkeypatch.delenv(name)
    assert "chancery up --servers-only" in typed("create", "b", "--keys-to", "k", code=1)
