"""A type of organisation document: a charter, a licence, the agreement itself. It is never deleted."""

from typing import ClassVar, assert_never

from msgspec import UNSET, Struct
from msgspec.structs import asdict, replace

from domain.document_type.commands import AddDocumentType, ChangeDocumentType, DocumentTypeCommand
from domain.document_type.events import DocumentTypeAdded, DocumentTypeChanged, DocumentTypeEvent
from domain.shared import DomainError, Kind, Rules


class Nothing(Struct, frozen=True):
    """No such type, yet."""


class Listed(Struct, frozen=True, kw_only=True):
    name: str
    prefix: str
    is_main: bool


DocumentType = Nothing | Listed


class DocumentTypeUnknown(DomainError):
    """No type of document has this id."""

    code: ClassVar[str] = "document_type.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


class PrefixTaken(DomainError):
    """Another type of document has this prefix; upper and lower case are the same."""

    code: ClassVar[str] = "document_type.prefix_taken"
    kind: ClassVar[Kind] = Kind.CONFLICT


class PrefixFirm(DomainError):
    """A prefix stays: names of files and filters that people keep stand on it."""

    code: ClassVar[str] = "document_type.prefix_firm"
    kind: ClassVar[Kind] = Kind.CONFLICT


def decide(known: DocumentType, command: DocumentTypeCommand) -> tuple[DocumentTypeEvent, ...]:
    match command:
        case AddDocumentType():
            if isinstance(known, Listed):
                raise PrefixTaken("This id is taken.")
            return (DocumentTypeAdded(**asdict(command)),)
        case ChangeDocumentType():
            if isinstance(known, Nothing):
                raise DocumentTypeUnknown("There is no such type of document.")
            return change(known, command)
        case _:
            assert_never(command)


def change(known: Listed, command: ChangeDocumentType) -> tuple[DocumentTypeEvent, ...]:
    new = {name: value for name, value in command.changes.items() if value != getattr(known, name)}
    if "prefix" in new:
        raise PrefixFirm("The prefix stays as it is.")
    return (DocumentTypeChanged(**new),) if new else ()


def evolve(known: DocumentType, event: DocumentTypeEvent) -> DocumentType:
    match event:
        case DocumentTypeAdded():
            return Listed(**asdict(event))
        case DocumentTypeChanged():
            assert isinstance(known, Listed)
            return replace(
                known, **{name: value for name, value in asdict(event).items() if value is not UNSET}
            )
        case _:
            assert_never(event)


DOCUMENT_TYPE: Rules[DocumentType, DocumentTypeCommand, DocumentTypeEvent] = Rules(
    initial=Nothing(), decide=decide, evolve=evolve, unknown=DocumentTypeUnknown
)
