"""Who listens hears what concerns him, as soon as he can read it: one reader of the log for all listeners of a process.

A listener costs nothing while nothing is told to him. His session is judged again when the log has something about it
or about him, and by the clock.
"""

import asyncio
from collections import defaultdict
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import structlog

from api import answers
from api.listener import Heard, Listener
from api.live_topics import NOUNS, Known, Told, import_step, topic_of
from api.queries.message import UnreadCount
from application.access import AccessError, Caller
from domain.shared import Event, Recorded, Stored
from infrastructure.positions import Behind
from infrastructure.tasks import end

PIECE = 500
"""Facts read from the log at once."""
AGAIN = 5.0
"""Seconds after which every listener's session and rights are read again: by the clock, too, they end."""
LOOK = 1.0
"""Seconds between two looks at what stands in no log: how far imports are."""
FARTHEST = 50_000
"""Positions that somebody who comes again is told of one by one; after a longer absence he is told to read again."""
JUDGED = ("session", "user")
"""Nouns whose facts may end a session."""

_log = structlog.get_logger("api.live")


class Log(Protocol):
    async def about(self, nouns: Sequence[str], after: int, up_to: int, limit: int) -> list[Stored]: ...
    async def open(self, stored: Sequence[Stored]) -> list[Recorded[Event]]: ...


class Positions(Protocol):
    @property
    def head(self) -> int: ...
    @property
    def failures(self) -> Mapping[str, str]: ...
    async def beyond(self, position: int, seconds: float) -> bool: ...
    async def reached(self, projection: str, position: int, *, seconds: float) -> None: ...


Renew = Callable[[Caller], Awaitable[Caller]]
"""The same caller as the guards know him now. Raises SessionEnded."""
Unread = Callable[[Collection[UUID]], Awaitable[dict[UUID, UnreadCount]]]
Imports = Callable[[], Awaitable[dict[UUID, datetime]]]
"""Imports that went on a moment ago, and when."""


class Live:
    """Its tasks run while somebody listens."""

    def __init__(
        self, log: Log, positions: Positions, renew: Renew, known: Known, unread: Unread, imports: Imports
    ) -> None:
        self._log, self._positions, self._renew = log, positions, renew
        self._known, self._unread, self._imports = known, unread, imports
        # bounded: by listeners_at_once and sockets_at_once
        self._listeners: defaultdict[UUID, set[Listener]] = defaultdict(set)
        # bounded: by the three of them
        self._tasks: list[asyncio.Task[None]] = []
        # bounded: by how often the last listener leaves in the moment they take to end
        self._ending: set[asyncio.Task[None]] = set()
        self.at = 0
        """Everything up to there has been told."""
        # bounded: by the imports that go on
        self.known_imports: dict[UUID, datetime] = {}
        """Imports that went on a moment ago, as they were told."""
        self._reading = 0
        """As far as the facts that are being told just now."""

    @property
    def count(self) -> int:
        return sum(map(len, self._listeners.values()))

    @asynccontextmanager
    async def listening(self, caller: Caller, after: int) -> AsyncGenerator[Listener]:
        """From now on; `missed` tells what he has not heard since `after`. Raises SessionEnded."""
        listener = self._join(caller, after)
        try:
            listener.caller = await self._renew(caller)
            yield listener
        finally:
            self._leave(listener)

    async def missed(self, listener: Listener, after: int) -> AsyncIterator[Heard]:
        """What stands in the log between `after` and where he began to listen; then what waits for him unread.

        Raises Ended.
        """
        user_id, until = listener.caller.actor.id, listener.since
        if until - after > FARTHEST:
            after = until
            yield Heard(name="reset", data=answers.encode({"position": until}), position=until)
        while after < until:
            stored = await self._log.about(NOUNS, after, until, PIECE)
            for recorded in await self._opened(stored, {user_id}):
                told = await self._told(recorded)
                listener.require()
                if told is not None and _concerns(told, listener.caller):
                    yield _heard(told, recorded.position)
            after = stored[-1].position if len(stored) == PIECE else until
        yield await self.waiting(user_id)

    async def waiting(self, user_id: UUID) -> Heard:
        return _count((await self._unread([user_id]))[user_id])

    def _join(self, caller: Caller, after: int) -> Listener:
        if not self._tasks:
            self.at = self._reading = self._positions.head
            self._tasks = [
                asyncio.create_task(self._alive(run), name="live")
                for run in (self._tell(), self._watch(self.at), self._look())
            ]
        listener = Listener(caller, max(after, self._reading))
        self._listeners[caller.actor.id].add(listener)
        return listener

    def _leave(self, listener: Listener) -> None:
        user_id = listener.caller.actor.id
        self._listeners[user_id].discard(listener)
        if not self._listeners[user_id]:
            del self._listeners[user_id]
        if not self._listeners:
            self._stop()

    def _stop(self) -> None:
        """Not waited for: who leaves may be about to be cancelled himself."""
        tasks, self._tasks = self._tasks, []
        ending = asyncio.create_task(end(*(each for each in tasks if each is not asyncio.current_task())))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def _alive(self, run: Coroutine[Any, Any, None]) -> None:
        """What goes wrong ends all listeners, who come again with where they were: nobody listens to silence."""
        try:
            await run
        except Exception as error:  # noqa: BLE001 - whatever it is, they must not go on half-alive
            _log.warning("listening broke", exc_info=error)
            for listener in self._everybody():
                listener.end("broken")
            self._stop()

    def _everybody(self) -> list[Listener]:
        return [each for listeners in self._listeners.values() for each in listeners]

    # --- what is told -----------------------------------------------------------------------------------------------

    async def _tell(self) -> None:
        """Follows the log. Whoever joins while a piece is told hears what comes after it, and reads the piece."""
        while True:
            if not await self._positions.beyond(self.at, AGAIN):
                continue
            head = self._positions.head
            stored = await self._log.about(NOUNS, self.at, head, PIECE)
            self._reading = stored[-1].position if len(stored) == PIECE else head
            counted: set[UUID] = set()
            for recorded in await self._opened(stored, self._listeners.keys()):
                if (told := await self._told(recorded)) is not None:
                    await self._spread(told, recorded.position)
                    await asyncio.sleep(0)  # so that many at once find nobody slow who is not
                    counted.update(self._listeners.keys() & set(told.counts))
            if counted:
                for user_id, count in (await self._unread(counted)).items():
                    for listener in self._listeners.get(user_id, ()):
                        listener.hear(_count(count))
            self.at = self._reading

    async def _opened(self, stored: Sequence[Stored], people: Iterable[UUID]) -> list[Recorded[Event]]:
        """Those that may concern these people, as soon as everybody can read what they tell.

        What nobody can, since its read model has stopped, is not told, and holds up nothing else.
        """
        listening = set(people)
        wanted: list[Stored] = []
        models: dict[str, int] = {}
        for each in stored:
            topic = topic_of(each)
            if topic is None or (topic.names is not None and listening.isdisjoint(topic.names(each.state))):
                continue
            wanted.append(each)
            models |= dict.fromkeys(topic.models, each.position)
        stopped = [each for each, position in models.items() if not await self._readable(each, position)]
        return await self._log.open([each for each in wanted if not _shown_by(each, stopped)])

    async def _readable(self, model: str, position: int) -> bool:
        while True:
            try:
                await self._positions.reached(model, position, seconds=LOOK)
            except Behind:
                if model in self._positions.failures:
                    _log.warning("not told: its read model has stopped", model=model, position=position)
                    return False
            else:
                return True

    async def _told(self, recorded: Recorded[Any]) -> Told | None:
        topic = topic_of(recorded)
        assert topic is not None
        return await topic.tell(recorded, self._known)

    async def _spread(self, told: Told, position: int | None = None) -> None:
        if told.to is None:
            listeners = self._everybody()
        else:
            listeners = [each for user_id in set(told.to) for each in self._listeners.get(user_id, ())]
        if not listeners:
            return
        if told.judge is not None:
            await self._judge(listeners)
        heard = _heard(told, position)
        for listener in listeners:
            if _concerns(told, listener.caller):
                listener.hear(heard)

    async def _look(self) -> None:
        """How far imports are stands in a table of its own."""
        while True:
            moved = await self._imports()
            for import_id in [each for each, at in moved.items() if self.known_imports.get(each) != at]:
                if (told := await import_step(import_id, self._known)) is not None:
                    await self._spread(told)
            self.known_imports = moved
            await asyncio.sleep(LOOK)

    # --- who still may ----------------------------------------------------------------------------------------------

    async def _watch(self, at: int) -> None:
        """A session that ended, or somebody who may not act any more, is out at once."""
        loop = asyncio.get_running_loop()
        again = loop.time() + AGAIN
        while True:
            stored: list[Stored] = []
            if await self._positions.beyond(at, max(0.0, again - loop.time())):
                head = self._positions.head
                stored = await self._log.about(JUDGED, at, head, PIECE)
                at = stored[-1].position if len(stored) == PIECE else head
            listeners = self._everybody()
            if loop.time() >= again:
                again = loop.time() + AGAIN
            else:
                about = {each.stream_id for each in stored}
                listeners = [
                    each for each in listeners if about & {each.caller.session_id, each.caller.actor.id}
                ]
            await self._judge(listeners)

    async def _judge(self, listeners: Sequence[Listener]) -> None:
        await asyncio.gather(*map(self._judge_one, listeners))

    async def _judge_one(self, listener: Listener) -> None:
        try:
            listener.caller = await self._renew(listener.caller)
        except AccessError:
            listener.end("session")


def _shown_by(stored: Stored, models: Sequence[str]) -> bool:
    topic = topic_of(stored)
    return topic is not None and not set(topic.models).isdisjoint(models)


def _concerns(told: Told, caller: Caller) -> bool:
    return (told.to is None or caller.actor.id in told.to) and (told.judge is None or told.judge(caller))


def _heard(told: Told, position: int | None) -> Heard:
    return Heard(name=told.name, data=answers.encode(told.data), position=position, dialog_id=told.dialog_id)


def _count(count: UnreadCount) -> Heard:
    return Heard(name="unread", data=answers.encode(count))
