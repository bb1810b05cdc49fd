"""The end of the stream, message by message in order, fetched ahead of whoever follows it."""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Never

import nats.errors
import structlog
from msgspec import json
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from domain.shared import Stored
from infrastructure.nats import STREAM, Nats
from projections.leaf import stored_of

AHEAD = 500
"""Messages asked for at once, and kept waiting at most twice over."""

EXPIRES = 5.0
AGAIN_SECONDS = 0.5
log = structlog.get_logger()


class Broken(Exception):
    """The consumer has said, or shown, that it will not go on."""


class Tail:
    """An ordered consumer made of pull requests: no acknowledgement, no state worth keeping, a new one after any error.

    The client's own ordered consumer is pushed to, and slows the server down only by losing messages; its `fetch` loses
    messages when it is cancelled. A request for so many messages has neither fault.
    """

    def __init__(self, nats: Nats) -> None:
        self.live = False
        self._nats = nats
        self._wanted = 0
        # bounded: by twice AHEAD: no more is asked for
        self._waiting: deque[Stored] = deque()
        self._more, self._room, self._settled = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._due = 0
        self._broken = ""

    def take(self, after: int, limit: int) -> list[Stored]:
        """The messages that have come and follow `after` without a hole; older ones are dropped."""
        self._wanted = after
        waiting, run = self._waiting, list[Stored]()
        while waiting and waiting[0].position <= after:
            waiting.popleft()
        while waiting and len(run) < limit and waiting[0].position == after + 1 + len(run):
            run.append(waiting.popleft())
        if len(waiting) < AHEAD:
            self._room.set()
        return run

    @property
    def ahead(self) -> bool:
        """Something waits that `take` did not give: there is a hole before it."""
        return bool(self._waiting)

    async def more(self, seconds: float) -> bool:
        """Wait for the next message, at most so long."""
        self._more.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._more.wait()
        return bool(self._waiting)

    def drop(self, why: str) -> None:
        """Begin anew with another consumer."""
        self._broken = why
        self._settled.set()
        self._room.set()

    async def run(self) -> Never:
        while True:
            if self._nats.connected:
                try:
                    await self._follow(self._wanted)
                except (nats.errors.Error, Broken) as error:
                    log.debug("tail.broken", error=repr(error))
            self.live = False
            self._waiting.clear()
            self._more.set()
            await asyncio.sleep(AGAIN_SECONDS)

    async def _follow(self, after: int) -> None:
        generation, self._broken = self._nats.generation, ""
        stream = self._nats.stream
        if (await stream.stream_info(STREAM)).state.first_seq > after + 1:
            return  # the store has what the stream no longer has
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=after + 1,
            ack_policy=AckPolicy.NONE,
            inactive_threshold=3 * EXPIRES,
            mem_storage=True,
            num_replicas=1,
        )
        consumer = await stream.add_consumer(STREAM, config)
        inbox = self._nats.client.new_inbox()
        subscription = await self._nats.client.subscribe(inbox, cb=self._received)
        try:
            self.live = True
            while self._nats.generation == generation:
                await self._request(consumer.name, inbox)
        finally:
            with suppress(nats.errors.Error):  # a connection that is gone has no subscription
                await subscription.unsubscribe()

    async def _request(self, consumer: str, inbox: str) -> None:
        """Ask for the next messages and wait until all have come or the server says that there are no more now."""
        self._due = AHEAD
        self._settled.clear()
        ask = json.encode({"batch": AHEAD, "expires": int(EXPIRES * 1e9)})
        await self._nats.client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{consumer}", ask, reply=inbox)
        try:
            async with asyncio.timeout(EXPIRES + 2):
                await self._settled.wait()
        except TimeoutError:
            raise Broken("no answer") from None
        while len(self._waiting) >= AHEAD and not self._broken:
            self._room.clear()
            await self._room.wait()
        if self._broken:
            raise Broken(self._broken)

    async def _received(self, message: Msg) -> None:
        if not message.reply:
            self._status(message)
            return
        stored = stored_of(message.data)
        if message.metadata.sequence.stream != stored.position:
            self.drop(f"sequence {message.metadata.sequence.stream} holds event {stored.position}")
            return
        self._waiting.append(stored)
        self._more.set()
        self._due -= 1
        if self._due == 0:
            self._settled.set()

    def _status(self, message: Msg) -> None:
        """404 and 408 end a request that found too few messages; anything else ends the consumer."""
        status = (message.headers or {}).get("Status", "")
        if status in ("404", "408"):
            self._settled.set()
        elif status != "100":
            self.drop(f"status {status} {(message.headers or {}).get('Description', '')}")
