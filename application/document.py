"""Documents of organisations: versions put on record."""

from typing import ClassVar, Protocol
from uuid import UUID

from msgspec import structs

from application.access import Need, Resource
from application.context import Context, DryRun
from application.execute import Execute
from application.party import Parties
from application.ports import NOTHING_ELSE, Answer, ClaimTaken, EventStore, Reliance
from application.resource import latest
from domain.document.aggregate import DOCUMENT, Document
from domain.document.aggregate import Nothing as NoDocument
from domain.document.commands import RecordDocument
from domain.document.events import document_id
from domain.document_type.aggregate import DOCUMENT_TYPE, Nothing
from domain.organisation.aggregate import OrganisationIsArchived
from domain.shared import DomainError, FieldError, Kind

VIEW = "document:view"
CREATE = "document:create"


class TypeUnknown(DomainError):
    """Types of documents are named by their ids: GET /document-types lists them."""

    code: ClassVar[str] = "document.type_unknown"
    kind: ClassVar[Kind] = Kind.INVALID


class Papers(Protocol):
    """What files are, to a document that binds one."""

    async def paper(self, file_id: UUID, owner_id: UUID, document_id: UUID) -> Reliance:
        """That it is a PDF of the caller's own, complete and free, or bound by this document already."""
        ...

    def taken(self, taken: ClaimTaken) -> DomainError: ...


class Documents:
    """A document lies in the scope `organisation/<its organisation>`."""

    def __init__(self, execute: Execute, store: EventStore, parties: Parties, papers: Papers) -> None:
        self._execute, self._store, self._parties, self._papers = execute, store, parties, papers

    async def record(self, command: RecordDocument, context: Context) -> Answer | DryRun:
        """The first version (201) or the next (200). Raises OrganisationUnknown, OrganisationIsArchived, TypeUnknown,
        DocumentInvalid, DocumentHasFile, FileNotYours, FileAlreadyBound.
        """
        party = await self._parties.viewable(command.organisation_id, context)
        kind = (await self._store.load(DOCUMENT_TYPE, command.type_id)).state
        if not isinstance(kind, Nothing):
            command = structs.replace(command, prefix=kind.prefix, is_main=kind.is_main)
        stream_id = document_id(command.organisation_id, command.type_id)

        async def reliance() -> Reliance:
            opened = await self._parties.open(party)
            if opened is None:
                raise OrganisationIsArchived("An archived organisation gets no new documents.")
            if isinstance(kind, Nothing):
                wrong = FieldError(pointer="/type_id", code="unknown", detail="No type has this id.")
                raise TypeUnknown("There is no such type of document.", errors=(wrong,))
            paper = NOTHING_ELSE
            if command.file_id is not None:
                paper = await self._papers.paper(command.file_id, context.caller.actor.id, stream_id)
            return Reliance(require=(*opened.require, *paper.require))

        return await self._execute(
            DOCUMENT,
            stream_id,
            structs.replace(command, latest=latest(self._execute.clock())),
            context,
            Need(right=CREATE),
            upsert=True,
            made=lambda events: any(event.number == 1 for event in events),
            resource=lambda _: _within(party.id),
            relies=reliance,
            taken=self._papers.taken,
        )


def of(document: Document) -> Resource:
    """The document as scopes see it: its organisation's."""
    return Resource() if isinstance(document, NoDocument) else _within(document.organisation_id)


def _within(organisation_id: UUID) -> Resource:
    return Resource(scopes=frozenset({("organisation", str(organisation_id))}))
