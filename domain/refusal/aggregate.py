"""Refusals, one after the other: nothing of them decides anything."""

from typing import ClassVar, assert_never

from msgspec import Struct, structs

from domain.refusal.commands import CountRefusals, NoteRefusal, RefusalCommand
from domain.refusal.events import RefusalEvent, RefusalNoted, RefusalsCounted
from domain.shared import DomainError, Kind, Rules


class Refusals(Struct, frozen=True):
    """Whatever was noted: the next one is noted all the same."""


class RefusalUnknown(DomainError):
    """There is no such record of refusals."""

    code: ClassVar[str] = "refusal.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


def decide(_: Refusals, command: RefusalCommand) -> tuple[RefusalEvent, ...]:
    match command:
        case NoteRefusal():
            return (RefusalNoted(**structs.asdict(command)),)
        case CountRefusals():
            if not command.counts:
                return ()
            return (RefusalsCounted(since=command.since, until=command.until, counts=command.counts),)
        case _:
            assert_never(command)


def evolve(refusals: Refusals, _: RefusalEvent) -> Refusals:
    return refusals


REFUSAL: Rules[Refusals, RefusalCommand, RefusalEvent] = Rules(
    initial=Refusals(), decide=decide, evolve=evolve, unknown=RefusalUnknown
)
