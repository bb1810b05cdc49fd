"""`chancery epoch` as an operator types it, after a database was set back."""

import asyncio
import os
from base64 import b64encode
from pathlib import Path

import msgspec
import nats.errors
import psycopg
import pytest
from click.testing import CliRunner, Result

from cli.main import chancery
from infrastructure.audit.keys import published_keys
from infrastructure.audit.signed_note import Untrusted, open_note, parse_note, parse_vkey
from infrastructure.object_store import ObjectStore
from infrastructure.personal_data import Wrapping
from infrastructure.postgres import connect
from infrastructure.settings import Settings
from infrastructure.tasks import end
from projections.audit_log import AuditLog
from projections.audit_tree import signed_checkpoint
from projections.proofs import parse_checkpoint
from tests.auditing import follow, happen, superuser
from tests.flow import workers
from tests.waiting import until
from workers.epoch import EpochMismatch
from workers.signer import Fork, run, sign_once
from workers.tile_copy import CopyPlace, TileCopy

WRAPPING = Wrapping(bytes(range(32)))
ORIGIN = "chancery.example/audit"


@pytest.fixture
def typed(dsn, owner_dsn, nats_server, object_store, tmp_path, monkeypatch):
    """Types an `epoch` command."""
    nats_server.wipe()
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CHANCERY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CHANCERY_DATABASE_URL", dsn)
    monkeypatch.setenv("CHANCERY_DATABASE_OWNER_URL", owner_dsn)
    monkeypatch.setenv("CHANCERY_KEY_ENCRYPTION_KEY", b64encode(bytes(range(32))).decode())
    monkeypatch.setenv("CHANCERY_NATS_URL", nats_server.url)
    for name, value in object_store.settings.items():
        monkeypatch.setenv(f"CHANCERY_{name.upper()}", str(value))

    def type_(*arguments: str, code: int = 0) -> str:
        result: Result = CliRunner().invoke(chancery, ["epoch", *arguments])
        assert result.exit_code == code, (result.output, result.exception)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.output

    return type_


@pytest.fixture
def objects(object_store):
    store = ObjectStore(Settings(**object_store.settings), patience=2)
    asyncio.run(store.remove_under("audit/"))
    yield store
    store.close()


def lived(dsn: str, nats_server, objects: ObjectStore, count: int) -> str:
    """A log of so many events, published, signed and copied; answers its checkpoint."""

    async def live() -> str:
        async with workers(dsn, nats_server) as flow:
            await flow.connection.execute(AuditLog().ddl("read").encode())
            happen(dsn, count)
            await follow(flow.connection, AuditLog(), [count])
            signed = await sign_once(flow.connection, WRAPPING, ORIGIN)
            assert signed is not None
            flow.relay()
            copy = asyncio.create_task(TileCopy(objects, entries=False, every=0.05).run(dsn))
            seen = CopyPlace(objects).seen

            async def all_there() -> bool:
                copied = await seen(flow.connection)
                return copied is not None and copied.size == count

            await until(all_there)
            await end(copy)
            await until(lambda: _ends_at(flow, count))
            return signed.note

    return asyncio.run(live())


async def _ends_at(flow, count: int) -> bool:
    try:
        return await flow.stream_ends_at() == count
    except nats.errors.Error:  # there is none yet
        return False


def set_back(dsn: str, database, to: int) -> None:
    """As an older backup would have it."""
    superuser(
        database,
        f"delete from stored_events where notification_id > {to}",
        f"delete from audit.checkpoints where size > {to}",
        "drop table read.audit_entry, read.audit_tile",
    )
    asyncio.run(_tree(dsn, to))


async def _tree(dsn: str, size: int, done: int = 0) -> None:
    async with await connect(dsn) as connection:
        if not done:
            await connection.execute(AuditLog().ddl("read").encode())
        await follow(connection, AuditLog(), [size - done], done=done)


def signing(dsn: str, elsewhere) -> None:
    """Until the signer gives up."""
    asyncio.run(asyncio.wait_for(run(dsn, WRAPPING, ORIGIN, elsewhere), 30))


def test_a_store_as_it_was_seen_elsewhere_is_said_to_be_so(typed, dsn, nats_server, objects, tmp_path):
    note = lived(dsn, nats_server, objects, 30)
    (tmp_path / "kept").write_text(note)
    said = typed("status", "--checkpoint", "kept")
    assert "stream: 30 events, as in the store" in said
    assert "copy: 30 events, as in the store" in said
    assert "checkpoint: 30 events, as in the store" in said
    assert "kept checkpoint: 30 events, as in the store" in said
    refused = typed("begin", "--reason", "none", "--yes", code=1)
    assert "nothing contradicts the store" in refused
    assert typed("begin", "--reason", " ", "--yes", "--force", code=2)
    (tmp_path / "kept").write_text("rubbish")
    assert "not a signed checkpoint" in typed("status", "--checkpoint", "kept", code=2)


def test_a_store_that_was_set_back_signs_nothing_until_an_operator_says_so(
    typed, dsn, database, nats_server, objects, tmp_path
):
    note = lived(dsn, nats_server, objects, 30)
    (tmp_path / "kept").write_text(note)
    set_back(dsn, database, 20)
    with pytest.raises(EpochMismatch, match="ends at 30, the store at 20"):
        signing(dsn, [CopyPlace(objects)])
    said = typed("status", "--checkpoint", "kept", code=1)
    for place in ("stream", "copy", "kept checkpoint"):
        assert f"{place}: the {place} ends at 30, the store at 20" in said
    assert typed("begin", "--reason", "restored", code=1), "nobody said yes"
    begun = typed("begin", "--reason", "restored last night's backup", "--yes")
    for place in ("stream", "copy"):
        assert f"lost: the {place} ends at 30, the store at 20" in begun
    event = entry(dsn, "epoch.begun.v1")
    assert (event["position"], event["reason"]) == (20, "restored last night's backup")
    assert {(each["place"], each["size"]) for each in event["lost"]} == {("stream", 30), ("copy", 30)}
    assert event["lost"][0]["event_id"]
    assert "lost" not in typed("status")
    asyncio.run(goes_on(dsn, nats_server, objects, note))


def entry(dsn: str, topic: str):
    with psycopg.connect(dsn) as connection:
        found = connection.execute("select state from stored_events where topic = %s", (topic,)).fetchall()
    [(state,)] = found
    return msgspec.json.decode(state)


async def goes_on(dsn: str, nats_server, objects: ObjectStore, before: str) -> None:
    """The new epoch has a stream, a key, a name and a copy of its own, and the old signature is of another log."""
    async with workers(dsn, nats_server) as flow:
        head = await flow.log.head()
        await follow(flow.connection, AuditLog(), [head - 20], done=20)
        flow.relay()
        signer = flow.start(run(dsn, WRAPPING, ORIGIN, [CopyPlace(objects)]))
        flow.start(TileCopy(objects, entries=False, every=0.05).run(dsn))
        await flow.until(lambda: _ends_at(flow, head))

        async def copied() -> bool:
            seen = await CopyPlace(objects).seen(flow.connection)
            return seen is not None and seen.size == head

        await flow.until(copied)
        signed = await signed_checkpoint(flow.connection)
        assert signed is not None
        old, new = await published_keys(flow.connection)
        assert old.until is not None
        assert new.until is None
        checkpoint = parse_checkpoint(parse_note(signed.note).text)
        assert checkpoint.origin.startswith(f"{ORIGIN}/")
        assert open_note(parse_note(signed.note), [parse_vkey(new.vkey)])
        with pytest.raises(Untrusted):
            open_note(parse_note(signed.note), [parse_vkey(old.vkey)])
        with pytest.raises(Untrusted):
            open_note(parse_note(before), [parse_vkey(new.vkey)])
        await flow.stop(signer)


def test_a_tail_that_was_deleted_under_its_checkpoints_is_named_and_given_up(
    typed, dsn, database, nats_server, objects
):
    lived(dsn, nats_server, objects, 30)
    superuser(database, "delete from stored_events where notification_id > 25")
    with pytest.raises(Fork, match="30 entries were signed, and the log has only 25"):
        signing(dsn, ())
    assert "checkpoint: the checkpoint ends at 30, the store at 25" in typed("status", code=1)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "insert into projections (name, place, version, position) values ('organisation', 'read', 4, 30),"
            " ('user', 'read', 4, 25), ('reactor', 'work', 1, 30)"
        )
    typed("begin", "--reason", "the tail is gone", "--yes")
    with psycopg.connect(dsn) as connection:
        standing = connection.execute("select name, version, position from projections order by 1").fetchall()
    assert standing == [("organisation", -1, 30), ("reactor", 1, 25), ("user", 4, 25)], (
        "nobody skips what comes next"
    )
    assert {each["place"] for each in entry(dsn, "epoch.begun.v1")["lost"]} == {
        "stream",
        "copy",
        "checkpoint",
    }


def test_a_place_that_is_away_is_not_passed_over_unless_somebody_says_so(
    typed, dsn, database, nats_server, objects, object_store
):
    lived(dsn, nats_server, objects, 30)
    set_back(dsn, database, 20)
    object_store.kill()
    try:
        assert "copy: the object store" in typed("begin", "--reason", "x", "--yes", code=1)
        assert "lost: the stream ends at 30" in typed("begin", "--reason", "x", "--yes", "--force")
    finally:
        object_store.start()


def test_without_a_database_it_says_what_to_do(typed, monkeypatch, tmp_path: Path):
    for name in ("CHANCERY_DATABASE_URL", "CHANCERY_DATABASE_OWNER_URL"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("CHANCERY_DATA_DIR", str(tmp_path / "none"))
    assert "chancery up" in typed("begin", "--reason", "x", "--yes", code=1)
