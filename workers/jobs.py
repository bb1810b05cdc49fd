"""Jobs: dramatiq workers for operations, which touch the outside. The broker carries ids; truth is in PostgreSQL."""

import asyncio
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from time import perf_counter
from typing import Any
from uuid import UUID

import dramatiq
import redis
import structlog
from dramatiq.asyncio import get_event_loop_thread
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO, Middleware, ShutdownNotifications, TimeLimit

from application import spans
from application.spans import Place
from infrastructure.bootstrap import System, running
from infrastructure.logging import caused_by
from infrastructure.object_parts import StoreUnavailable
from infrastructure.operations import (
    MOST_ATTEMPTS,
    MOST_IN_OUTAGES,
    TRACEPARENT,
    Hopeless,
    Operations,
    Taken,
)
from infrastructure.postgres import LOST, Unavailable
from infrastructure.settings import Settings
from infrastructure.watch import figures
from workers import operations as work
from workers.failure import told

THREADS = 8
QUEUE, ACTOR = "default", "perform"
_NOTICE = 15_000
"""Milliseconds a running job has to end once we are asked to stop."""

AWAY = (*LOST, Unavailable, StoreUnavailable)
"""What a job raises when PostgreSQL or S3 does not answer."""

Offer = Callable[[UUID], None]
log = structlog.get_logger()


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


def offering(settings: Settings) -> Offer:
    """Puts an operation's id into the broker; blocks, so call it in a thread. Raises redis.RedisError."""
    jobs = broker(settings)

    def offer(operation_id: UUID) -> None:
        message: dramatiq.Message[None] = dramatiq.Message(
            queue_name=QUEUE, actor_name=ACTOR, args=(str(operation_id),), kwargs={}, options={}
        )
        jobs.enqueue(message)

    jobs.declare_queue(QUEUE)
    return offer


class Office(Middleware):
    """One System for the whole process, made in dramatiq's own event loop at boot and ended with it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: AbstractAsyncContextManager[System] | None = None
        self.system: System | None = None

    def before_worker_boot(self, broker: Any, worker: Any) -> None:  # noqa: ARG002
        thread = get_event_loop_thread()
        assert thread is not None
        self._open = running(self._settings, name="jobs")
        self.system = thread.run_coroutine(self._open.__aenter__())

    def after_worker_shutdown(self, broker: Any, worker: Any) -> None:  # noqa: ARG002
        thread = get_event_loop_thread()
        if self._open is not None and thread is not None:
            thread.run_coroutine(self._open.__aexit__(None, None, None))


async def perform(system: System, operations: Operations, operation_id: UUID) -> None:
    """One attempt: under a lease that is renewed while it works, closed only if it still holds it."""
    taken = await operations.take(operation_id)
    if taken is None:
        return
    since, outcome = perf_counter(), "left"
    with caused_by(taken.request_id):
        try:
            outcome = await _attempted(system, operations, taken)
        finally:
            figures.JOB.labels(taken.kind, outcome).observe(perf_counter() - since)


async def _attempted(system: System, operations: Operations, taken: Taken) -> str:
    """How it ended."""
    said = log.bind(operation=str(taken.id), kind=taken.kind, attempt=taken.attempt)
    try:
        with attempted(taken):
            await _leased(system, operations, taken)
    except asyncio.CancelledError:
        await operations.left(taken)
        raise
    except Exception as error:  # noqa: BLE001 - whatever a job raises is written down and tried again
        if await operations.failed(taken, told(error), most=_most(taken.kind, error)):
            said.error("operation.given_up", exc_info=error)
            return "given up"
        said.warning("operation.failed", exc_info=error)
        return "failed"
    if await operations.done(taken):
        return "done"
    said.warning("operation.overtaken")
    return "overtaken"


def _most(kind: str, error: Exception) -> int:
    """An outage is not the job's fault: what was asked for is not given up because a server was away for minutes."""
    if isinstance(error, Hopeless):
        return 0
    most = work.ATTEMPTS.get(kind, MOST_ATTEMPTS)
    return max(most, MOST_IN_OUTAGES) if isinstance(error, AWAY) else most


@contextmanager
def attempted(taken: Taken) -> Generator[None]:
    """This attempt as a span under what asked for it, or as a trace of its own. Its failure is one to look at."""
    asked = spans.place_of(taken.about.pop(TRACEPARENT, None)) or Place(spans.trace_of(str(taken.id)), 0)
    with spans.whole(f"job {taken.kind}", asked.trace_id, asked.span_id, "consumer") as span:
        if span is None:
            yield
            return
        span.attributes["chancery.attempt"] = taken.attempt
        try:
            yield
        except Exception:
            span.failed = True
            raise


async def _leased(system: System, operations: Operations, taken: Taken) -> None:
    doing = asyncio.create_task(work.named(taken.kind)(system, taken))
    try:
        while not doing.done():
            await asyncio.wait([doing], timeout=operations.lease.total_seconds() / 3)
            if not doing.done() and not await operations.renew(taken):
                raise RuntimeError("the lease is lost: another attempt has taken over")
        doing.result()
    finally:
        doing.cancel()
        with suppress(asyncio.CancelledError):
            await doing


def run(settings: Settings) -> None:
    """Work off jobs until SIGINT or SIGTERM. Runs in the main thread of a process of its own."""
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    jobs, office = broker(settings), Office(settings)
    jobs.add_middleware(office)
    dramatiq.set_broker(jobs)

    @dramatiq.actor(actor_name=ACTOR, queue_name=QUEUE, broker=jobs, time_limit=3_600_000)
    async def _perform(operation_id: str) -> None:
        assert office.system is not None
        await perform(office.system, Operations(office.system.pool), UUID(operation_id))

    worker = dramatiq.Worker(jobs, worker_threads=THREADS)
    worker.queue_prefetch = THREADS  # twice that by default: jobs hoarded here while a neighbour idles
    jobs.emit_after("process_boot")  # else TimeLimit and ShutdownNotifications do nothing
    worker.start()
    assert office.system is not None, "its lines are above"
    stopping.wait()
    worker.stop(timeout=_NOTICE)
    jobs.close()
    if office.system.failed:
        raise SystemExit(1)
