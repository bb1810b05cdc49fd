"""One process that registers and signs letters as fast as it can, over a year's end, and tells which numbers it got."""

import asyncio
from datetime import UTC, date, datetime
from random import Random
from uuid import UUID

from application.access import system
from application.context import Context
from application.ports import Answer
from domain.letter.commands import DraftLetter, RegisterLetter
from domain.letter.refusals import LetterInvalid
from infrastructure.bootstrap import System, running
from tests.serving import settings

LAST_YEAR, NEW_YEAR = datetime(2026, 12, 31, 23, 59, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
DAY = date(2026, 12, 1)
CLERKS = 6


def register(name: str, dsn: str, organisation_id: UUID, letters: int) -> list[str]:
    """Runs in a process of its own: so many letters, of which the second half is written in the new year."""
    return asyncio.run(_register(name, dsn, organisation_id, letters))


async def _register(name: str, dsn: str, organisation_id: UUID, letters: int) -> list[str]:
    random, given, asked = Random(name), [], iter(range(letters))
    async with running(settings(dsn, "")) as office:
        office.execute.clock = lambda: LAST_YEAR

        async def clerk() -> None:
            for number in asked:
                if number == letters // 2:
                    office.execute.clock = lambda: NEW_YEAR
                given.extend(await _written(office, random, organisation_id))

        await asyncio.gather(*(clerk() for _ in range(CLERKS)))
    return given


async def _written(office: System, random: Random, organisation_id: UUID) -> list[str]:
    """The number of one more letter; of one that is refused, or whose clerk walks away, maybe none."""
    match random.choice(("in", "in", "out", "out", "refused", "left")):
        case "in":
            return [await _number(office.letters.register(_incoming(organisation_id), _context()))]
        case "refused":
            try:
                await office.letters.register(_incoming(organisation_id, date(2028, 1, 1)), _context())
            except LetterInvalid:
                return []
            raise AssertionError("a letter was received in the future")
        case "left":
            going = asyncio.create_task(office.letters.register(_incoming(organisation_id), _context()))
            await asyncio.sleep(0)
            going.cancel()
            await asyncio.wait([going])
            return []
        case _:
            draft = DraftLetter(organisation_ids=(organisation_id,), subject="On the north site")
            made = await office.letters.draft(draft, _context())
            assert isinstance(made, Answer)
            return [await _number(office.letters.sign(made.id, DAY, _context()))]


async def _number(asked) -> str:
    answer = await asked
    return str(answer.extra["number"])


def _incoming(organisation_id: UUID, received_on: date = DAY) -> RegisterLetter:
    return RegisterLetter(
        organisation_ids=(organisation_id,), subject="On the north site", received_on=received_on
    )


def _context() -> Context:
    return Context(caller=system(), request_id="registrar")
