"""The eventsourcing package as its documentation sets it up: the recorder's safe default, its table lock included."""

import contextlib
import queue
import threading
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

from bench.figures import Sample, sample

TABLE = "organisations_events"
Recorder = PostgresApplicationRecorder


def address(url: str) -> tuple[str, str, str, str]:
    """Database, folder of the socket, user and password, which the library takes apart."""
    parts = urlsplit(url)
    return (
        parts.path.lstrip("/"),
        parse_qs(parts.query)["host"][0],
        parts.username or "",
        parts.password or "",
    )


@contextlib.contextmanager
def recorder(url: str, threads: int) -> Generator[Recorder]:
    """With a connection for each thread; POSTGRES_ENABLE_DB_FUNCTIONS stays off: with it events get lost."""
    dbname, host, user, password = address(url)
    datastore = PostgresDatastore(dbname, host, 5432, user, password, pool_size=threads)
    with datastore:
        made = PostgresApplicationRecorder(datastore, events_table_name=TABLE)
        made.create_table()
        yield made


def closed_loop(
    target: Recorder, callers: int, threads: int, seconds: float, events: Iterator[StoredEvent]
) -> Sample:
    """So many callers served by so many threads; the wait for a thread counts, handing over is next to free."""
    waiting: queue.SimpleQueue[float] = queue.SimpleQueue()
    latencies: list[float] = []
    lock = threading.Lock()  # a generator serves one thread at a time
    began = time.perf_counter()
    end = began + seconds
    for _ in range(callers):
        waiting.put(began)

    def work() -> None:
        while True:
            asked = waiting.get()
            if time.perf_counter() >= end:
                return
            with lock:
                event = next(events)
            target.insert_events([event])
            answered = time.perf_counter()
            latencies.append(answered - asked)
            waiting.put(answered)

    active = min(callers, threads)
    with ThreadPoolExecutor(active) as pool:
        for each in [pool.submit(work) for _ in range(active)]:
            each.result()
    return sample(time.perf_counter() - began, latencies)
