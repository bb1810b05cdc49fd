"""NATS as somebody who must know within seconds whether it lets him in."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from infrastructure.nats import Nats

ANSWER_SECONDS = 10.0


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[Nats]:
    """Raises TimeoutError, with what the client met last."""
    async with Nats(url, "chancery doctor") as source:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                while not source.connected:  # noqa: ASYNC110 - the client connects by itself
                    await asyncio.sleep(0.02)
        except TimeoutError:
            met = source.client.last_error
            raise TimeoutError(f"lets nobody in: {met!r}" if met else "does not answer") from None
        yield source
