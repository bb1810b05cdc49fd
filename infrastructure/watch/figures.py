"""What one process counts of itself. What stands in PostgreSQL is told once, from there: see `survey`."""

import asyncio
import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Never

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from psycopg_pool import AsyncConnectionPool

from infrastructure.watch.shared import FOLDER

disable_created_metrics()  # type: ignore[no-untyped-call]  # when a figure began doubles the figures

LOOK_SECONDS = 2.0
QUICK = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
SLOW = (0.01, 0.05, 0.25, 1, 5, 15, 60, 300, 1800)

APPEND = Histogram("chancery_append_seconds", "Time of one append: many commands, one commit", buckets=QUICK)
LOCK_WAIT = Histogram(
    "chancery_append_lock_wait_seconds",
    "Time an append waited in PostgreSQL for the log's lock, its arguments read, too",
    buckets=QUICK,
)
BATCH = Histogram(
    "chancery_append_batch_commands",
    "Commands in one append",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
)
QUEUE = Gauge(
    "chancery_append_waiting_commands",
    "Commands that wait while an append runs",
    multiprocess_mode="livesum",
)
VERDICTS = Counter("chancery_append_verdicts", "Commands by what append said of them", ("verdict",))
LOST = Counter("chancery_append_lost", "Appends whose connection was lost: the outcome was asked for again")
FULL = Counter("chancery_append_full", "Commands refused because too many waited")

POOL_SIZE = Gauge(
    "chancery_pool_connections",
    "Connections of a pool, by whether they are lent",
    ("pool", "state"),
    multiprocess_mode="livesum",
)
POOL_WAITING = Gauge(
    "chancery_pool_waiting",
    "Callers that wait for a connection now",
    ("pool",),
    multiprocess_mode="livesum",
)
POOL_WAITS = Counter("chancery_pool_waits", "Callers that had to wait for a connection", ("pool",))
POOL_WAITED = Counter("chancery_pool_waited_seconds", "Time callers waited for a connection", ("pool",))
POOL_ERRORS = Counter("chancery_pool_errors", "Callers that got none", ("pool",))

THREADS = Gauge(
    "chancery_threads_calls",
    "Calls that run or wait for a thread, by kind of work",
    ("kind",),
    multiprocess_mode="livesum",
)
THREADS_ROOM = Gauge(
    "chancery_threads_room",
    "Calls that may run and wait; one more is refused",
    ("kind",),
    multiprocess_mode="livesum",
)
THREAD_SECONDS = Histogram(
    "chancery_threads_seconds",
    "Time from a call's arrival to its end, by kind of work",
    ("kind",),
    buckets=SLOW[:7],
)
THREADS_BUSY = Counter("chancery_threads_refusals", "Calls refused because too many waited", ("kind",))

STREAMS = Gauge(
    "chancery_streams_open", "Event streams and sockets that are open", multiprocess_mode="livesum"
)
POSITION_WAIT = Histogram(
    "chancery_min_position_wait_seconds", "Time a read waited for X-Min-Position", buckets=QUICK
)
POSITION_BEHIND = Counter(
    "chancery_min_position_behind", "Reads refused because the read model did not get there", ("projection",)
)

ROLE = Gauge("chancery_role_held", "Whether this process has the role", ("role",))
FED = Counter(
    "chancery_feed_events",
    "Events read by followers of the log, by way: from the stream (NATS) or the store",
    ("way",),
)
STUCK = Counter("chancery_feed_stuck", "Times a consumer of the stream brought nothing and was made anew")
PUBLISHED = Counter("chancery_relay_published", "Events the relay has published")
DISTURBED = Counter("chancery_relay_disturbed", "Times the relay began again after an error")
JOB = Histogram(
    "chancery_job_seconds", "Time of one attempt at a job, by how it ended", ("kind", "outcome"), buckets=SLOW
)

SINK_WAITING = Gauge(
    "chancery_log_sink_waiting_lines", "Lines that wait for the log sink", multiprocess_mode="livesum"
)
SINK_SENT = Counter("chancery_log_sink_sent_lines", "Lines the log sink has taken")
SINK_LOST = Counter("chancery_log_sink_lost_lines", "Lines the log sink never got, by why", ("why",))


@contextmanager
def held(role: str) -> Generator[None]:
    """While this process has the role."""
    ROLE.labels(role).set(1)
    try:
        yield
    finally:
        ROLE.labels(role).set(0)


async def watch_pool(name: str, pool: AsyncConnectionPool[Any]) -> Never:
    """Tells of the pool for ever."""
    lent, idle = POOL_SIZE.labels(name, "lent"), POOL_SIZE.labels(name, "idle")
    waiting, waits = POOL_WAITING.labels(name), POOL_WAITS.labels(name)
    waited, errors = POOL_WAITED.labels(name), POOL_ERRORS.labels(name)
    while True:
        found = pool.pop_stats()
        idle.set(found.get("pool_available", 0))
        lent.set(found.get("pool_size", 0) - found.get("pool_available", 0))
        waiting.set(found.get("requests_waiting", 0))
        waits.inc(found.get("requests_queued", 0))
        waited.inc(found.get("requests_wait_ms", 0) / 1000)
        errors.inc(found.get("requests_errors", 0))
        await asyncio.sleep(LOOK_SECONDS)


class _Told:
    """Families of figures that were made already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def exposition(more: Iterable[Metric] = ()) -> tuple[bytes, str]:
    """All figures and their media type: of every process that serves, where they share a folder; and `more`."""
    text = generate_latest(_shared() if FOLDER in os.environ else REGISTRY)
    beside = CollectorRegistry()
    beside.register(_Told(list(more)))
    return text + generate_latest(beside), CONTENT_TYPE_LATEST


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is somebody else's by now, and stays so: its figures are few
    return True


def _shared() -> CollectorRegistry:
    """A process that died takes what it said of its present with it; what it counted stays."""
    for file in Path(os.environ[FOLDER]).glob("gauge_live*.db"):
        pid = int(file.stem.rpartition("_")[2])
        if not alive(pid):
            with suppress(FileNotFoundError):  # another process was quicker
                mark_process_dead(pid)  # type: ignore[no-untyped-call]  # the library has no types there
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry
