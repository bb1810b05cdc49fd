"""How all of Chancery is, as PostgreSQL and the stream tell it: each process that serves looks every two seconds.

So `/metrics` and `/readyz` are answered from memory, however often they are asked and however the database is.
"""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, Never

import msgspec
import nats.errors
import psycopg
import structlog
from msgspec import Struct
from nats.js.errors import NotFoundError
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from infrastructure.migrations.files import migrations
from infrastructure.nats import METADATA, STREAM, Nats
from infrastructure.postgres import (
    APPEND,
    KEYS,
    PROJECTOR,
    REACTOR,
    RELAY,
    SIGNER,
    SWEEPER,
    TILES,
)
from projections.projection import discover

LOOK_SECONDS = 2.0
STALE_SECONDS = 10.0
"""Age at which what was seen says nothing of now."""
ROLES = {
    "relay": RELAY,
    "signer": SIGNER,
    "keys": KEYS,
    "reactor": REACTOR,
    "sweeper": SWEEPER,
    "tile copy": TILES,
}
"""Those of `work` that are no read model's, with the first key of their lock."""

_log = structlog.get_logger("survey")


class Follower(Struct, frozen=True, kw_only=True):
    """Who follows the log, or whatever is behind it. `waited`: seconds since the first event that he has not."""

    position: int
    lag: int
    waited: float = 0.0
    failure: str | None = None
    parked: int = 0


class Work(Struct, frozen=True, kw_only=True):
    """Operations of one kind in one state. `oldest`: seconds since the first should have been at work, or began."""

    kind: str
    state: str
    count: int
    oldest: float = 0.0
    attempts: int = 0


class LastCheck(Struct, frozen=True, kw_only=True):
    """What the newest comparison of log, guards and read models found, and when."""

    at: datetime
    differing: int


class Survey(Struct, frozen=True, kw_only=True):
    """All of it at one moment. `relay`: None while the stream cannot be asked."""

    head: int
    newest_at: datetime | None
    epochs: int
    begun_at: datetime | None
    projections: Mapping[str, Follower]
    rebuilds: Mapping[str, Follower]
    reactor: Follower | None
    signer: Follower
    signed_at: datetime | None
    relay: Follower | None
    work: tuple[Work, ...]
    check: LastCheck | None
    held: frozenset[str]
    lock_waiting: int
    lock_waited: float
    missing: tuple[int, ...]
    alarms: Mapping[str, str]
    kept_outside: Mapping[str, datetime]
    strange_stream: str | None = None

    def of(self, state: str) -> tuple[Work, ...]:
        return tuple(each for each in self.work if each.state == state)


class Surveyor:
    """`last` is what was found at the last look; `looked_at` when that was, by the loop's clock."""

    def __init__(self, pool: AsyncConnectionPool[Any], nats: Nats) -> None:
        self._pool, self._nats = pool, nats
        self.last: Survey | None = None
        self.looked_at = -STALE_SECONDS
        self._complaint = ""

    @property
    def recent(self) -> Survey | None:
        """None when nobody knows how it is now."""
        age = asyncio.get_running_loop().time() - self.looked_at
        return self.last if age < STALE_SECONDS else None

    async def run(self) -> Never:
        """Looks for ever; while the database is away, the last look grows old."""
        while True:
            try:
                await self.look()
            except (
                psycopg.Error
            ) as error:  # the database is away, or being migrated: nobody's request may fail by it
                self._complain(error)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> Survey:
        stream = await stream_of(self._nats)
        async with self._pool.connection() as connection:
            found = await survey(connection, stream)
        self.last, self.looked_at = found, asyncio.get_running_loop().time()
        self._complaint = ""
        return found

    def _complain(self, error: psycopg.Error) -> None:
        if (said := type(error).__name__) != self._complaint:
            self._complaint = said
            _log.warning("survey.failed", error=said, sqlstate=error.sqlstate)


class Stream(Struct, frozen=True):
    """What NATS has of the log."""

    last: int
    epoch: str | None


async def stream_of(source: Nats) -> Stream | None:
    """None: it cannot be asked now."""
    if not source.connected:
        return None
    try:
        info = await source.stream.stream_info(STREAM)
    except NotFoundError:
        return Stream(last=0, epoch=None)
    except nats.errors.Error:
        return None
    last = max(
        info.state.last_seq, info.state.first_seq - 1
    )  # of an empty one the server names the first alone
    return Stream(last=last, epoch=(info.config.metadata or {}).get(METADATA))


async def survey(connection: AsyncConnection[Any], stream: Stream | None) -> Survey:
    """A few index probes; what waits to be done is counted."""

    async def rows(query: bytes, *parameters: Any) -> list[Any]:
        return await (await connection.execute(query, parameters)).fetchall()

    head, newest_at, epochs, epoch, begun_at = (await rows(_HEAD))[0]
    followers = {
        (place, name): Follower(
            position=position, lag=max(0, head - position), waited=waited, failure=failure, parked=parked
        )
        for place, name, position, waited, failure, parked in await rows(_FOLLOWERS)
    }
    signed, signed_at = (*await rows(_SIGNED), (0, None))[0]
    published = None if stream is None else min(stream.last, head)
    behind = dict(await rows(_WAITED, [signed, published or 0]))
    waiting, waited = (await rows(_LOCK_WAITS, APPEND))[0]
    roles = _roles()
    done = {number for (number,) in await rows(b"select number from migrations")}
    return Survey(
        head=head,
        newest_at=newest_at,
        epochs=epochs,
        begun_at=begun_at,
        projections=_at(followers, "read"),
        rebuilds=_at(followers, "read_next"),
        reactor=followers.get(("work", "reactor")),
        signer=Follower(position=signed, lag=max(0, head - signed), waited=behind.get(signed, 0.0)),
        signed_at=signed_at,
        relay=None
        if published is None
        else Follower(position=published, lag=head - published, waited=behind.get(published, 0.0)),
        work=tuple(
            Work(kind=kind, state=state, count=count, oldest=oldest, attempts=attempts)
            for kind, state, count, oldest, attempts in await rows(_WORK)
        ),
        check=await _last_check(rows) if ("read", "audit_log") in followers else None,
        held=frozenset(name for (name,) in await rows(_HELD, list(roles), list(roles.values()))),
        lock_waiting=waiting,
        lock_waited=waited,
        missing=tuple(sorted(_known() - done)),
        alarms=dict(await rows(b"select name, detail from alarms order by name")),
        kept_outside=dict(await rows(b"select what, at from kept_outside")),
        strange_stream=_strange(stream, head, epoch),
    )


@cache  # bounded: by the roles there are
def _roles() -> dict[str, int]:
    return {**dict.fromkeys(discover(), PROJECTOR), **ROLES}


@cache  # bounded: by the migrations there are
def _known() -> frozenset[int]:
    return frozenset(each.number for each in migrations())


def _at(followers: Mapping[tuple[str, str], Follower], place: str) -> dict[str, Follower]:
    return {name: found for (at, name), found in sorted(followers.items()) if at == place}


async def _last_check(rows: Any) -> LastCheck | None:
    for recorded_at, state in await rows(_CHECK):
        return LastCheck(at=recorded_at, differing=msgspec.json.decode(state).get("differing", 0))
    return None


def _strange(stream: Stream | None, head: int, epoch: object) -> str | None:
    """How the stream cannot be of this log: the store was set back, and nobody has begun a new epoch yet."""
    if stream is None:
        return None
    if stream.last > head:
        return f"the stream ends at {stream.last}, the log at {head}"
    if stream.epoch is not None and stream.epoch != str(epoch):
        return f"the stream is of epoch {stream.epoch}, the log of {epoch}"
    return None


def idle(survey: Survey, wanted: Iterable[str]) -> list[str]:
    """Which of these roles nobody has."""
    return sorted(set(wanted) - survey.held)


_HEAD = b"""select coalesce(e.notification_id, 0), e.recorded_at, (select count(*) from epochs), current_epoch(),
    (select recorded_at from stored_events where notification_id = 1)
  from (select) one left join lateral
    (select notification_id, recorded_at from stored_events order by notification_id desc limit 1) e on true"""
_FOLLOWERS = b"""select p.place, p.name, p.position,
    coalesce(extract(epoch from clock_timestamp() - e.recorded_at), 0)::float8, p.failure,
    (select count(*) from parked_streams s where (s.projection, s.place) = (p.name, p.place))
  from projections p left join stored_events e on e.notification_id = p.position + 1"""
_SIGNED = b"""select size, signed_at from audit.checkpoints where epoch = current_epoch() and note is not null
  order by size desc limit 1"""
_WAITED = b"""select notification_id - 1, greatest(0, extract(epoch from clock_timestamp() - recorded_at))::float8
  from stored_events where notification_id in (select unnest(%s::bigint[]) + 1)"""
_WORK = b"""select kind, state, count(*), greatest(0, extract(epoch from clock_timestamp() - min(run_at)))::float8,
    max(attempt) from operations where state in ('queued', 'running') group by kind, state
  union all
  select kind, 'failed', count(*), 0, max(attempt) from operations
    where state = 'failed' and ended_at > clock_timestamp() - interval '1 day' group by kind
  order by 1, 2"""
_CHECK = b"""select e.recorded_at, s.state from read.audit_entry e
  join stored_events s on s.notification_id = e.position
  where e.topic = 'check.completed.v1' order by e.position desc limit 1"""
_HELD = b"""select name from unnest(%s::text[], %s::int[]) as role(name, key) where exists (
  select from pg_locks l where l.locktype = 'advisory' and l.granted and l.classid::int8 = role.key
    and l.objid::int8 = (hashtext(role.name)::int8 & 4294967295)
    and l.database = (select oid from pg_database where datname = current_database()))"""
_LOCK_WAITS = b"""select count(*), coalesce(extract(epoch from max(clock_timestamp() - waitstart)), 0)::float8
  from pg_locks where locktype = 'advisory' and not granted and classid = 0 and objid::int8 = %s
    and database = (select oid from pg_database where datname = current_database())"""
