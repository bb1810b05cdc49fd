"""One who listens: what waits to be heard by him, bounded, and why he hears nothing more."""

import asyncio
from collections import deque
from contextlib import suppress
from uuid import UUID

from msgspec import Struct

from application.access import Caller

MOST_WAITING = 1 << 20
"""Bytes that wait for one listener; who takes them too slowly is left, and comes again with where he was."""
OVERHEAD = 200


class Heard(Struct, frozen=True, kw_only=True):
    """`position`: what is told stands there in the log; None: it stands in no log. `data`: JSON."""

    name: str
    data: bytes
    position: int | None = None
    dialog_id: UUID | None = None


class Ended(Exception):
    """The listener hears nothing more; `why` is `session`, `slow` or `broken`."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Listener:
    """What waits to be heard by one caller. `since`: what stands there or before is not told to him again."""

    def __init__(self, caller: Caller, since: int) -> None:
        self.caller, self.since = caller, since
        # bounded: by MOST_WAITING bytes, then the listener is left
        self._waiting: deque[Heard] = deque()
        self._size = 0
        self._news = asyncio.Event()
        self._why: str | None = None

    def hear(self, heard: Heard) -> None:
        if self._why is not None or (heard.position is not None and heard.position <= self.since):
            return
        self._size += len(heard.data) + OVERHEAD
        self._waiting.append(heard)
        self._news.set()
        if self._size > MOST_WAITING:
            self.end("slow")

    def end(self, why: str) -> None:
        self._why = self._why or why
        self._news.set()

    def require(self) -> None:
        """Raises Ended."""
        if self._why is not None:
            raise Ended(self._why)

    async def next(self, seconds: float) -> Heard | None:
        """The next thing; None after so long a silence. Raises Ended, with whatever still waits unheard."""
        if not self._waiting and self._why is None:
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._news.wait()
        self.require()
        if not self._waiting:
            return None
        heard = self._waiting.popleft()
        self._size -= len(heard.data) + OVERHEAD
        return heard
