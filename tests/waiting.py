"""Waits for what another task or process brings about."""

import asyncio
import inspect
from collections.abc import Callable

PAUSE = 0.01


async def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Until the condition, or what it awaits to, is true. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not await met(condition):  # noqa: ASYNC110 - another process makes it true
            await asyncio.sleep(PAUSE)


async def met(condition: Callable[[], object]) -> bool:
    found = condition()
    return bool(await found if inspect.isawaitable(found) else found)
