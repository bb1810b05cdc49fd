"""Background tasks: ended for certain, and never missed when they die."""

import asyncio
from typing import Any

AGAIN_SECONDS = 0.1


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
