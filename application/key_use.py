"""Uses of API clients' keys: counted in memory as they happen, and noted in the log afterwards."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Never
from uuid import UUID

from msgspec import Struct, field

from application.access import Caller
from application.access import system as the_system
from application.context import Context
from application.execute import Execute
from application.journal import Journal
from application.ports import NewId
from domain.key_use.aggregate import KEY_USE
from domain.key_use.commands import CountKeyUses, KeyUseCommand, NoteKeyUse
from domain.key_use.events import KeyUseEvent
from domain.shared import Actor, Origin

NOTED_A_SECOND = 10
"""Uses that are noted one by one in a second, by all processes that serve; what comes on top is counted."""
EVERY = timedelta(seconds=60)
"""How often a key that goes on being used from one place is noted: the first time at once."""
TOLD_APART = 1_000
"""Keys and places that a process tells apart; requests from more of them are counted by client."""
OF_ONE_COUNT = 1_000
"""Clients in one count, so that no event ever is too large."""
LOOK = 1.0
"""Seconds between two looks at what is to be noted."""


class Used(Struct, frozen=True, kw_only=True):
    """One key, from one place."""

    client_id: UUID
    key_id: str
    origin: Origin


class _Tally(Struct, kw_only=True):
    """What it was used for since it was noted last. `request_id`: of the first request of these."""

    due: datetime
    since: datetime
    until: datetime
    request_id: str = ""
    routes: Counter[str] = field(default_factory=Counter)


class KeyUses:
    """Those of one process. Its `run` must be at work; a process that is killed loses what it had not noted."""

    def __init__(
        self,
        execute: Execute,
        new_id: NewId,
        complain: Callable[[Exception, int], None],
        *,
        at_once: int = NOTED_A_SECOND,
    ) -> None:
        """`complain` hears what keeps so many waiting."""
        self._journal: Journal[KeyUseCommand, KeyUseEvent] = Journal(execute, KEY_USE, new_id)
        self._clock, self._complain, self._at_once = execute.clock, complain, max(1, at_once)
        # bounded: by TOLD_APART, then counted by client
        self._tallies: dict[Used, _Tally] = {}
        # bounded: by the clients there are
        self._more: Counter[str] = Counter()
        self._more_since = self._clock()

    def note(self, used: Used, route: str, request_id: str) -> None:
        """Never waits. `route`: method and template of the address."""
        now = self._clock()
        tally = self._tallies.get(used)
        if tally is None:
            if len(self._tallies) >= TOLD_APART:
                self._count(used.client_id, 1, now)
                return
            tally = self._tallies[used] = _Tally(due=now, since=now, until=now)
        if not tally.routes:
            tally.since, tally.request_id = now, request_id
        tally.until = now
        tally.routes[route] += 1

    async def run(self) -> Never:
        """Writes for ever."""
        while True:
            await asyncio.sleep(LOOK)
            try:
                await self.write()
            except Exception as error:  # noqa: BLE001 - the log is away: what waits is written when it is back
                self._complain(error, len(self._tallies))
                self._journal.turn()

    async def write(self) -> None:
        """What is due by now: so many one by one, the rest as one count."""
        now = self._clock()
        due = [(used, tally) for used, tally in self._tallies.items() if tally.due <= now]
        again = [(used, tally) for used, tally in due if tally.routes]
        for used, tally in due:
            if not tally.routes:
                del self._tallies[used]
        for used, tally in again[: self._at_once]:
            await self._noted(used, tally, now)
        for used, tally in again[self._at_once :]:
            self._count(used.client_id, tally.routes.total(), tally.since)
            del self._tallies[used]
        await self._counted()

    async def _noted(self, used: Used, tally: _Tally, now: datetime) -> None:
        """More may come while it is written."""
        routes, until = tally.routes.copy(), tally.until
        command = NoteKeyUse(
            client_id=used.client_id,
            key_id=used.key_id,
            since=tally.since,
            until=until,
            routes=dict(sorted(routes.items())),
        )
        await self._journal.append(command, _by_client(used, tally.request_id), by=f"key:{used.key_id}")
        tally.routes -= routes
        tally.since, tally.due = until, now + EVERY

    def _count(self, client_id: UUID, requests: int, at: datetime) -> None:
        self._more_since = min(self._more_since, at) if self._more else at
        self._more[str(client_id)] += requests

    async def _counted(self) -> None:
        if not self._more:
            return
        counts = Counter(dict(self._more.most_common(OF_ONE_COUNT)))
        command = CountKeyUses(
            since=self._more_since, until=self._clock(), counts=dict(sorted(counts.items()))
        )
        await self._journal.append(command, Context(caller=the_system(), request_id="key-uses"), by="nothing")
        self._more -= counts


def _by_client(used: Used, request_id: str) -> Context:
    """Without its session: that it was disabled meanwhile does not undo what it asked."""
    caller = Caller(actor=Actor(kind="client", id=used.client_id))
    return Context(caller=caller, request_id=request_id, origin=used.origin)
