"""Making a backup: one snapshot of the database for dump, keys and manifest; then the objects.

Objects come after the snapshot. A content is in the bucket before an event names it, so whatever the log of the
snapshot names is still there, but for what was removed since, which nobody misses.
"""

import asyncio
import fcntl
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
from msgspec import Struct
from psycopg import IsolationLevel

from infrastructure import subject_keys
from infrastructure.audit.keys import published_keys
from infrastructure.backup import manifest
from infrastructure.backup.manifest import (
    DUMP,
    KEYS_MANIFEST,
    MANIFEST,
    OBJECTS,
    SECRETS,
    SUBJECT_KEYS,
    BackupRefused,
    KeysManifest,
    Manifest,
    part_of,
)
from infrastructure.backup.mark import awaited
from infrastructure.backup.objects import Bucket, copy_out
from infrastructure.backup.programs import programs, server_major
from infrastructure.embedded.folder import write_private
from infrastructure.personal_data import Wrapping, wrapping_of
from infrastructure.postgres import connect
from infrastructure.settings import GENERATED, Settings
from infrastructure.subject_key_file import KeysRefused
from projections.audit_tree import signed_checkpoint

APART = ("credentials", "client_keys", "signing_keys", "provider_wishes", "audit.keys")
"""Tables with secrets: hashes of passwords and keys, private halves. They are dumped to the keys' folder."""
LEFT = ("refreshes", "issuer_keys", "subject_keys")
"""Tables whose rows no dump has: sessions end with a restore, others' keys are asked for again, people's keys have a
file of their own."""
BUILT = ("read.*", "read_next.*", "read_prev.*")
"""Read models: made of the log again, so that none shows what was forgotten since."""


class Told(Struct, frozen=True, kw_only=True):
    """What the database says of itself in a snapshot."""

    log: UUID | None
    epoch: UUID
    position: int
    migrations: tuple[int, ...]
    checkpoint: str | None
    keys: tuple[str, ...]
    registers: tuple[str, ...]


def create(settings: Settings, folder: Path, keys: Path, before: Path | None = None) -> Manifest:
    """Into `folder`, and its keys into `keys`; neither may be there. `before`: an older backup, to copy less.

    Raises BackupRefused, OSError. Whatever goes wrong, what was begun is no backup, and the next one sweeps it away.
    """
    _apart(folder, keys)
    if before is not None:
        manifest.read(before)
    major = server_major(settings.database_owner_url)
    tools, wrapping = programs(major), wrapping_of(settings)
    with _fresh(folder) as made, _fresh(keys) as kept:
        with _snapshot(settings.database_owner_url) as (snapshot, made_at):
            told = asyncio.run(_asked(settings.database_owner_url, snapshot))
            url, at = settings.database_owner_url, f"--snapshot={snapshot}"
            tools.dump(
                url, kept / SECRETS, at, "--data-only", *(f"--table={_full(table)}" for table in APART)
            )
            _keep_subject_keys(settings, wrapping, kept / SUBJECT_KEYS, snapshot)
            tools.dump(
                url,
                made / DUMP,
                at,
                "--no-unlogged-table-data",
                *(f"--exclude-table={pattern}" for pattern in (*BUILT, *told.registers)),
                *(f"--exclude-table-data={_full(table)}" for table in (*APART, *LEFT, "lookup.registers")),
            )
        count, total = _objects(settings, made, told.epoch, before)
        whole = Manifest(
            id=uuid4(),
            made_at=made_at,
            made_by=version("chancery"),
            postgres=major,
            migrations=told.migrations,
            log=told.log,
            epoch=told.epoch,
            position=told.position,
            checkpoint=told.checkpoint,
            keys=told.keys,
            objects=count,
            object_bytes=total,
            parts=(part_of(made, DUMP), part_of(made, OBJECTS)),
        )
        names = (SECRETS, SUBJECT_KEYS, *_generated(settings, kept))
        parts = tuple(part_of(kept, name) for name in names)
        manifest.write(kept / KEYS_MANIFEST, KeysManifest(backup=whole.id, parts=parts), wrapping)
        manifest.write(made / MANIFEST, whole, wrapping)
    return whole


def _apart(folder: Path, keys: Path) -> None:
    one, other = folder.resolve(), keys.resolve()
    if one == other or one in other.parents or other in one.parents:
        raise BackupRefused("The keys belong into a folder apart, neither in nor around that of the backup.")
    for path in (folder, keys):
        if path.exists() or path.is_symlink():
            raise BackupRefused(f"{path} is there already: each backup has folders of its own.")


@contextmanager
def _fresh(folder: Path) -> Generator[Path]:
    """A folder that gets its name when all is well, and is held meanwhile; what a killed one has left goes first."""
    part = folder.with_name(f".{folder.name}.part")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(part, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupRefused(f"Another backup is just being made into {folder}.") from None
        _empty(part)
        try:
            yield part
            for inside in (*part.rglob("*"), part):
                if inside.is_dir():
                    _synced(inside)
            part.rename(folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        _synced(folder.parent)
    finally:
        os.close(handle)


def _empty(folder: Path) -> None:
    for each in folder.iterdir():
        shutil.rmtree(each) if each.is_dir() else each.unlink()


def _synced(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _snapshot(url: str) -> Generator[tuple[str, str]]:
    """One moment of the database, as long as the block lasts; its name, and the time."""
    with psycopg.connect(url, application_name="chancery backup", connect_timeout=5) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        row = connection.execute(
            "select pg_export_snapshot(), to_char(now() at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
        ).fetchone()
        assert row is not None
        yield row


async def _asked(url: str, snapshot: str) -> Told:
    async with await connect(url, options="", name="chancery backup") as connection:
        await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        async with connection.transaction():
            await connection.execute(f"set transaction snapshot '{snapshot}'".encode())
            if wanting := await awaited(connection):
                raise BackupRefused(f"Nothing to back up yet: {wanting}.")
            row = await (await connection.execute(_TOLD)).fetchone()
            assert row is not None
            signed = await signed_checkpoint(connection)
            return Told(
                log=row[0],
                epoch=row[1],
                position=row[2],
                migrations=tuple(row[3]),
                registers=tuple(row[4]),
                checkpoint=None if signed is None else signed.note,
                keys=tuple(each.vkey for each in await published_keys(connection)),
            )


def _keep_subject_keys(settings: Settings, wrapping: Wrapping, path: Path, snapshot: str) -> None:
    try:
        asyncio.run(subject_keys.backup(settings.database_url, wrapping, path, snapshot))
    except KeysRefused as refused:
        raise BackupRefused(str(refused)) from None


def _objects(settings: Settings, folder: Path, epoch: UUID, before: Path | None) -> tuple[int, int]:
    if settings.s3_endpoint:
        return copy_out(Bucket(settings), folder, epoch, before)
    write_private(folder / OBJECTS, "")
    return 0, 0


def _generated(settings: Settings, kept: Path) -> list[str]:
    """Secrets that `up` has made, which nobody else has: what an operator has set is his to keep."""
    names = [name for name in GENERATED if settings.sources.get(name) in ("generated", "embedded")]
    for name in names:
        write_private(kept / name, getattr(settings, name))
    return names


def _full(table: str) -> str:
    return table if "." in table else f"public.{table}"


_TOLD = b"""select (select event_id from stored_events where notification_id = 1), current_epoch(),
  coalesce((select max(notification_id) from stored_events), 0), array(select number from migrations order by 1),
  array(select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'lookup' and c.relkind = 'r' and c.relname <> 'registers')"""
