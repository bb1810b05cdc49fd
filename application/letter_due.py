"""Letters that nobody answered in time: said once for each day by which an answer was due, to who answers for them."""

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import Protocol
from uuid import UUID

from application.access import Caller, Need, may, system
from application.context import Context
from application.execute import Execute
from application.letter_thread import VIEW, of
from application.numbers import Numbers
from application.party import Parties
from application.ports import EventStore
from domain.letter.aggregate import LETTER, Draft, Letter, Registered, Signed
from domain.letter.commands import TellDue
from domain.shared import Actor


class Acting(Protocol):
    async def caller(self, actor: Actor) -> Caller | None:
        """With the rights he has now; None: he may not act any more."""
        ...


class LettersDue:
    """Nobody is named in a letter who answers for it: the account managers of its organisations do, and where none of
    them may view it, whoever said by when.
    """

    def __init__(
        self, execute: Execute, store: EventStore, parties: Parties, acting: Acting, numbers: Numbers
    ) -> None:
        self._execute, self._store, self._parties = execute, store, parties
        self._acting, self._numbers = acting, numbers

    def today(self) -> date:
        """As the office's own calendar has it."""
        return self._numbers.today(self._execute.clock())

    async def tell(self, letter_id: UUID, set_by: Actor) -> None:
        """Whether it was answered is for the caller to know; what was told before is not told again."""
        letter: Letter = (await self._store.load(LETTER, letter_id, fresh=True)).state
        command = TellDue(today=self.today(), user_ids=await self._concerned(letter, set_by))
        context = Context(caller=system(), request_id="letter.tell_due")
        await self._execute(LETTER, letter_id, command, context, Need(right=None, by="system"))

    async def _concerned(self, letter: Letter, set_by: Actor) -> tuple[UUID, ...]:
        if not isinstance(letter, Draft | Registered | Signed):
            return ()
        parties = await asyncio.gather(*map(self._parties.of, letter.details.organisation_ids))
        managers = dict.fromkeys(party.manager_id for party in parties if party.manager_id is not None)
        people = [Actor(kind="user", id=each) for each in managers]
        return await self._viewing(letter, people) or await self._viewing(letter, [set_by])

    async def _viewing(self, letter: Letter, people: Sequence[Actor]) -> tuple[UUID, ...]:
        """Those of them who may act, and view the letter."""
        callers = await asyncio.gather(*map(self._acting.caller, people))
        about, now = of(letter), self._execute.clock()
        return tuple(
            caller.actor.id
            for caller in callers
            if caller is not None and caller.actor.kind == "user" and may(caller, VIEW, about, now)
        )
