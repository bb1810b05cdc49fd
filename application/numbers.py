"""Numbers without gaps: a number is the claim (series, last + 1), decided again when somebody else was quicker."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, datetime
from typing import NoReturn, TypeVar
from weakref import WeakValueDictionary
from zoneinfo import ZoneInfo

from application.context import TooBusy
from application.ports import Claims, ClaimTaken, Reliance
from domain.number import Number, prefix

R = TypeVar("R")
ATTEMPTS = 100
"""How often a number may be taken by another process before the caller is told to come back."""


class NumberTaken(Exception):
    """Another process gave it out meanwhile."""


class Numbers:
    """One per process, so that its own commands of one series wait for each other instead of racing."""

    def __init__(self, claims: Claims, zone: ZoneInfo) -> None:
        self._claims, self._zone = claims, zone
        # bounded: one of each series that a command is numbered in now: what nobody holds goes
        self._turns: WeakValueDictionary[tuple[str, str, int], asyncio.Lock] = WeakValueDictionary()

    def today(self, now: datetime) -> date:
        """The office's own calendar day, whose year numbers bear."""
        return now.astimezone(self._zone).date()

    async def give(self, kind: str, series: str, year: int, command: Callable[[Number], Awaitable[R]]) -> R:
        """What the command answers that bears the next number of the series; it takes `number.claim` as a claim `kind`.

        When that is taken the command raises NumberTaken (`taken` does), and is asked again with the next. A command
        that is refused, or answered from before, uses no number up. Raises TooBusy.
        """
        turn = self._turns.setdefault((kind, series, year), asyncio.Lock())
        async with turn:
            for _ in range(ATTEMPTS):
                last = await self._claims.last(kind, prefix(series, year))
                counter = 0 if last is None else int(last.rpartition(":")[2])
                try:
                    return await command(Number(series, year, counter + 1))
                except NumberTaken:
                    continue
        raise TooBusy

    async def free(self, kind: str, number: Number) -> Reliance:
        """That nobody has it, for a stream that has several: its own claim would not refuse it. Raises NumberTaken."""
        if await self._claims.owner(kind, number.claim) is not None:
            raise NumberTaken
        return Reliance(require_none=((kind, number.claim),))


def taken(kind: str) -> Callable[[ClaimTaken], NoReturn]:
    """For Execute's `taken`, where the number is the only claim that another can have."""

    def raises(claim: ClaimTaken) -> NoReturn:
        assert claim.kind == kind, f"nobody foresaw that {claim.kind} could be taken"
        raise NumberTaken

    return raises
