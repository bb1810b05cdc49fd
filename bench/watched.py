"""What the processes of a whole Chancery hold, seen from outside: memory, files, connections, and how far it is."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
from msgspec import Struct

MB = 1 << 20


class Held(Struct, frozen=True, kw_only=True):
    """Of one part, with all processes that stem from it. `own`: memory that nothing else maps, in MB; `rss` in MB."""

    own: float
    rss: float
    files: int
    processes: int


class Far(Struct, frozen=True, kw_only=True):
    """`lag`: events that the read model which is farthest behind has yet to take in, and `seconds` since the first of
    them was stored. `connections`: back-ends of PostgreSQL, `busy` those inside a statement or a transaction."""

    head: int
    lag: int
    seconds: float
    connections: int
    busy: int


def held(pids: Mapping[str, int]) -> dict[str, Held]:
    """By part. A process that ended meanwhile counts nothing."""
    children = _children()
    return {name: _held(list(_family(pid, children))) for name, pid in pids.items()}


def far(connection: psycopg.Connection[tuple[int, int, float, int, int]]) -> Far:
    row = connection.execute(FAR).fetchone()
    assert row is not None
    return Far(head=row[0], lag=row[1], seconds=row[2], connections=row[3], busy=row[4])


FAR = b"""
with log as (select coalesce(max(notification_id), 0) as head from stored_events),
  slowest as (select coalesce(min(position), 0) as position from projections where place = 'read')
select head, head - position,
  coalesce((select greatest(0, extract(epoch from clock_timestamp() - e.recorded_at)) from stored_events e
    where e.notification_id = position + 1), 0)::float8,
  (select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid())::int,
  (select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()
     and state <> 'idle')::int
from log, slowest"""


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            found.setdefault(parent, []).append(int(entry.name))
    return found


def _family(pid: int, children: Mapping[int, list[int]]) -> Iterator[int]:
    yield pid
    for child in children.get(pid, ()):
        yield from _family(child, children)


def _held(pids: list[int]) -> Held:
    own = rss = 0
    files = alive = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            rollup = dict(
                line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
            )
            own += int(rollup["Pss_Anon"].split()[0]) << 10
            rss += int(rollup["Rss"].split()[0]) << 10
            files += sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
            alive += 1
    return Held(own=own / MB, rss=rss / MB, files=files, processes=alive)
