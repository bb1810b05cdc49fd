"""The copy of the log in the object store: what another's client reads, and what a restored database is told by."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import UUID

import psycopg
import pytest

from application.file_content import ObjectMissing
from infrastructure.object_parts import StoreUnavailable
from infrastructure.object_store import ObjectStore
from infrastructure.personal_data import Wrapping
from infrastructure.postgres import connect
from infrastructure.role import Connection
from infrastructure.settings import Settings
from infrastructure.tasks import end
from projections.audit_log import AuditLog
from projections.leaf import unbundle
from projections.merkle import leaf_hash
from projections.proofs import parse_checkpoint
from projections.tiles import Edge
from tests import servers
from tests.auditing import follow, happen, superuser, true_root
from tests.waiting import until
from workers import epoch
from workers.epoch import EpochMismatch, agree, contradiction
from workers.signer import sign_once
from workers.tile_copy import ALARM, CopyPlace, TileCopy

pytestmark = pytest.mark.anyio
WRAPPING = Wrapping(bytes(range(32)))
ORIGIN = "chancery.example/audit"


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[Connection]:
    async with await connect(dsn) as opened:
        await opened.execute(AuditLog().ddl("read").encode())
        yield opened


@pytest.fixture
async def objects(object_store: servers.ObjectStore) -> AsyncIterator[ObjectStore]:
    """Empty: every test's database comes from one template, and so is of one epoch."""
    store = ObjectStore(Settings(**object_store.settings), patience=2)
    await store.remove_under("audit/")
    yield store
    store.close()


@asynccontextmanager
async def copying(dsn: str, objects: ObjectStore, *, entries: bool = False) -> AsyncIterator[asyncio.Task]:
    task = asyncio.create_task(TileCopy(objects, entries=entries, every=0.05).run(dsn))
    try:
        yield task
    finally:
        await end(task)


async def grown(dsn: str, connection: Connection, count: int, done: int = 0) -> None:
    """So many more events, in the tree and signed."""
    happen(dsn, count)
    await follow(connection, AuditLog(), [count], done=done)
    assert await sign_once(connection, WRAPPING, ORIGIN)


class Reader:
    """Another's client: it knows the layout of C2SP tlog-tiles, and nothing of us."""

    def __init__(self, objects: ObjectStore, folder: str) -> None:
        self._objects, self._folder = objects, folder

    async def size(self) -> int:
        with suppress(ObjectMissing, StoreUnavailable):
            return int((await self.read("checkpoint")).split(b"\n")[1])
        return 0

    async def read(self, path: str) -> bytes:
        return await self._objects.kept(f"{self._folder}/{path}")

    async def row(self, level: int, whole: int, *, bundles: bool = False) -> bytes:
        """The tiles of one level, one after the other."""
        parts = [f"{number:03}" for number in range(whole // 256)]
        parts += [f"{whole // 256:03}.p/{whole % 256}"] if whole % 256 else []
        kind = "entries" if bundles else str(level)
        return b"".join([await self.read(f"tile/{kind}/{part}") for part in parts])


async def reader(objects: ObjectStore, connection: Connection) -> Reader:
    return Reader(objects, f"audit/{await epoch.current(connection)}")


async def test_tiles_and_checkpoint_are_there_as_others_read_them(dsn, connection, objects, object_store):
    await grown(dsn, connection, 600)
    theirs = await reader(objects, connection)
    async with copying(dsn, objects):
        await until(lambda: _is(theirs, 600))
        row = await theirs.row(0, 600)
        hashes = [row[at : at + 32] for at in range(0, len(row), 32)]
        root = await true_root(connection, 600)
        assert Edge().grown(hashes)[0].root() == root
        note = (await theirs.read("checkpoint")).decode()
        assert parse_checkpoint(note.partition("\n\n")[0] + "\n").root == root
        assert len(await theirs.row(1, 2)) == 64
        await grown(dsn, connection, 200, done=600)
        await until(lambda: _is(theirs, 800))
        assert len(await theirs.row(0, 800)) == 800 * 32
    names = {
        path.relative_to(_place(object_store)) for path in _place(object_store).rglob("*") if path.is_file()
    }
    kept = {str(name) for name in names if str(name).startswith("tile/0")}
    assert kept == {"tile/0/000", "tile/0/001", "tile/0/002", "tile/0/003.p/32"}, (
        "no partial form of a full tile"
    )
    assert not any("entries" in str(name) for name in names), "what is written in entries is nobody's"


def _place(object_store: servers.ObjectStore):
    folders = list((servers.objects(object_store.data_dir, object_store.bucket) / "audit").iterdir())
    return max(folders, key=lambda folder: (folder / "checkpoint").stat().st_mtime)


async def _is(theirs: Reader, size: int) -> bool:
    return await theirs.size() == size


async def test_entries_are_copied_where_the_store_is_as_private_as_the_log(dsn, connection, objects):
    await grown(dsn, connection, 300)
    theirs = await reader(objects, connection)
    async with copying(dsn, objects, entries=True):
        await until(lambda: _is(theirs, 300))
        leaves = unbundle(await theirs.row(0, 300, bundles=True))
        row = await theirs.row(0, 300)
        assert [leaf_hash(leaf) for leaf in leaves] == [row[at : at + 32] for at in range(0, len(row), 32)]


async def test_it_goes_on_where_it_was_and_says_nothing_twice(dsn, connection, objects, monkeypatch):
    monkeypatch.setattr("workers.tile_copy.STEP", 300)
    for done in range(0, 900, 300):
        await grown(dsn, connection, 300, done=done)
    theirs = await reader(objects, connection)
    async with copying(dsn, objects) as first:
        await until(theirs.size)
        await end(first)
    written: list[str] = []
    keep = objects.keep

    async def noted(name: str, data: bytes) -> None:
        written.append(name.partition("/tile/")[2] or "checkpoint")
        await keep(name, data)

    monkeypatch.setattr(objects, "keep", noted)
    before = await theirs.size()
    async with copying(dsn, objects), copying(dsn, objects):
        await until(lambda: _is(theirs, 900))
    tiles = [name for name in written if name != "checkpoint"]
    assert len(tiles) == len(set(tiles)), "each once, whoever copies"
    assert not [name for name in tiles if name in {f"0/{n:03}" for n in range(before // 256)}]


async def test_while_the_store_is_away_it_says_so_and_then_catches_up(
    dsn, owner_dsn, connection, objects, object_store
):
    await grown(dsn, connection, 10)
    theirs = await reader(objects, connection)
    async with copying(dsn, objects) as task:
        await until(lambda: _is(theirs, 10))
        object_store.kill()
        await grown(dsn, connection, 500, done=10)
        await until(lambda: _alarm(owner_dsn))
        assert _alarm(owner_dsn).startswith("waits at 10: ")
        assert not task.done()
        object_store.start()
        await until(lambda: _is(theirs, 510))
        await until(lambda: _alarm(owner_dsn) is None)
    assert len(await theirs.row(0, 510)) == 510 * 32


def _alarm(owner_dsn: str, name: str = ALARM) -> str | None:
    with psycopg.connect(owner_dsn) as owner:
        row = owner.execute("select detail from alarms where name = %s", (name,)).fetchone()
        return row and row[0]


async def copied(dsn: str, connection: Connection, objects: ObjectStore, count: int) -> None:
    """A log of so many events, signed and copied."""
    await grown(dsn, connection, count)
    theirs = await reader(objects, connection)
    async with copying(dsn, objects):
        await until(lambda: _is(theirs, count))


async def set_back(database: servers.Addresses, connection: Connection, to: int) -> None:
    """As an older backup would have it: events, tree and checkpoints of before; nothing knows of later ones."""
    superuser(
        database,
        f"delete from stored_events where notification_id > {to}",
        f"delete from audit.checkpoints where size > {to}",
        "drop table read.audit_entry, read.audit_tile",
    )
    await connection.execute(AuditLog().ddl("read").encode())
    await follow(connection, AuditLog(), [to])


async def test_a_database_that_was_set_back_is_told_by_the_copy(dsn, database, connection, objects):
    await copied(dsn, connection, objects, 40)
    await set_back(database, connection, 25)
    assert await sign_once(connection, WRAPPING, ORIGIN), "by itself it knows of nothing"
    with pytest.raises(EpochMismatch, match="the copy ends at 40, the store at 25"):
        await agree(connection, [CopyPlace(objects)])
    with pytest.raises(EpochMismatch, match="the copy ends at 40"):
        await asyncio.wait_for(TileCopy(objects, entries=False).run(dsn), 20)


async def test_a_history_written_over_it_is_told_by_its_root(dsn, database, connection, objects):
    await copied(dsn, connection, objects, 40)
    await set_back(database, connection, 25)
    happen(dsn, 30)
    await follow(connection, AuditLog(), [30], done=25)
    with pytest.raises(EpochMismatch, match="another root over 40 entries"):
        await agree(connection, [CopyPlace(objects)])


async def test_a_log_rewritten_under_the_same_key_is_told_by_the_copy(dsn, database, connection, objects):
    await copied(dsn, connection, objects, 40)
    superuser(
        database,
        "update stored_events set state = '{\"x\":1}' where notification_id = 3",
        "delete from audit.checkpoints",
        "drop table read.audit_entry, read.audit_tile",
    )
    await connection.execute(AuditLog().ddl("read").encode())
    await follow(connection, AuditLog(), [40])
    assert await sign_once(connection, WRAPPING, ORIGIN), "by itself it knows of nothing"
    with pytest.raises(EpochMismatch, match="another root over 40 entries"):
        await agree(connection, [CopyPlace(objects)])


async def test_a_tile_that_somebody_changed_in_the_store_is_not_written_over(dsn, connection, objects):
    await grown(dsn, connection, 300)
    theirs = await reader(objects, connection)
    await objects.keep(f"audit/{await epoch.current(connection)}/tile/0/000", b"x" * 256 * 32)
    with pytest.raises(EpochMismatch, match="tile/0/000 of the copy is not what the log has there"):
        await asyncio.wait_for(TileCopy(objects, entries=False).run(dsn), 20)
    assert await theirs.read("tile/0/000") == b"x" * 256 * 32


@pytest.mark.parametrize("note", ["", "rubbish", "a\n1\n" + "A" * 43 + "=\n\n— a AAAAAAAA\n", "\ud7ff\n"])
async def test_a_checkpoint_that_this_log_never_signed_is_no_copy_of_it(dsn, connection, objects, note):
    await grown(dsn, connection, 3)
    await objects.keep(f"audit/{await epoch.current(connection)}/checkpoint", note.encode())
    with pytest.raises(EpochMismatch, match="not by this log"):
        await agree(connection, [CopyPlace(objects)])


async def test_bytes_that_are_no_text_are_no_checkpoint(dsn, connection, objects):
    await grown(dsn, connection, 3)
    await objects.keep(f"audit/{await epoch.current(connection)}/checkpoint", b"\xff\xfe")
    with pytest.raises(EpochMismatch, match="not a note"):
        await agree(connection, [CopyPlace(objects)])


async def test_nothing_is_signed_before_a_place_that_is_away_has_answered(
    dsn, connection, objects, object_store
):
    await copied(dsn, connection, objects, 5)
    object_store.kill()
    waiting = asyncio.create_task(agree(connection, [CopyPlace(objects)]))
    try:
        done, _ = await asyncio.wait([waiting], timeout=1.0)
        assert not done
    finally:
        object_store.start()
    await asyncio.wait_for(waiting, 20)


async def test_an_epoch_that_begins_meanwhile_is_copied_from_its_first_entry(
    dsn, owner_dsn, connection, objects
):
    await grown(dsn, connection, 300)
    before = await reader(objects, connection)
    async with copying(dsn, objects):
        await until(lambda: _is(before, 300))
        with psycopg.connect(owner_dsn, autocommit=True) as owner:
            owner.execute("insert into epochs (timeline, reason) values (1, 'restored')")
        assert await sign_once(connection, WRAPPING, ORIGIN), "by another key"
        after = await reader(objects, connection)
        await until(lambda: _is(after, 300))
        assert await after.row(0, 300) == await before.row(0, 300)
        assert await after.read("checkpoint") != await before.read("checkpoint"), "which stays as it was"


async def test_an_ended_epoch_is_of_this_store_and_a_strange_one_is_not(dsn, owner_dsn, connection):
    before = await epoch.current(connection)
    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        owner.execute("insert into epochs (timeline, reason) values (1, 'restored')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            owner.execute("delete from epochs")
    assert await epoch.ended(connection, str(before))
    for strange in (None, "none", str(UUID(int=1)), str(await epoch.current(connection))):
        assert not await epoch.ended(connection, strange)
    seen = epoch.Seen(place="stream", size=0, epoch=str(before))
    assert "is of epoch" in (await contradiction(connection, seen) or "")
