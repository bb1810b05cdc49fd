"""What was refused, kept in memory as it happens and written afterwards: nobody who is refused makes anybody wait."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from datetime import datetime
from typing import Never
from uuid import UUID, uuid5

from msgspec import Struct, structs

from application.access import Caller
from application.access import system as the_system
from application.context import Context
from application.execute import Execute
from application.journal import Journal
from application.ports import NewId
from domain.refusal.aggregate import REFUSAL
from domain.refusal.commands import CountRefusals, NoteRefusal, RefusalCommand
from domain.refusal.events import RefusalEvent
from domain.shared import Actor, Origin

NOTED_A_SECOND = 10
"""Refusals of one process that are noted one by one; what comes on top in that second is counted."""
WAITING = 600
"""Refusals that wait to be written, should the log be away; what comes on top is counted."""
AGAIN_SECONDS = 1.0

_NOBODY = UUID("5d0d1a0e-8f43-4c8b-a0a5-3b1f1c1d9e52")
"""The namespace of a day's anonymous callers (RFC 9562 5.5). It never changes."""


class Refused(Struct, frozen=True, kw_only=True):
    """A refusal as it happened. `actor`: who asked, when that is known for sure."""

    what: NoteRefusal
    request_id: str
    actor: Actor | None
    origin: Origin


def anonymous(at: datetime) -> Actor:
    """Everybody who was nobody on that day: the address and the agent of each are sealed under that day's key."""
    return Actor(kind="anonymous", id=uuid5(_NOBODY, f"anonymous:{at.date()}"))


class Refusals:
    """Those of one process. Its `run` must be at work."""

    def __init__(
        self,
        execute: Execute,
        new_id: NewId,
        unsealable: type[Exception],
        complain: Callable[[Exception, int], None],
        *,
        at_once: int = NOTED_A_SECOND,
    ) -> None:
        """`unsealable`: what the store raises where a key is destroyed. `complain` hears what keeps so many waiting."""
        self._journal: Journal[RefusalCommand, RefusalEvent] = Journal(execute, REFUSAL, new_id)
        self._clock, self._unsealable, self._complain = execute.clock, unsealable, complain
        self._at_once = max(1, at_once)
        # bounded: by WAITING, then counted
        self._waiting: deque[Refused] = deque()
        self._second, self._noted = -1, 0
        # bounded: by the codes there are
        self._more: Counter[str] = Counter()
        self._since = self._clock()
        self._wake = asyncio.Event()

    def note(self, code: str, refused: Callable[[datetime], Refused]) -> None:
        """Never waits; `refused` makes one of the moment, and is not asked where there are too many."""
        now = self._clock()
        second = int(now.timestamp())
        if second != self._second:
            self._second, self._noted = second, 0
        if self._noted < self._at_once and len(self._waiting) < WAITING:
            self._noted += 1
            self._waiting.append(refused(now))
        else:
            self._since = self._since if self._more else now
            self._more[code] += 1
        self._wake.set()

    async def run(self) -> Never:
        """Writes for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._noted_ones()
                if self._more:
                    await self._counted_ones()
            except Exception as error:  # noqa: BLE001 - the log is away: what waits is written when it is back
                self._complain(error, len(self._waiting))
                self._journal.turn()
                self._wake.set()
                await asyncio.sleep(AGAIN_SECONDS)

    async def _noted_ones(self) -> None:
        while self._waiting:
            await self._write(self._waiting[0])
            self._waiting.popleft()

    async def _counted_ones(self) -> None:
        """Once a second, and so at its end."""
        await asyncio.sleep(1.0 - self._clock().timestamp() % 1.0)
        counts, self._more = self._more, Counter()
        command = CountRefusals(since=self._since, until=self._clock(), counts=dict(sorted(counts.items())))
        try:
            await self._append(command, Context(caller=the_system(), request_id="refusals"))
        except Exception:
            self._more.update(counts)
            raise

    async def _write(self, refused: Refused) -> None:
        caller = Caller(actor=refused.actor or anonymous(refused.what.at))
        context = Context(caller=caller, request_id=refused.request_id, origin=refused.origin)
        try:
            await self._append(refused.what, context)
        except self._unsealable:
            await self._append(refused.what, structs.replace(context, origin=None))

    async def _append(self, command: RefusalCommand, context: Context) -> None:
        await self._journal.append(command, context, by="nothing")
