"""Letters that answer each other: each answers one at most, and none itself, over however many corners."""

from collections.abc import Collection
from uuid import UUID

from application.access import Caller, Resource, may
from application.ports import Clock, EventStore, Reliance
from domain.letter.aggregate import LETTER, Letter, Nothing, Withdrawn
from domain.letter.refusals import ParentCycle, ParentUnknown, ThreadTooLong
from domain.shared import DomainError, FieldError

VIEW = "letter:view"
LONGEST = 200
"""Letters above another that are read when one is moved."""


class Threads:
    """What a command relies on that says what a letter answers: the versions of the letters above it. None of them is
    another one when append judges, so the way up was as it was read, and a cycle cannot close behind it.
    """

    def __init__(self, store: EventStore, clock: Clock) -> None:
        self._store, self._clock = store, clock

    async def answering(self, parent_id: UUID, caller: Caller) -> Reliance:
        """For a letter that is new: nothing can answer it yet. Raises ParentUnknown."""
        _, version = await self._parent(parent_id, caller)
        return Reliance(reads=((parent_id, version),))

    async def moving(self, letter_id: UUID, parent_id: UUID, caller: Caller) -> Reliance:
        """For a letter that answers another one from now on. Raises ParentUnknown, ParentCycle, ThreadTooLong."""
        if parent_id == letter_id:
            raise _wrong(ParentCycle, "A letter does not answer itself.")
        letter, version = await self._parent(parent_id, caller)
        reads = [(parent_id, version)]
        while (above := _parent_of(letter)) is not None:
            if above == letter_id:
                raise _wrong(ParentCycle, "That letter answers this one already.")
            if len(reads) == LONGEST:
                raise _wrong(ThreadTooLong, f"More than {LONGEST} letters answer each other there.")
            loaded = await self._store.load(LETTER, above, fresh=True)
            letter = loaded.state
            reads.append((above, loaded.version))
        return Reliance(reads=tuple(reads))

    async def _parent(self, parent_id: UUID, caller: Caller) -> tuple[Letter, int]:
        loaded = await self._store.load(LETTER, parent_id, fresh=True)
        letter: Letter = loaded.state
        if isinstance(letter, Nothing | Withdrawn) or not self._sees(caller, letter):
            raise _wrong(ParentUnknown, "No letter that can be answered has this id.")
        return letter, loaded.version

    def _sees(self, caller: Caller, letter: Letter) -> bool:
        return may(caller, VIEW, of(letter), self._clock()) is not None


def of(letter: Letter) -> Resource:
    """The letter as scopes see it."""
    return Resource() if isinstance(letter, Nothing) else within(letter.details.organisation_ids)


def within(organisation_ids: Collection[UUID]) -> Resource:
    """A letter lies in the scope of each of its organisations."""
    return Resource(scopes=frozenset(("organisation", str(each)) for each in organisation_ids))


def _parent_of(letter: Letter) -> UUID | None:
    return None if isinstance(letter, Nothing) else letter.details.parent_id


def _wrong(refusal: type[DomainError], detail: str) -> DomainError:
    return refusal(detail, errors=(FieldError(pointer="/parent_id", code="unknown", detail=detail),))
