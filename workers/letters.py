"""What is done about letters by the clock."""

from collections.abc import AsyncIterator, Sequence
from datetime import date
from uuid import UUID

from msgspec import UNSET

from domain.letter.events import LetterChanged, LetterDrafted, LetterRegistered
from domain.shared import Actor, Event, Recorded
from infrastructure.bootstrap import System
from projections.letter import LETTERS, Falling, falling_due

AT_ONCE = 500


async def tell_due(system: System) -> None:
    """Every letter that should have been answered by today, and was not told of. Raises Behind: to be tried again."""
    await system.reached(LETTERS.name, await system.log.head())
    async for letter_id in _falling_due(system, system.letters_due.today()):
        await system.letters_due.tell(letter_id, set_by(await system.recorded(letter_id)))


def set_by(recorded: Sequence[Recorded[Event]]) -> Actor:
    """Who said last by when it should be answered."""
    said = [each for each in recorded if _says_when(each.event)]
    return said[-1].metadata.actor


def _says_when(event: Event) -> bool:
    match event:
        case LetterRegistered() | LetterDrafted():
            return True
        case LetterChanged():
            return event.due_on is not UNSET
        case _:
            return False


async def _falling_due(system: System, today: date) -> AsyncIterator[UUID]:
    last: Falling | None = None
    while True:
        async with system.pool.connection() as connection:
            found = await falling_due(connection, today, last, AT_ONCE)
        if not found:
            return
        for _, letter_id in found:
            yield letter_id
        last = found[-1]
