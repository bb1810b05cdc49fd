"""Background tasks: ended for certain, and never missed when they die."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

AGAIN_SECONDS = 0.1

_log = structlog.get_logger("tasks")


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel the tasks until they are over; what they raise is not looked at.

    Once is not enough: before Python 3.12 `asyncio.wait_for`, which psycopg_pool and nats-py stand on, swallows a
    cancellation that meets its result.
    """
    while left := [task for task in tasks if not task.done()]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=AGAIN_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)


def watched(name: str, run: Callable[[], Awaitable[Any]], failed: list[str]) -> asyncio.Task[Any]:
    """A background task whose death turns readiness red and ends the process."""

    async def body() -> None:
        await run()

    def ended(task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            return
        failed.append(name)
        _log.critical("a background task died", task=name, exc_info=task.exception())
        os.kill(os.getpid(), signal.SIGTERM)

    task = asyncio.create_task(body(), name=name)
    task.add_done_callback(ended)
    return task
