"""Threads of one kind of blocking work: a few run, a few wait, and whoever comes on top of that is told at once."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from threading import Lock
from time import perf_counter
from typing import Any, ParamSpec, TypeVar

from application.spans import part
from infrastructure.watch import figures

P = ParamSpec("P")
R = TypeVar("R")


class Busy(Exception):
    """All threads of this kind work and enough calls wait. Come again in `retry_after` seconds."""

    def __init__(self, kind: str, retry_after: int = 1) -> None:
        super().__init__(f"too many calls wait for {kind}")
        self.retry_after = retry_after


class Bounded:
    """A pool of its own: the event loop's default one has no bound, and shares its few threads with DNS look-ups."""

    def __init__(self, kind: str, *, threads: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=kind)
        self._kind, self._room = kind, threads + waiting
        self._inside, self._lock = 0, Lock()
        self._calls, self._seconds = figures.THREADS.labels(kind), figures.THREAD_SECONDS.labels(kind)
        figures.THREADS_ROOM.labels(kind).set(self._room)

    async def __call__(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs it in a thread. Raises Busy. A cancelled call leaves the queue; one that runs keeps its place."""
        with self._lock:
            if self._inside >= self._room:
                figures.THREADS_BUSY.labels(self._kind).inc()
                raise Busy(self._kind)
            self._inside += 1
        self._calls.inc()
        since = perf_counter()
        try:
            future = self._pool.submit(copy_context().run, partial(function, *args, **kwargs))
        except RuntimeError:  # closed
            self._left()
            raise
        future.add_done_callback(self._left)  # when the thread is done, not its caller
        future.add_done_callback(lambda _: self._seconds.observe(perf_counter() - since))
        with part(f"call {self._kind}", "client"):
            return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Lets go of what waits; what runs comes to its end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _left(self, _: Future[Any] | None = None) -> None:
        with self._lock:
            self._inside -= 1
        self._calls.dec()
