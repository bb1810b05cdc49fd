"""An organisation in the register: it is added, changed and archived; it is never deleted."""

from typing import Any, ClassVar, assert_never

import msgspec
from msgspec import Struct

from domain.organisation.commands import (
    AddOrganisation,
    ArchiveOrganisation,
    ChangeOrganisation,
    OrganisationCommand,
)
from domain.organisation.events import (
    Details,
    OrganisationAdded,
    OrganisationArchived,
    OrganisationChanged,
    OrganisationEvent,
)
from domain.shared import DomainError, Kind, Rules


class Nothing(Struct, frozen=True):
    """No such organisation, yet."""


class Registered(Struct, frozen=True, kw_only=True):
    details: Details


class Archived(Struct, frozen=True, kw_only=True):
    details: Details


Organisation = Nothing | Registered | Archived


class OrganisationUnknown(DomainError):
    """No organisation has this id, or it is not yours to know."""

    code: ClassVar[str] = "organisation.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


class OrganisationDuplicate(DomainError):
    """Another organisation has the same (inn, kpp) or (siren, nic); `candidates` names it."""

    code: ClassVar[str] = "organisation.duplicate"
    kind: ClassVar[Kind] = Kind.CONFLICT


class OrganisationIsArchived(DomainError):
    """An archived organisation cannot be changed."""

    code: ClassVar[str] = "organisation.archived"
    kind: ClassVar[Kind] = Kind.CONFLICT


def decide(organisation: Organisation, command: OrganisationCommand) -> tuple[OrganisationEvent, ...]:
    match command:
        case AddOrganisation():
            return add(organisation, command)
        case ChangeOrganisation():
            return change(organisation, command)
        case ArchiveOrganisation():
            return archive(organisation, command)
        case _:
            assert_never(command)


def add(organisation: Organisation, command: AddOrganisation) -> tuple[OrganisationEvent, ...]:
    match organisation:
        case Nothing():
            return (OrganisationAdded(**msgspec.structs.asdict(command)),)
        case Registered() | Archived():
            raise OrganisationDuplicate("This id is taken.")
        case _:
            assert_never(organisation)


def change(organisation: Organisation, command: ChangeOrganisation) -> tuple[OrganisationEvent, ...]:
    match organisation:
        case Nothing():
            raise OrganisationUnknown("There is no such organisation.")
        case Archived():
            raise OrganisationIsArchived("An archived organisation cannot be changed.")
        case Registered(details=before):
            after = merged(before, command.changes)
            new = {
                name: value
                for name in command.changes
                if (value := getattr(after, name)) != getattr(before, name)
            }
            return (OrganisationChanged(**new),) if new else ()
        case _:
            assert_never(organisation)


def archive(organisation: Organisation, command: ArchiveOrganisation) -> tuple[OrganisationEvent, ...]:
    match organisation:
        case Nothing():
            raise OrganisationUnknown("There is no such organisation.")
        case Archived():
            return ()
        case Registered():
            return (OrganisationArchived(reason=command.reason),)
        case _:
            assert_never(organisation)


def merged(details: Details, changes: dict[str, Any]) -> Details:
    """`changes` laid over `details` as RFC 7396 merges: an absent member stays, null clears."""
    return msgspec.convert(_laid_over(msgspec.to_builtins(details), changes), Details)


def _laid_over(before: Any, changes: dict[str, Any]) -> dict[str, Any]:
    after = dict(before) if isinstance(before, dict) else {}
    for name, value in changes.items():
        if isinstance(value, dict):
            after[name] = _laid_over(after.get(name), value)
        elif value is None:
            after.pop(name, None)
        else:
            after[name] = value
    return after


def evolve(organisation: Organisation, event: OrganisationEvent) -> Organisation:
    match event:
        case OrganisationAdded():
            return Registered(details=msgspec.convert(event, Details, from_attributes=True))
        case OrganisationChanged():
            assert not isinstance(organisation, Nothing)
            new = {
                name: value
                for name, value in msgspec.structs.asdict(event).items()
                if value is not msgspec.UNSET
            }
            return Registered(details=msgspec.structs.replace(organisation.details, **new))
        case OrganisationArchived():
            assert not isinstance(organisation, Nothing)
            return Archived(details=organisation.details)
        case _:
            assert_never(event)


ORGANISATION: Rules[Organisation, OrganisationCommand, OrganisationEvent] = Rules(
    initial=Nothing(), decide=decide, evolve=evolve, unknown=OrganisationUnknown
)
