"""`python -m bench backup [--events N] [--megabytes M]`: a backup made, verified, and brought back into nothing.

So many events, and contents of 512 KiB that make so many megabytes. A gigabyte is one of what the office holds: its log
with indexes, as the database has them, and its contents. Bringing back is told in two: database and contents, and all
read models, built of the log before anybody is served.
"""

import argparse
import os
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import structlog
import uvloop
from msgspec import structs

from bench import synthetic
from bench.figures import Figure, Sample, figure, show
from bench.machine import Load, Machine, machine
from infrastructure.audit.report import Verdict
from infrastructure.backup.create import create
from infrastructure.backup.restore import restore
from infrastructure.backup.verify import verify
from infrastructure.bucket import client, make
from infrastructure.event_codec import EventCodec
from infrastructure.event_log import EventLog
from infrastructure.migrations import apply
from infrastructure.personal_data import Vault, wrapping_of
from infrastructure.postgres import open_pool
from infrastructure.settings import Settings
from projections.leaf import stored_of
from projections.projection import discover
from workers.rebuild import rebuild

PART = "backup"
EVENTS, MEGABYTES = 100_000, 256
CONTENT = 512 << 10
COPIED = (
    "copy stored_events (originator_id, originator_version, topic, state, notification_id, event_id, recorded_at,"
    " metadata) from stdin"
)


def main(words: list[str]) -> int:
    asked = argparse.ArgumentParser(prog="python -m bench backup")
    asked.add_argument("--events", type=int, default=EVENTS)
    asked.add_argument("--megabytes", type=int, default=MEGABYTES)
    given = asked.parse_args(words)
    with Load() as load, machine() as servers:
        figures = run(servers, given.events, given.megabytes)
        described = servers.describe()
    show(
        figures,
        described,
        f"other processes took {load.others:.2f} cores meanwhile: compare ratios, not rates",
    )
    return 0


def run(servers: Machine, events: int = EVENTS, megabytes: int = MEGABYTES) -> list[Figure]:
    """Once each: some minutes for 100,000 events on two cores, nearly all for read models."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    settings = servers.settings
    apply(settings)
    size = _filled(settings, events, megabytes)
    target = servers.database("restored", migrated=False)
    empty = structs.replace(
        settings, database_url=target.app, database_owner_url=target.owner, s3_bucket="restored"
    )
    with TemporaryDirectory(prefix="chancery-backup-", dir="/var/tmp") as place:
        folder, keys = Path(place) / "backup", Path(place) / "keys"
        found = [_timed("create", size, lambda: create(settings, folder, keys))]
        dumped = sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
        found.append(_timed("verify, without a server", size, lambda: _sound(folder, keys)))
        found.append(
            _timed("restore of database and contents", size, lambda: restore(empty, folder, keys, moved=True))
        )
        found.append(_timed("restore of the read models", size, lambda: uvloop.run(_built(empty))))
    told = f"{events:,} events, {megabytes} MB of contents: {size / 1e6:,.0f} MB, backed up as {dumped / 1e6:,.0f} MB"
    return [each._replace(what=f"{each.what} ({told})" if each is found[0] else each.what) for each in found]


def _timed(what: str, size: int, work: Callable[[], object]) -> Figure:
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    per_gb = seconds / (size / 1e9)
    return figure(
        PART,
        f"{what}, MB",
        [Sample(int(size / 1e6), seconds)],
        note=f"{seconds:.1f} s, {per_gb:.0f} s per GB",
    )


def _filled(settings: Settings, events: int, megabytes: int) -> int:
    """Bytes that the office holds then."""
    with psycopg.connect(settings.database_owner_url, autocommit=True) as owner:
        with owner.cursor() as cursor, cursor.copy(COPIED) as copy:
            for each in map(stored_of, synthetic.leaves(events)):
                copy.write_row(
                    (
                        each.stream_id,
                        each.version,
                        each.topic,
                        each.state,
                        each.position,
                        each.event_id,
                        each.recorded_at,
                        each.meta,
                    )
                )
        owner.execute("vacuum analyze stored_events")
        row = owner.execute("select pg_total_relation_size('stored_events')").fetchone()
    make(settings)
    store = client(settings)
    for number in range(megabytes * 1_000_000 // CONTENT):
        store.put_object(settings.s3_bucket, f"{number:08}", BytesIO(os.urandom(CONTENT)), CONTENT)
    return int(row[0] if row else 0) + megabytes * 1_000_000 // CONTENT * CONTENT


def _sound(folder: Path, keys: Path) -> None:
    assert verify(folder, keys).verdict is Verdict.OK


async def _built(settings: Settings) -> None:
    pool = await open_pool(settings.database_url, size=2, name="bench")
    async with pool:
        log = EventLog(pool, EventCodec(), Vault(pool, wrapping_of(settings)))
        for projection in discover().values():
            await rebuild(settings.database_url, log, projection)
