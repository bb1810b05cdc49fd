"""Whether spans are collected: what that takes is imported when a collector is set, and not before."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from application import spans
from infrastructure.settings import Settings


@asynccontextmanager
async def collecting(settings: Settings, *, name: str) -> AsyncGenerator[None]:
    """Spans of this process go to the collector that is set, as those of `chancery <name>`; with none set, nowhere."""
    if not settings.traces_url:
        yield
        return
    from infrastructure.collector import Collector  # noqa: PLC0415 - whoever sets none does not pay for it

    collector = Collector(settings.traces_url, settings.traces_headers, name)
    before = spans.collect(collector.take, settings.traces_share)
    try:
        yield
    finally:
        spans.collect(*before)
        await asyncio.to_thread(collector.close)
