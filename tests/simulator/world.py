"""One schedule: commands appended by writers, carried by relays, followed by projectors, everything liable to die."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from uuid import UUID

import msgspec
import psycopg

from domain.shared import Stored
from infrastructure.append_call import ACCEPTED, CONFLICT, STORED_ALREADY, Item
from infrastructure.positions import POLL
from infrastructure.writer import Judged, Writer
from tests.simulator.server import Server
from workers import projector
from workers.checkpoint import Checkpoint, Moved
from workers.epoch import EpochMismatch
from workers.feed import Feed
from workers.projector import Projector
from workers.relay import Relay

STREAMS = 5
CALM = 60.0
"""Seconds without a fault in which everything has caught up."""
THE_EPOCH = UUID(int=1)
THEN = datetime(2026, 1, 1, tzinfo=UTC)


class Store:
    """The log: what `append` does, without its SQL, and what a connection to it is while somebody may cut it."""

    def __init__(self, dice: Random) -> None:
        self.dice = dice
        self.events: list[Stored] = []
        self.versions = Counter[UUID]()
        self.unkind = 0.0
        self.rung = asyncio.Event()

    async def way(self) -> None:
        await asyncio.sleep(self.dice.random() * 0.004)
        if self.dice.random() < self.unkind:
            raise psycopg.OperationalError("the connection was lost")

    async def append(self, items: Sequence[Item], *, again: bool) -> tuple[int, datetime, list[int], None]:
        """Lost on the way there, or on the way back, now and then."""
        await self.way()
        head, verdicts = len(self.events), []
        known = {event.event_id for event in self.events}
        for item in items:
            if again and known.intersection(item.event_ids):
                verdicts.append(STORED_ALREADY)
            elif self.versions[item.stream_id] != item.expected:
                verdicts.append(CONFLICT)
            else:
                verdicts.append(ACCEPTED)
                self._store(item)
        self.rung.set()
        await self.way()
        return head, THEN, verdicts, None

    def _store(self, item: Item) -> None:
        for event_id in item.event_ids:
            self.versions[item.stream_id] += 1
            self.events.append(
                Stored(
                    position=len(self.events) + 1,
                    event_id=event_id,
                    stream_id=item.stream_id,
                    version=self.versions[item.stream_id],
                    topic="letter.signed.v1",
                    recorded_at=THEN,
                    meta=b"{}",
                    state=b"{}",
                )
            )

    async def read(self, after: int, limit: int) -> list[Stored]:
        await self.way()
        return self.events[after : after + limit]

    async def head(self) -> int:
        await self.way()
        return len(self.events)

    async def opened(self, batch: list[Stored], _: Any) -> list[Stored]:
        return batch


class Positions:
    """What one process knows of the head: it looks every 50 ms, or when a bell rings."""

    def __init__(self, store: Store) -> None:
        self._store, self.head = store, 0
        self.known: dict[str, int] = {}

    async def beyond(self, position: int, seconds: float) -> bool:
        end = asyncio.get_running_loop().time() + seconds
        while self.head <= position and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(self._store.dice.random() * POLL)
            self.head = len(self._store.events)
        return self.head > position


class Held:
    """A connection that holds a role, until somebody cuts it; who has not noticed goes on."""

    def __init__(self, store: Store) -> None:
        self._store, self.cut = store, False

    async def execute(self, statement: str, parameters: tuple[Any, ...] = ()) -> Any:
        await self._store.way()
        if self.cut:
            raise psycopg.OperationalError("the role is lost")
        row: tuple[Any, ...] = (THE_EPOCH,)
        if "max(notification_id)" in statement:
            there = self._store.events[parameters[0] - 1 : parameters[0]]
            row = (len(self._store.events), there[0].event_id if there else None)

        async def fetchone() -> tuple[Any, ...]:
            return row

        return SimpleNamespace(fetchone=fetchone, rowcount=0)


class SureWriter(Writer):
    """The real one over that store."""

    def __init__(self, store: Store) -> None:
        super().__init__("")
        self._store = store

    async def _connect(self) -> None:
        await self._store.way()

        async def close() -> None:
            pass

        self._connection: Any = SimpleNamespace(closed=False, close=close)

    async def _call(self, items: list[Item], *, again: bool) -> Any:
        return await self._store.append(items, again=again)

    async def _stored_before(self, batch: Any, verdicts: list[int]) -> dict[UUID, int]:
        return {event.event_id: event.position for event in self._store.events}


class Table:
    """A read model that shows every mistake, with its checkpoint: moved together, or not at all."""

    name, version = "table", 1

    def __init__(self, store: Store) -> None:
        self._store = store
        self.at = Checkpoint(version=1)
        self.applied: list[UUID] = []

    def takes(self, _: Stored) -> bool:
        return True

    async def begin(self, *_: Any) -> None:
        await self._store.way()

    async def load(self, *_: Any) -> Checkpoint:
        await self._store.way()
        return self.at

    async def advance(self, _c: Any, _p: Any, _s: str, at: Checkpoint, batch: list[Stored]) -> Checkpoint:
        """As workers.checkpoint: only from `at`, only to an event that the store has."""
        await self._store.way()
        if self.at.position != at.position:
            raise Moved(f"no longer at {at.position}")
        last = batch[-1]
        if self._store.events[last.position - 1].event_id != last.event_id:
            raise EpochMismatch(str(last.position))
        self.applied += [each.event_id for each in batch]
        self.at = after = msgspec.structs.replace(at, position=last.position, count=at.count + len(batch))
        await self._store.way()
        return after

    async def fail(self, *_: Any) -> None:
        await self._store.way()


def an_item(dice: Random, stream: UUID, expected: int, number: int) -> Item:
    ids = [UUID(int=(number << 8) | each | 1 << 100) for each in range(dice.randint(1, 3))]
    return Item(
        stream_id=stream,
        expected=expected,
        actor_id=stream,
        event_ids=ids,
        topics=["letter.signed.v1"] * len(ids),
        states=[b"{}"] * len(ids),
        metas=[b"{}"] * len(ids),
        session=None,
        grant_id=None,
        key=None,
        claims=(),
        rows=(),
        conditions=(),
        subjects=(),
        writes=frozenset([stream]),
        reads=frozenset(),
    )


class World:
    """`wrong` is what must not be, in words."""

    def __init__(self, dice: Random) -> None:
        self.dice = dice
        self.store = Store(dice)
        self.server = Server(dice, unkind=dice.choice((0.0, 0.02, 0.2)))
        self.store.unkind = dice.choice((0.0, 0.01, 0.1))
        self.table = Table(self.store)
        self.accepted: dict[UUID, int] = {}
        self.refused: set[UUID] = set()
        self.wrong: list[str] = []
        self._roles: dict[str, tuple[Held, asyncio.Task[Any]]] = {}

    async def command(self, writer: Writer, number: int) -> None:
        """One command, decided anew as often as somebody else was first; given up when nobody answers."""
        stream = UUID(int=self.dice.randrange(STREAMS) + 1000)
        for attempt in range(5):
            item = an_item(self.dice, stream, self.store.versions[stream], 10 * number + attempt)
            judged: Judged = await writer.append(item)
            if judged.verdict == ACCEPTED:
                self.accepted[item.event_ids[-1]] = judged.position
                return
            self.refused.update(item.event_ids)

    def relay(self) -> None:
        """One relay more; the one before has lost its role, and may not know yet."""
        self._role(
            "relay", lambda held: Relay(self.store, self._positions(), self.server.client())._work(held)
        )  # type: ignore[arg-type]

    def projector(self, number: int) -> None:
        """The projector of one process, begun anew: whatever it had in memory is gone."""

        async def work(held: Held) -> None:
            nats: Any = self.server.client()
            feed = Feed(self.store, self._positions(), nats)  # type: ignore[arg-type]
            async with feed:
                await Projector(self.table, self.store, feed, nats)._work(held)  # type: ignore[arg-type]

        if (old := self._roles.get(f"projector-{number}")) is not None:
            old[1].cancel()
        self._role(f"projector-{number}", work)

    def _positions(self) -> Any:
        return Positions(self.store)

    def _role(self, name: str, work: Any) -> None:
        if name in self._roles:
            self._roles[name][0].cut = True
        held = Held(self.store)

        async def again() -> None:
            nonlocal held
            while not held.cut:
                try:
                    await work(held)
                except psycopg.OperationalError:
                    await asyncio.sleep(0.2)

        self._roles[name] = (held, asyncio.create_task(again(), name=name))

    def judge(self) -> None:
        """What was accepted is in the log once, and in the table once, in order; the stream tells the same."""
        log = [event.event_id for event in self.store.events]
        if len(set(log)) != len(log):
            self.wrong.append("an event is in the log twice")
        for event_id, position in self.accepted.items():
            if log[position - 1 : position] != [event_id]:
                self.wrong.append(f"what was accepted at {position} is not there")
        if self.refused & set(log):
            self.wrong.append("what was refused is in the log")
        if self.table.applied != log:
            self.wrong.append(
                f"the table has {len(self.table.applied)} of {len(log)} events, or in another order"
            )
        stream = self.server.stream
        assert stream is not None
        told = [msgspec.json.decode(each)[0] for each in stream.messages]
        if told != list(range(stream.first, len(log) + 1)):
            self.wrong.append(f"the stream from {stream.first} tells {told[:20]} of {len(log)}")
        for name, (_, task) in self._roles.items():
            if task.done():
                self.wrong.append(f"{name} has ended: {task.exception()!r}")


async def schedule(dice: Random) -> list[str]:
    """Some seconds of work and faults, then calm; what is wrong afterwards."""
    world = World(dice)
    with patch.object(projector, "checkpoint", world.table):
        return await _played(world)


async def _played(world: World) -> list[str]:
    dice = world.dice
    writers = [SureWriter(world.store) for _ in range(2)]
    running = [asyncio.create_task(writer.run()) for writer in writers]
    world.relay()
    for number in range(dice.choice((1, 2))):
        world.projector(number)
    work = [asyncio.create_task(_asking(world, writer, number)) for number, writer in enumerate(writers)]
    for _ in range(dice.randint(0, 8)):
        await asyncio.sleep(dice.random())
        await _strike(world)
    world.server.unkind = world.store.unkind = 0.0
    await asyncio.gather(*work)
    try:
        async with asyncio.timeout(CALM):
            while len(world.table.applied) < len(world.store.events) or not _carried(world):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    except TimeoutError:
        world.wrong.append("it never catches up")
    world.judge()
    for task in running:
        task.cancel()
    return world.wrong


def _carried(world: World) -> bool:
    return world.server.stream is not None and world.server.last >= len(world.store.events)


async def _asking(world: World, writer: Writer, number: int) -> None:
    for count in range(world.dice.randint(5, 20)):
        await asyncio.sleep(world.dice.random() * 0.3)
        await world.command(writer, number * 1000 + count)


async def _strike(world: World) -> None:
    dice, server = world.dice, world.server
    match dice.choice(("crash", "wipe", "shorten", "cut", "relay", "projector")):
        case "crash":
            server.crash(keep=10**9)
        case "wipe":
            server.crash(keep=None)
        case "shorten":
            server.crash(keep=dice.randint(0, 40))
        case "cut":
            client = dice.choice(server.clients)
            client.cut()
            await asyncio.sleep(dice.random())
            if server.up:
                client.connect()
        case "relay":
            world.relay()
        case "projector":
            world.projector(0)
        case unknown:
            raise AssertionError(unknown)
    if not server.up:
        await asyncio.sleep(dice.random() * 3)
        server.restart()
