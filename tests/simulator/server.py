"""A JetStream server in memory, as far as relay and tail know one, that loses, doubles, reorders, dies and forgets."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from random import Random
from types import SimpleNamespace
from typing import Any

import nats.errors
from nats.js.errors import NotFoundError

from infrastructure.nats import STREAM

Heard = Callable[[Any], Awaitable[None]]
LATE = 0.01
"""Seconds that a message is under way at most, mostly far less."""


class Server:
    """`unkind`: the share of deliveries that are lost, doubled or late; nothing is once the run has calmed down."""

    def __init__(self, dice: Random, unkind: float) -> None:
        self.dice, self.unkind = dice, unkind
        self.up = True
        self.stream: SimpleNamespace | None = None
        self.consumers: dict[str, SimpleNamespace] = {}
        self.clients: list[Client] = []
        self._names = 0

    def client(self) -> "Client":
        one = Client(self)
        self.clients.append(one)
        return one

    def name(self) -> str:
        self._names += 1
        return f"name-{self._names}"

    def crash(self, *, keep: int | None) -> None:
        """With the first `keep` messages of the stream on disk, or with no stream at all."""
        self.up = False
        self.consumers.clear()
        for each in self.clients:
            each.cut()
        if keep is None or self.stream is None:
            self.stream = None
        else:
            del self.stream.messages[keep:]

    def restart(self) -> None:
        self.up = True
        for each in self.clients:
            each.connect()

    @property
    def last(self) -> int:
        assert self.stream is not None
        sequence: int = self.stream.first - 1 + len(self.stream.messages)
        return sequence

    def publish(self, payload: bytes, headers: dict[str, str]) -> bytes:
        """The answer to a message for the stream."""
        if self.stream is None:
            return b'{"error": {"code": 503}}'
        expected = headers.get("Nats-Expected-Last-Sequence")
        if expected is not None and int(expected) != self.last:
            return json.dumps({"error": {"err_code": 10071}}).encode()
        self.stream.messages.append(payload)
        for consumer in self.consumers.values():
            consumer.wake.set()
        return json.dumps({"seq": self.last, "stream": STREAM}).encode()


class Client:
    """A connection of one process, with the names of infrastructure.nats.Nats, its client and its JetStream API."""

    def __init__(self, server: Server) -> None:
        self._server, self._dice = server, server.dice
        self.connected, self.generation = True, 1
        self._heard: dict[str, Heard] = {}
        self._sent: asyncio.Queue[Any] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._carry()

    @property
    def client(self) -> "Client":
        return self

    @property
    def stream(self) -> "Client":
        return self

    async def ring(self, _: str) -> None:
        pass

    def cut(self) -> None:
        """What was under way is lost."""
        self.connected = False
        self.generation += 1
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()
        self._heard.clear()

    def connect(self) -> None:
        if not self.connected:
            self.connected = True
            self.generation += 1
            self._carry()

    def new_inbox(self) -> str:
        return self._server.name()

    async def subscribe(self, inbox: str, cb: Heard) -> "Client":
        self._heard[inbox] = cb
        return self

    async def unsubscribe(self) -> None:
        pass

    async def publish(self, subject: str, payload: bytes, reply: str = "", headers: Any = None) -> None:
        """Into the connection's buffer; what is not connected sends nothing, and says nothing."""
        if self.connected:
            self._sent.put_nowait((subject, payload, reply, headers or {}))

    async def stream_info(self, _: str) -> Any:
        stream = await self._asked()
        messages = stream.messages
        state = SimpleNamespace(
            messages=len(messages), first_seq=stream.first, last_seq=self._server.last if messages else 0
        )
        return SimpleNamespace(config=SimpleNamespace(metadata=stream.metadata), state=state)

    async def get_last_msg(self, *_: str) -> Any:
        return SimpleNamespace(data=(await self._asked()).messages[-1])

    async def add_stream(self, config: Any) -> None:
        await self._way()
        if self._server.stream is None:
            self._server.stream = SimpleNamespace(
                first=config.first_seq, messages=[], metadata=config.metadata
            )

    async def add_consumer(self, _: str, config: Any) -> Any:
        await self._asked()
        name = self._server.name()
        self._server.consumers[name] = SimpleNamespace(next=config.opt_start_seq, wake=asyncio.Event())
        return SimpleNamespace(name=name)

    async def _asked(self) -> Any:
        await self._way()
        if self._server.stream is None:
            raise NotFoundError
        return self._server.stream

    async def _way(self) -> None:
        await asyncio.sleep(self._dice.random() * LATE)
        if not (self.connected and self._server.up):
            await asyncio.sleep(2)
            raise nats.errors.TimeoutError

    def _carry(self) -> None:
        self._sent = asyncio.Queue()
        self._tasks.append(asyncio.create_task(self._deliver()))

    async def _deliver(self) -> None:
        """One after another, as a connection does."""
        while True:
            subject, payload, reply, headers = await self._sent.get()
            await asyncio.sleep(self._dice.random() * LATE / 10)
            if subject.startswith("$JS.API.CONSUMER.MSG.NEXT."):
                pulling = self._pull(subject.rpartition(".")[2], reply, json.loads(payload))
                self._tasks.append(asyncio.create_task(pulling))
            elif subject.startswith("events."):
                answer = self._server.publish(payload, headers)
                if reply and self._dice.random() >= self._server.unkind:
                    await self._tell(reply, SimpleNamespace(data=answer, headers=None, reply=""))

    async def _pull(self, name: str, inbox: str, ask: dict[str, int]) -> None:
        consumer = self._server.consumers.get(name)
        left, until = ask["batch"], asyncio.get_running_loop().time() + ask["expires"] / 1e9
        while left and consumer is not None and self._server.stream is not None:
            first, messages = self._server.stream.first, self._server.stream.messages
            if consumer.next <= self._server.last:
                at = max(consumer.next, first)
                consumer.next, left = at + 1, left - 1
                await self._bring(inbox, at, messages[at - first])
                continue
            consumer.wake.clear()
            try:
                async with asyncio.timeout_at(until):
                    await consumer.wake.wait()
            except TimeoutError:
                break
        if consumer is not None:
            await self._tell(inbox, SimpleNamespace(data=b"", headers={"Status": "408"}, reply=""))

    async def _bring(self, inbox: str, sequence: int, data: bytes) -> None:
        message = SimpleNamespace(
            data=data,
            headers=None,
            reply="ack",
            metadata=SimpleNamespace(sequence=SimpleNamespace(stream=sequence)),
        )
        chance = self._dice.random()
        if chance < self._server.unkind / 3:
            return
        if chance < self._server.unkind * 2 / 3:
            await self._tell(inbox, message)
        elif chance < self._server.unkind:
            late = self._dice.random() * LATE
            asyncio.get_running_loop().call_later(
                late, lambda: self._tasks.append(asyncio.ensure_future(self._tell(inbox, message)))
            )
            return
        await self._tell(inbox, message)

    async def _tell(self, inbox: str, message: Any) -> None:
        heard = self._heard.get(inbox)
        if heard is not None:
            await heard(message)
