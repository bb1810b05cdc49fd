"""Publishes the log to NATS: the stream's sequence is the event's position, and the server refuses any other order."""

import asyncio
import time
from collections.abc import Sequence

import msgspec
import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.js.api import StorageType, StreamConfig

from domain.shared import Stored
from infrastructure import fact_spans
from infrastructure.event_log import EventLog
from infrastructure.nats import METADATA, STREAM, Nats
from infrastructure.positions import POLL, Positions
from infrastructure.postgres import RELAY
from infrastructure.role import Connection, hold
from infrastructure.watch import figures
from projections.leaf import leaf
from workers import epoch
from workers.epoch import EpochMismatch

BATCH = 500
ACK_SECONDS = 2.0
LOOK_SECONDS = 5.0
"""How often an idle relay looks whether the stream is still what it was."""

REFILL = 100_000
"""Events put back into an empty stream. Projections read older ones from the store: the stream need not have them."""

KEPT = 1_000_000
"""Messages the stream keeps at most."""

log = structlog.get_logger()


class Unacknowledged(Exception):
    """The server refused a batch, or has not said in time that it has it. It may have it all the same."""


class _Ack(msgspec.Struct, frozen=True):
    seq: int = 0
    error: dict[str, object] | None = None


class Relay:
    """The one publisher. It keeps no state: what was published is what the stream's last sequence says."""

    def __init__(self, log: EventLog, positions: Positions, nats: Nats) -> None:
        self._log, self._positions, self._nats = log, positions, nats
        self._ack: asyncio.Future[Msg] | None = None

    async def run(self, url: str) -> None:
        """Hold the role, or stand by for it, for ever. Raises EpochMismatch."""
        await hold(url, "relay", RELAY, self._work)

    async def _work(self, connection: Connection) -> None:
        while True:
            if not self._nats.connected:
                await connection.execute("select")  # the role is only ours while its connection answers
                await asyncio.sleep(POLL)
                continue
            try:
                await self._publish_from(connection, await self._agree(connection))
            except (nats.errors.Error, Unacknowledged) as error:
                figures.DISTURBED.inc()
                log.warning("relay.disturbed", error=str(error) or repr(error))
                await asyncio.sleep(POLL)

    async def _agree(self, connection: Connection) -> int:
        """The stream's last position, once it is sure that stream and store tell one history. Raises EpochMismatch."""
        found = await epoch.stream_seen(self._nats)
        if found is not None and await epoch.ended(connection, found.epoch):
            await self._nats.stream.delete_stream(STREAM)  # an operator has begun another epoch
            log.info("relay.stream_ended", epoch=found.epoch, last=found.size)
            found = None
        if found is None:
            return await self._create(connection)
        if reason := await epoch.contradiction(connection, found):
            raise EpochMismatch(f"{reason}: look with `chancery epoch status`")
        return found.size

    async def _create(self, connection: Connection) -> int:
        after = max(0, await self._log.head() - REFILL)
        ours = await epoch.current(connection)  # and still the relay
        await self._nats.stream.add_stream(
            StreamConfig(
                name=STREAM,
                subjects=["events.>"],
                storage=StorageType.FILE,
                first_seq=after + 1,
                max_msgs=KEPT,
                metadata={METADATA: str(ours)},
            )
        )
        log.info("relay.stream_created", first=after + 1)
        return after

    async def _publish_from(self, connection: Connection, last: int) -> None:
        """Follow the store until the connection to NATS changes or it is time to look at the stream again."""
        generation, clock = self._nats.generation, asyncio.get_running_loop().time
        inbox = self._nats.client.new_inbox()
        subscription = await self._nats.client.subscribe(inbox, cb=self._acknowledged)
        try:
            look = clock() + LOOK_SECONDS
            while self._nats.generation == generation and clock() < look:
                await connection.execute("select")
                while batch := await self._log.read(last, BATCH):
                    await self._publish(batch, inbox)
                    last = batch[-1].position
                    await connection.execute("select")
                await self._positions.beyond(last, POLL)
        finally:
            if self._nats.connected:
                await subscription.unsubscribe()

    async def _publish(self, batch: Sequence[Stored], inbox: str) -> None:
        """All in one go. Each message names its predecessor, so the last one's acknowledgement vouches for all."""
        self._ack = asyncio.get_running_loop().create_future()
        began, traced = time.time_ns(), fact_spans.places(batch)
        for stored in batch:
            await self._nats.client.publish(
                f"events.{stored.topic}",
                leaf(stored),
                reply=inbox if stored is batch[-1] else "",
                headers={
                    "Nats-Expected-Last-Sequence": str(stored.position - 1),
                    "Chancery-Event-Id": str(stored.event_id),
                    **({"traceparent": str(traced[stored.event_id])} if stored.event_id in traced else {}),
                },
            )
        try:
            async with asyncio.timeout(ACK_SECONDS):
                answer = await self._ack
        except TimeoutError:
            raise Unacknowledged(f"no answer for {batch[-1].position}") from None
        ack = msgspec.json.decode(answer.data, type=_Ack) if answer.data else _Ack()
        if ack.error is not None or ack.seq != batch[-1].position:
            raise Unacknowledged(str(ack.error or answer.headers))
        figures.PUBLISHED.inc(len(batch))
        fact_spans.followed("relay", traced, began, len(batch), "producer")

    async def _acknowledged(self, message: Msg) -> None:
        if self._ack is not None and not self._ack.done():
            self._ack.set_result(message)
