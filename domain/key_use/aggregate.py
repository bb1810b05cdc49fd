"""Key uses, one after the other: nothing of them decides anything."""

from typing import ClassVar, assert_never

from msgspec import Struct, structs

from domain.key_use.commands import CountKeyUses, KeyUseCommand, NoteKeyUse
from domain.key_use.events import KeyUseEvent, KeyUseNoted, KeyUsesCounted
from domain.shared import DomainError, Kind, Rules


class KeyUses(Struct, frozen=True):
    """Whatever was noted: the next one is noted all the same."""


class KeyUseUnknown(DomainError):
    """There is no such record of key uses."""

    code: ClassVar[str] = "key_use.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


def decide(_: KeyUses, command: KeyUseCommand) -> tuple[KeyUseEvent, ...]:
    match command:
        case NoteKeyUse():
            requests = sum(command.routes.values())
            return (KeyUseNoted(**structs.asdict(command), requests=requests),) if requests else ()
        case CountKeyUses():
            return (KeyUsesCounted(**structs.asdict(command)),) if command.counts else ()
        case _:
            assert_never(command)


def evolve(uses: KeyUses, _: KeyUseEvent) -> KeyUses:
    return uses


KEY_USE: Rules[KeyUses, KeyUseCommand, KeyUseEvent] = Rules(
    initial=KeyUses(), decide=decide, evolve=evolve, unknown=KeyUseUnknown
)
