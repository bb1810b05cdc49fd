"""Jobs: dramatiq actors for work that touches the outside. The broker carries ids; truth is in PostgreSQL."""

import signal
import threading

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO, ShutdownNotifications, TimeLimit

from infrastructure.logging import configure
from infrastructure.settings import Settings

THREADS = 8
_NOTICE = 15_000
"""Milliseconds a running job has to end once we are asked to stop."""


def broker(settings: Settings) -> RedisBroker:
    """Without Retries: attempts are counted in PostgreSQL, since dramatiq's counter forgets a killed worker.

    A frozen Redis must not hold its caller, hence the timeouts. With these figures for heartbeat and maintenance
    the jobs of a killed worker come back within a minute or so; with the defaults they may not come at all.
    """
    pool = redis.ConnectionPool.from_url(settings.redis_url, socket_timeout=5, socket_connect_timeout=2)
    middleware = [AsyncIO(), TimeLimit(), ShutdownNotifications(notify_shutdown=True)]
    return RedisBroker(  # type: ignore[no-untyped-call]
        connection_pool=pool, middleware=middleware, maintenance_chance=100_000, heartbeat_timeout=30_000
    )


def run(settings: Settings) -> None:
    """Work off jobs until SIGINT or SIGTERM. Runs in the main thread of a process of its own."""
    configure(settings.log_format)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    jobs = broker(settings)
    dramatiq.set_broker(jobs)
    worker = dramatiq.Worker(jobs, worker_threads=THREADS)
    worker.queue_prefetch = THREADS  # twice that by default: jobs hoarded here while a neighbour idles
    jobs.emit_after("process_boot")  # else TimeLimit and ShutdownNotifications do nothing
    worker.start()
    stopping.wait()
    worker.stop(timeout=_NOTICE)
    jobs.close()
