"""`chancery guards verify | rebuild`: the guard tables against the log, and made again from it."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any

from msgspec import Struct
from psycopg import AsyncConnection, IsolationLevel, sql
from psycopg_pool import AsyncConnectionPool

from domain.session.events import SessionClosed
from infrastructure.event_codec import EventCodec
from infrastructure.event_log import EventLog
from infrastructure.guard_replay import TABLES, Key, Replay
from infrastructure.guards import Guards
from infrastructure.owner_append import append, by_system
from infrastructure.personal_data import Vault, Wrapping
from infrastructure.postgres import APPEND, connect
from infrastructure.writer import AT_MOST

PAGE = 2000
"""Events read at a time."""


class Difference(Struct, frozen=True, kw_only=True):
    """One row that the log and a guard table see differently; None: it has none there."""

    table: str
    key: Key
    expected: Mapping[str, Any] | None
    found: Mapping[str, Any] | None

    def __str__(self) -> str:
        where = f"{self.table} {' '.join(map(str, self.key))}"
        if self.expected is None:
            return f"{where}: extra, the log knows nothing of it"
        if self.found is None:
            return f"{where}: missing"
        wrong = [
            f"{name} is {self.found[name]}, the log says {value}"
            for name, value in self.expected.items()
            if self.found[name] != value
        ]
        return f"{where}: {'; '.join(wrong)}"


class Rebuilt(Struct, frozen=True, kw_only=True):
    """Rows written per table, as the log has them up to `position`, and how many sessions were ended."""

    position: int
    rows: Mapping[str, int]
    sessions_ended: int


async def verify(url: str, wrapping: Wrapping) -> list[Difference]:
    """All differences, while writers go on: the log is replayed and the tables read page by page, without a snapshot.

    What then looks different is judged again, with the events since, in a snapshot that is as short as those are few.

    Raises UnknownTopic, ClaimedTwice.
    """
    async with await connect(url, options="-c jit=off", name="chancery guards") as connection:
        replay = Replay(Guards(wrapping.blind))
        await _follow(connection, wrapping, replay)
        suspects = {table: await _suspects(connection, replay, table) for table in TABLES}
        await _follow(connection, wrapping, replay)
        await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        await connection.set_read_only(True)
        async with connection.transaction():
            await _follow(connection, wrapping, replay)
            found: list[Difference] = []
            for table, keys in suspects.items():
                found += await _differences(connection, replay, table, keys)
            found += await _living_keys(connection, replay)
        return found


async def rebuild(owner_url: str, wrapping: Wrapping) -> Rebuilt:
    """Replaces every guard table in one transaction and ends all sessions of people, by events; destroys keys that
    should be: an older state of them was brought back.

    Generations of refresh tokens are not in the log, so nobody stays signed in. Commands wait, and may time out, from
    the moment the log has been read but for its last events. Raises UnknownTopic, ClaimedTwice.
    """
    async with await connect(owner_url, options="-c jit=off", name="chancery guards") as connection:
        async with connection.transaction():
            replay = Replay(Guards(wrapping.blind))
            await _follow(connection, wrapping, replay)
            await connection.execute("select pg_advisory_xact_lock(%s)", (APPEND,))
            await _follow(connection, wrapping, replay)
            rows = {table: await _replace(connection, replay, table) for table in TABLES}
            await _destroy_keys(connection, replay)
            ended = await _end_sessions(connection, wrapping)
        return Rebuilt(position=replay.position, rows=rows, sessions_ended=ended)


async def _follow(connection: AsyncConnection[Any], wrapping: Wrapping, replay: Replay) -> None:
    """Reads on to the head, log and keys in the connection's own transaction."""
    codec, one = EventCodec(), _One(connection)
    log = EventLog(one, codec, Vault(one, wrapping))
    while stored := await log.read(replay.position, PAGE):
        for recorded in await log.open(stored):
            replay.apply(recorded)


class _One(AsyncConnectionPool[Any]):
    """A pool that lends a single connection, again and again, as it is."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        super().__init__(open=False, min_size=0, max_size=1)
        self._lent = connection

    @asynccontextmanager
    async def connection(self, timeout: float | None = None) -> AsyncGenerator[AsyncConnection[Any]]:  # noqa: ARG002, ASYNC109
        yield self._lent


async def _suspects(connection: AsyncConnection[Any], replay: Replay, table: str) -> list[Key]:
    """Keys whose rows are not what the log has them, or were changed since it was read."""
    keys, row_type = TABLES[table]
    unseen = dict(replay.table(table))
    found: list[Key] = []
    after: Key | None = None
    while rows := await _page(connection, table, after):
        for row in rows:
            after = tuple(row[: len(keys)])
            if unseen.pop(after, None) != row_type(*row[len(keys) :]):
                found.append(after)
    return [*found, *unseen]


async def _page(connection: AsyncConnection[Any], table: str, after: Key | None) -> list[Any]:
    keys = sql.SQL(", ").join(map(sql.Identifier, TABLES[table][0]))
    beyond = sql.SQL("") if after is None else sql.SQL("where ({}) > ({})").format(keys, _given(after))
    query = sql.SQL("select {} from {} {} order by {} limit {}").format(
        _columns(table), sql.Identifier(table), beyond, keys, sql.Literal(PAGE)
    )
    return await (await connection.execute(query, after)).fetchall()


async def _differences(
    connection: AsyncConnection[Any], replay: Replay, table: str, suspects: Sequence[Key]
) -> list[Difference]:
    names, row_type = TABLES[table]
    keys = sql.SQL(", ").join(map(sql.Identifier, names))
    query = sql.SQL("select {} from {} where ({}) = ({})")
    expected, differ = replay.table(table), list[Difference]()
    for key in suspects:
        one = query.format(_columns(table), sql.Identifier(table), keys, _given(key))
        row = await (await connection.execute(one, key)).fetchone()
        found = None if row is None else row_type(*row[len(names) :])
        wanted = expected.get(key)
        if wanted != found:
            differ.append(
                Difference(
                    table=table,
                    key=key,
                    expected=None if wanted is None else wanted._asdict(),
                    found=None if found is None else found._asdict(),
                )
            )
    return differ


def _given(key: Key) -> sql.Composed:
    return sql.SQL(", ").join(sql.Placeholder() * len(key))


async def _replace(connection: AsyncConnection[Any], replay: Replay, table: str) -> int:
    rows = replay.table(table)
    name = sql.Identifier(table)
    await connection.execute(sql.SQL("delete from {}").format(name))
    copying = sql.SQL("copy {} ({}) from stdin").format(name, _columns(table))
    async with connection.cursor() as cursor, cursor.copy(copying) as copy:
        for key, row in rows.items():
            await copy.write_row((*key, *row))
    return len(rows)


async def _living_keys(connection: AsyncConnection[Any], replay: Replay) -> list[Difference]:
    """Of people whom the log calls erased: somebody brought back an older state of the keys."""
    rows = await connection.execute(
        "select subject_id from subject_keys where subject_id = any(%s) and wrapped is not null",
        (list(replay.forgotten),),
    )
    destroyed, there = {"destroyed": True}, {"destroyed": False}
    return [
        Difference(table="subject_keys", key=(subject,), expected=destroyed, found=there)
        for (subject,) in await rows.fetchall()
    ]


async def _destroy_keys(connection: AsyncConnection[Any], replay: Replay) -> None:
    await connection.execute(
        "insert into subject_keys (subject_id, wrapped, destroyed_at)"
        " select subject, null, clock_timestamp() from unnest(%s::uuid[]) as subject on conflict (subject_id) do update"
        " set wrapped = null, destroyed_at = coalesce(subject_keys.destroyed_at, excluded.destroyed_at)",
        (list(replay.forgotten),),
    )


def _columns(table: str) -> sql.Composed:
    keys, row_type = TABLES[table]
    return sql.SQL(", ").join(map(sql.Identifier, (*keys, *row_type._fields)))


async def _end_sessions(connection: AsyncConnection[Any], wrapping: Wrapping) -> int:
    """Through `append`, as anybody's command: so the log says it, and a verify after it finds nothing."""
    cursor = await connection.execute(
        """select s.session_id,
                  (select max(e.originator_version) from stored_events e where e.originator_id = s.session_id)
           from sessions s where not s.ended and s.expires_at > clock_timestamp()
             and s.session_id <> s.user_id"""
    )
    live = await cursor.fetchall()
    codec, guards = EventCodec(), Guards(wrapping.blind)
    over = SessionClosed(reason="guards_rebuilt")
    items = iter(
        [by_system(codec, guards, stream_id, version, over, "guards-rebuild") for stream_id, version in live]
    )
    while batch := list(islice(items, AT_MOST)):
        await append(connection, batch)
    return len(live)
