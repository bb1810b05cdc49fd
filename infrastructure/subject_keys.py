"""Subject keys backed up apart from the log, and brought back so that nobody who was forgotten is known again."""

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from msgspec import Struct
from psycopg import AsyncConnection, IsolationLevel

from infrastructure.backup.mark import DONE, awaited
from infrastructure.personal_data import Wrapping
from infrastructure.postgres import APPEND, PROJECTOR, connect
from infrastructure.role import holders
from infrastructure.subject_key_file import Head, KeyFile, KeysRefused, Line
from projections.audit_log import AuditLog
from projections.projection import discover

AT_ONCE = 5_000
OPTIONS = "-c jit=off -c lock_timeout=10s"


class Kept(Struct, frozen=True, kw_only=True):
    """What a file holds."""

    position: int
    keys: int
    destroyed: int


class Restored(Struct, frozen=True, kw_only=True):
    """What a file brought: keys that were missing, and keys that were destroyed again; `to_build`: read models that
    were dropped, since they may show what was forgotten, or are not there yet in a database out of a backup."""

    added: int
    destroyed: int
    to_build: tuple[str, ...]


async def backup(url: str, wrapping: Wrapping, path: Path, snapshot: str | None = None) -> Kept:
    """All keys as of one moment; takes the place of an older backup in one step. The keys stay wrapped.

    `snapshot`: the moment, as somebody else has exported it.

    Raises KeysRefused when the file that stands there knows more: somebody was forgotten whom this database knows.
    """
    async with await connect(url, options=OPTIONS, name="chancery subject keys") as connection:
        await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        async with connection.transaction():
            if snapshot is not None:
                await connection.execute(f"set transaction snapshot '{snapshot}'".encode())
            head = await _head(connection)
            file, keys, destroyed = KeyFile(path, wrapping), 0, 0
            if file.exists:
                await _no_newer(connection, file, head)
            with file.written(head) as write:
                async for line in _lines(connection):
                    keys, destroyed = keys + 1, destroyed + (line.wrapped is None)
                    write(line)
            return Kept(position=head.position, keys=keys, destroyed=destroyed)


async def restore(owner_url: str, wrapping: Wrapping, path: Path) -> Restored:
    """Adds the keys that are missing, and destroys every key that the file or the log calls destroyed; a key that is
    destroyed here stays so. Where that changed anything, every read model that was built is dropped in the same
    transaction, and what was read of files of whoever has no key: nothing shows a moment longer what was forgotten.

    Raises KeysRefused, also while anybody builds read models, which would be served, and while the log was set back and
    no new epoch has begun.
    """
    file = KeyFile(path, wrapping)
    theirs = file.head()
    async with await connect(owner_url, options=OPTIONS, name="chancery subject keys") as connection:
        async with connection.transaction():
            await connection.execute("select pg_advisory_xact_lock(%s)", (APPEND,))
            await _fit(connection, path, theirs)
            await connection.execute(_BROUGHT)
            async with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
                for line in file.lines():
                    wrapped = None if line.wrapped is None else b64decode(line.wrapped)
                    await copy.write_row((line.subject, wrapped, line.made_at, line.destroyed_at))
            destroyed = (await connection.execute(_DESTROY)).rowcount
            added = (await connection.execute(_ADD)).rowcount
            new = destroyed or added or await awaited(connection)
            dropped = await _drop_read_models(connection) if new else ()
            for statement in (_THEIR_IMPORTS, _THEIR_TEXTS):
                await connection.execute(statement)
        return Restored(added=added, destroyed=destroyed, to_build=dropped)


async def _fit(connection: AsyncConnection[Any], path: Path, theirs: Head) -> None:
    """That the file is this log's, that others know where it was set back to, and that nobody is at work."""
    ours = await _head(connection)
    _same_log(path, theirs, ours)
    out_of = await awaited(connection)
    if out_of is not None and out_of.to_begin:
        raise KeysRefused(f"First of all, {out_of}.")
    if out_of is not None and theirs.epoch == out_of.epoch and theirs.position < out_of.position:
        raise KeysRefused(
            f"{path} is older than the backup: take the one that was made with it, or a later one."
        )
    if theirs.epoch == ours.epoch and theirs.position > ours.position:
        raise KeysRefused("The log was set back. First say so, for others to know: `chancery epoch begin`.")
    if at_work := await holders(connection, PROJECTOR, list(discover())):
        raise KeysRefused(f"`chancery work` is at work ({min(at_work)}…). Stop it, and what serves, first.")


async def served_again(owner_url: str) -> None:
    """Keys are applied and read models built: a database that came out of a backup waits for nothing any more."""
    async with await connect(owner_url, options=OPTIONS, name="chancery subject keys") as connection:
        await connection.execute(DONE)


async def unrecorded(connection: AsyncConnection[Any]) -> list[tuple[UUID, str]]:
    """Whose key is destroyed though the log does not call him erased, since it was set back: his id and his noun."""
    rows = await connection.execute(_UNRECORDED)
    return [(subject, noun) for subject, noun in await rows.fetchall()]


async def _no_newer(connection: AsyncConnection[Any], file: KeyFile, ours: Head) -> None:
    _same_log(file.path, file.head(), ours)
    lines = file.lines()
    while page := list(islice(lines, AT_ONCE)):
        asked = [line.subject for line in page], [line.wrapped is None for line in page]
        if (await connection.execute(_UNKNOWN_HERE, asked)).rowcount:
            raise KeysRefused(
                f"{file.path} knows more than this database, which was set back: restore from it first."
            )


def _same_log(path: Path, theirs: Head, ours: Head) -> None:
    if None not in (theirs.log, ours.log) and theirs.log != ours.log:
        raise KeysRefused(f"{path} holds the keys of another log.")


async def _head(connection: AsyncConnection[Any]) -> Head:
    row = await (await connection.execute(_HEAD)).fetchone()
    assert row is not None
    return Head(log=row[0], epoch=row[1], position=row[2], taken_at=row[3])


async def _lines(connection: AsyncConnection[Any]) -> AsyncIterator[Line]:
    async with connection.cursor(name="subject_keys") as cursor:
        await cursor.execute(_ALL)
        while rows := await cursor.fetchmany(AT_ONCE):
            for subject, wrapped, made_at, destroyed_at in rows:
                told = None if wrapped is None else b64encode(wrapped).decode()
                yield Line(subject=subject, wrapped=told, made_at=made_at, destroyed_at=destroyed_at)


async def _drop_read_models(connection: AsyncConnection[Any]) -> tuple[str, ...]:
    """All but the audit log, which holds what the log holds, sealed, and whose tree is signed."""
    models = {name: model for name, model in discover().items() if not isinstance(model, AuditLog)}
    rows = await connection.execute(
        "delete from projections where name = any(%s) returning name, place", (list(models),)
    )
    for name, place in await rows.fetchall():
        for table in models[name].tables:
            await connection.execute(f'drop table if exists "{place}"."{table}"'.encode())
    return tuple(models)


_HEAD = b"""select (select event_id from stored_events where notification_id = 1), current_epoch(),
  coalesce((select max(notification_id) from stored_events), 0), clock_timestamp()::text"""
_ALL = b"select subject_id, wrapped, made_at::text, destroyed_at::text from subject_keys order by subject_id"
_UNKNOWN_HERE = b"""
select from unnest(%s::uuid[], %s::bool[]) as theirs(subject_id, destroyed) left join subject_keys k using (subject_id)
  where k.subject_id is null or theirs.destroyed and k.wrapped is not null limit 1"""
_BROUGHT = b"create temp table brought (like subject_keys) on commit drop"
_COPY = b"copy brought (subject_id, wrapped, made_at, destroyed_at) from stdin"
_DESTROY = b"""
insert into subject_keys (subject_id, wrapped, made_at, destroyed_at)
  select subject_id, null, coalesce(min(made_at), clock_timestamp()), clock_timestamp() from (
    select subject_id, made_at from brought where wrapped is null
    union all select originator_id, null from stored_events where topic like '%.erased.v%') as gone
  group by subject_id
on conflict (subject_id) do update set wrapped = null, destroyed_at = excluded.destroyed_at
  where subject_keys.wrapped is not null"""
_ADD = b"insert into subject_keys select * from brought where wrapped is not null on conflict do nothing"
_THEIR_IMPORTS = b"""
delete from import_progress p using stored_events e, subject_keys k
  where e.originator_id = p.import_id and e.originator_version = 1 and k.wrapped is null
    and k.subject_id = (convert_from(e.metadata, 'utf8')::jsonb -> 'actor' ->> 1)::uuid"""
_THEIR_TEXTS = b"""
delete from file_texts t using stored_events e, subject_keys k
  where e.originator_id = t.file_id and e.originator_version = 1 and k.wrapped is null
    and k.subject_id = (convert_from(e.state, 'utf8')::jsonb ->> 'owner_id')::uuid
    and not exists (
      select from claims c join stored_events b on b.originator_id = c.owner and b.originator_version = 1
      where c.kind = 'file.binding' and c.value = t.file_id::text
        and split_part(b.topic, '.', 1) not in ('message', 'user'))"""
_UNRECORDED = b"""
select k.subject_id, split_part(e.topic, '.', 1) from subject_keys k
  join stored_events e on e.originator_id = k.subject_id and e.originator_version = 1
  where k.wrapped is null and split_part(e.topic, '.', 1) in ('user', 'contact') and not exists (
    select from stored_events x where x.originator_id = k.subject_id and x.topic like '%.erased.v%')
  order by e.notification_id"""
