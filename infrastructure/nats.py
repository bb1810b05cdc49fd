"""The connection to NATS: kept alive for ever, never needed for a fact. Bells are hints; whoever listens also polls."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from infrastructure.tasks import end

STREAM = "EVENTS"
"""The stream that carries the log: subjects `events.<topic>`, its sequence is the position."""

METADATA = "chancery-epoch"
"""Where the stream says of which epoch it is."""

APPENDED = "bell.append"
"""Rung after every commit of an append."""

AGAIN_SECONDS = 1.0

log = structlog.get_logger()


def projected(name: str) -> str:
    """The bell of a projection that has moved on."""
    return f"bell.projected.{name}"


class Nats:
    """A client that connects in the background, for ever, so that nobody's start and no command waits for NATS.

    Without a URL it never connects. `generation` changes with every connect and disconnect: what was learnt from the
    server before is then in doubt.
    """

    def __init__(self, url: str, name: str) -> None:
        self.client = Client()
        self.generation = 0
        self._complaint = ""
        self._url, self._name = url, name
        # bounded: by the bells there are
        self._bells: dict[str, Callable[[], None]] = {}
        self._connecting: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._url:
            self._connecting = asyncio.create_task(self._connect(), name="nats")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connecting is not None:
            await end(self._connecting)

    @property
    def connected(self) -> bool:
        return self.client.is_connected

    @property
    def stream(self) -> JetStreamContext:
        """The JetStream API; every call of it answers within two seconds or raises."""
        return self.client.jetstream(timeout=2)

    def on(self, bell: str, heard: Callable[[], None]) -> None:
        """Call `heard` whenever the bell rings. Before the connection is entered; one listener per bell."""
        self._bells[bell] = heard

    async def ring(self, bell: str) -> None:
        """Wake the listeners, if anybody can hear it now."""
        if self.connected:
            with suppress(nats.errors.Error):  # only a hint: listeners poll
                await self.client.publish(bell)

    async def _connect(self) -> None:
        """A client that was refused, for its password say, closes for good without a word: then another one tries."""
        while True:
            self.client = Client()
            connecting = asyncio.create_task(self._open())
            try:
                while not (self.client.is_closed or (connecting.done() and connecting.exception())):  # noqa: ASYNC110
                    await asyncio.sleep(AGAIN_SECONDS)
            finally:
                await end(connecting)
                await self.client.close()
            log.error("nats.refused", error=repr(self.client.last_error))

    async def _open(self) -> None:
        await self.client.connect(
            self._url,
            name=self._name,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.2,  # type: ignore[arg-type]  # seconds; only slept on
            connect_timeout=2,
            ping_interval=5,
            max_outstanding_pings=2,
            error_cb=self._failed,
            disconnected_cb=self._changed,
            reconnected_cb=self._changed,
        )
        self.generation += 1
        for bell, heard in self._bells.items():
            await self.client.subscribe(bell, cb=_calling(heard))
        log.info("nats.connected")

    async def _changed(self) -> None:
        self.generation += 1
        self._complaint = ""
        log.info("nats.connected" if self.connected else "nats.disconnected")

    async def _failed(self, error: Exception) -> None:
        if repr(error) != self._complaint:  # a server that is down says the same five times a second
            self._complaint = repr(error)
            log.warning("nats.error", error=self._complaint)


def _calling(heard: Callable[[], None]) -> Callable[[Msg], Awaitable[None]]:
    async def call(_: Msg) -> None:
        heard()

    return call
