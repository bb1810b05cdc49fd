"""A document of an organisation, of one type: version after version, and nothing of it is ever overwritten."""

from collections.abc import Iterator
from typing import ClassVar
from uuid import UUID

from msgspec import Struct, convert
from msgspec.structs import asdict, replace

from domain.document.commands import DocumentCommand
from domain.document.events import DocumentEvent, DocumentRecorded, Paper
from domain.shared import DomainError, FieldError, Kind, Rules


class Nothing(Struct, frozen=True):
    """No version yet."""


class Recorded(Struct, frozen=True, kw_only=True):
    """The newest version, and the files of all."""

    organisation_id: UUID
    number: int
    paper: Paper
    bound: tuple[UUID, ...]


Document = Nothing | Recorded


class DocumentUnknown(DomainError):
    """The organisation has no such document, or it is not yours to know."""

    code: ClassVar[str] = "document.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


class DocumentInvalid(DomainError):
    """There is no file and no word that it is confidential, or both, or its dates make no sense."""

    code: ClassVar[str] = "document.invalid"
    kind: ClassVar[Kind] = Kind.INVALID


class DocumentHasFile(DomainError):
    """There is a file on record: the mark `confidential` takes its place only where `replace` says so."""

    code: ClassVar[str] = "document.has_file"
    kind: ClassVar[Kind] = Kind.CONFLICT


def decide(document: Document, command: DocumentCommand) -> tuple[DocumentEvent, ...]:
    before = document.paper if isinstance(document, Recorded) else None
    if wrong := tuple(_wrong(command, first=before is None)):
        raise DocumentInvalid("The document makes no sense like this.", errors=wrong)
    paper = convert(command, Paper, from_attributes=True)
    if before is not None and not command.confidential and command.file_id is None:
        paper = replace(paper, file_id=before.file_id)
    if before is not None and command.confidential and before.file_id is not None and not command.replace:
        raise DocumentHasFile("Its file stays, unless `replace` says otherwise.", file_id=str(before.file_id))
    if paper == before:
        return ()
    bound = document.bound if isinstance(document, Recorded) else ()
    new = () if paper.file_id is None or paper.file_id in bound else (paper.file_id,)
    return (
        DocumentRecorded(
            **asdict(paper),
            organisation_id=command.organisation_id,
            type_id=command.type_id,
            prefix=command.prefix,
            is_main=command.is_main,
            number=1 if isinstance(document, Nothing) else document.number + 1,
            bound=(*bound, *new),
        ),
    )


def _wrong(command: DocumentCommand, *, first: bool) -> Iterator[FieldError]:
    if command.confidential and command.file_id is not None:
        yield FieldError(pointer="/confidential", code="contradicts", detail="Either a file, or this.")
    if first and not command.confidential and command.file_id is None:
        yield FieldError(
            pointer="/file_id", code="missing", detail="A file, or `confidential` where there is none."
        )
    days = {"/date_approved": command.date_approved}
    if command.letter is not None:
        if command.letter.sender_date is not None:
            days["/letter/sender_date"] = command.letter.sender_date
        if command.letter.received_on is not None:
            days["/letter/received_on"] = command.letter.received_on
    for pointer, day in days.items():
        if day > command.latest:
            yield FieldError(pointer=pointer, code="future", detail="This day has not come yet.")
    sent, received = days.get("/letter/sender_date"), days.get("/letter/received_on")
    if sent is not None and received is not None and received < sent:
        yield FieldError(pointer="/letter/received_on", code="order", detail="It was sent later than that.")


def evolve(document: Document, event: DocumentEvent) -> Document:  # noqa: ARG001 - each version tells the whole
    return Recorded(
        organisation_id=event.organisation_id,
        number=event.number,
        paper=convert(event, Paper, from_attributes=True),
        bound=event.bound,
    )


DOCUMENT: Rules[Document, DocumentCommand, DocumentEvent] = Rules(
    initial=Nothing(), decide=decide, evolve=evolve, unknown=DocumentUnknown
)
