"""A person one deals with at an organisation: added, changed, archived, forgotten; he stays with that organisation."""

from typing import ClassVar, assert_never
from uuid import UUID

from msgspec import UNSET, Struct, convert
from msgspec.structs import asdict, replace

from domain.contact.commands import AddContact, ArchiveContact, ChangeContact, ContactCommand, EraseContact
from domain.contact.events import (
    ContactAdded,
    ContactArchived,
    ContactChanged,
    ContactErased,
    ContactEvent,
    Details,
)
from domain.shared import DomainError, FieldError, Kind, Rules


class Nothing(Struct, frozen=True):
    """Nobody, yet."""


class Known(Struct, frozen=True, kw_only=True):
    organisation_id: UUID
    details: Details


class Archived(Struct, frozen=True, kw_only=True):
    organisation_id: UUID
    details: Details


class Erased(Struct, frozen=True, kw_only=True):
    """He was forgotten; `responsible_id` is who answered for him."""

    organisation_id: UUID
    responsible_id: UUID | None


Contact = Nothing | Known | Archived | Erased


class ContactUnknown(DomainError):
    """No contact has this id, or it is not yours to know."""

    code: ClassVar[str] = "contact.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


class ContactIsArchived(DomainError):
    """An archived contact cannot be changed."""

    code: ClassVar[str] = "contact.archived"
    kind: ClassVar[Kind] = Kind.CONFLICT


class ContactIsErased(DomainError):
    """The person was forgotten: the record is empty, and stays so."""

    code: ClassVar[str] = "contact.erased"
    kind: ClassVar[Kind] = Kind.CONFLICT


class ContactNameless(DomainError):
    """A contact has a first or a last name at least."""

    code: ClassVar[str] = "contact.nameless"
    kind: ClassVar[Kind] = Kind.INVALID


def decide(contact: Contact, command: ContactCommand) -> tuple[ContactEvent, ...]:
    match command:
        case AddContact():
            return add(contact, command)
        case ChangeContact():
            return change(contact, command)
        case ArchiveContact():
            return archive(contact, command)
        case EraseContact():
            return erase(contact, command)
        case _:
            assert_never(command)


def add(contact: Contact, command: AddContact) -> tuple[ContactEvent, ...]:
    if not isinstance(contact, Nothing):
        raise ContactIsArchived("This id is taken.")
    _named(command)
    return (ContactAdded(**asdict(command)),)


def change(contact: Contact, command: ChangeContact) -> tuple[ContactEvent, ...]:
    match contact:
        case Nothing():
            raise ContactUnknown("There is no such contact.")
        case Archived():
            raise ContactIsArchived("An archived contact cannot be changed.")
        case Erased():
            raise ContactIsErased("This person was forgotten.")
        case Known(details=before):
            given = convert(command.changes, ContactChanged)
            new = {
                name: value
                for name in command.changes
                if (value := getattr(given, name)) != getattr(before, name)
            }
            _named(replace(before, **new))
            return (ContactChanged(**new),) if new else ()
        case _:
            assert_never(contact)


def archive(contact: Contact, command: ArchiveContact) -> tuple[ContactEvent, ...]:
    match contact:
        case Nothing():
            raise ContactUnknown("There is no such contact.")
        case Archived():
            return ()
        case Erased():
            raise ContactIsErased("This person was forgotten.")
        case Known():
            return (ContactArchived(reason=command.reason),)
        case _:
            assert_never(contact)


def erase(contact: Contact, command: EraseContact) -> tuple[ContactEvent, ...]:
    match contact:
        case Nothing():
            raise ContactUnknown("There is no such contact.")
        case Erased():
            return ()
        case Known() | Archived():
            return (ContactErased(reason=command.reason),)
        case _:
            assert_never(contact)


def _named(details: Details) -> None:
    if details.first_name is None and details.last_name is None:
        wrong = FieldError(pointer="/last_name", code="missing", detail="Give a first or a last name.")
        raise ContactNameless("A contact has a name.", errors=(wrong,))


def evolve(contact: Contact, event: ContactEvent) -> Contact:
    match event:
        case ContactAdded():
            details = convert(event, Details, from_attributes=True)
            return Known(organisation_id=event.organisation_id, details=details)
        case ContactChanged():
            assert isinstance(contact, Known)
            new = {name: value for name, value in asdict(event).items() if value is not UNSET}
            return replace(contact, details=replace(contact.details, **new))
        case ContactArchived():
            assert isinstance(contact, Known)
            return Archived(organisation_id=contact.organisation_id, details=contact.details)
        case ContactErased():
            assert isinstance(contact, Known | Archived)
            return Erased(
                organisation_id=contact.organisation_id, responsible_id=contact.details.responsible_id
            )
        case _:
            assert_never(event)


CONTACT: Rules[Contact, ContactCommand, ContactEvent] = Rules(
    initial=Nothing(), decide=decide, evolve=evolve, unknown=ContactUnknown
)
