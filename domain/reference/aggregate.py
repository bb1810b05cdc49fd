"""A list of reference data: districts, regions, industries. Loaded as a whole; the same again changes nothing."""

from typing import ClassVar

from msgspec import Struct

from domain.reference.commands import ReferenceCommand
from domain.reference.events import Entry, ReferenceEvent, ReferenceLoaded
from domain.shared import DomainError, Kind, Rules


class List(Struct, frozen=True, kw_only=True):
    entries: tuple[Entry, ...] = ()


class ReferenceUnknown(DomainError):
    """There is no such list."""

    code: ClassVar[str] = "reference.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


class ReferenceInvalid(DomainError):
    """The list is empty, or names a code twice."""

    code: ClassVar[str] = "reference.invalid"
    kind: ClassVar[Kind] = Kind.INVALID


def decide(known: List, command: ReferenceCommand) -> tuple[ReferenceEvent, ...]:
    codes = [entry.code for entry in command.entries]
    if not codes or len(codes) != len(set(codes)):
        raise ReferenceInvalid("A list has entries, each code once.")
    if known.entries == command.entries:
        return ()
    return (ReferenceLoaded(kind=command.kind, entries=command.entries),)


def evolve(known: List, event: ReferenceEvent) -> List:  # noqa: ARG001 - each event tells the whole
    return List(entries=event.entries)


REFERENCE: Rules[List, ReferenceCommand, ReferenceEvent] = Rules(
    initial=List(), decide=decide, evolve=evolve, unknown=ReferenceUnknown
)
