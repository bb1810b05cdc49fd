"""A module of another system, registered so that rights to it can be granted here."""

from typing import ClassVar, assert_never

from msgspec import Struct, convert

from domain.module.commands import ModuleCommand
from domain.module.events import Details, ModuleChanged, ModuleEvent, ModuleRegistered
from domain.shared import DomainError, Kind, Rules


class Nothing(Struct, frozen=True):
    """Not registered."""


class Registered(Struct, frozen=True, kw_only=True):
    details: Details


Module = Nothing | Registered


class ModuleUnknown(DomainError):
    """No module has this name."""

    code: ClassVar[str] = "module.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


def decide(module: Module, command: ModuleCommand) -> tuple[ModuleEvent, ...]:
    details = convert(command, Details, from_attributes=True)
    match module:
        case Nothing():
            return (convert(command, ModuleRegistered, from_attributes=True),)
        case Registered(details=before):
            return () if before == details else (convert(command, ModuleChanged, from_attributes=True),)
        case _:
            assert_never(module)


def evolve(module: Module, event: ModuleEvent) -> Module:  # noqa: ARG001 - each event tells the whole
    return Registered(details=convert(event, Details, from_attributes=True))


MODULE: Rules[Module, ModuleCommand, ModuleEvent] = Rules(
    initial=Nothing(), decide=decide, evolve=evolve, unknown=ModuleUnknown
)
