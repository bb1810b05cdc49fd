"""POST of organisation documents and of their types."""

from typing import Annotated, Any

import msgspec
from litestar import Router, patch, post
from litestar.params import JSONBody
from msgspec import UNSET, Meta, UnsetType

from api.answers import Answer, Receipt
from api.asking import Asked, DryRunFlag, IdempotencyKey, IfMatch, answered, context
from api.fields import END, Body, Day, Id, LongText, Name
from api.openapi import problems
from api.refs import Ref, id_of
from application.document import Documents, TypeUnknown
from application.document_type import DocumentTypes, prefix_of
from application.file import FileAlreadyBound, FileNotYours
from domain.document.aggregate import DocumentHasFile, DocumentInvalid
from domain.document.commands import RecordDocument
from domain.document_type.aggregate import DocumentTypeUnknown, PrefixFirm, PrefixTaken
from domain.document_type.commands import AddDocumentType
from domain.organisation.aggregate import OrganisationIsArchived, OrganisationUnknown

TYPES = "/api/v1/document-types"

Prefix = Annotated[
    str,
    Meta(
        pattern=rf"^[A-Za-z0-9][A-Za-z0-9_-]{{0,49}}{END}",
        examples=["charter"],
        description="letters, digits, _ and -, at most 50; names files and filters",
    ),
]
InventoryNumber = Annotated[str, Meta(min_length=1, max_length=70, examples=["INV-17"])]


class LetterBody(Body, frozen=True, kw_only=True):
    """The letter that brought the document."""

    sender_number: InventoryNumber | None = None
    sender_date: Day | None = None
    received_on: Day | None = None


class RecordDocumentBody(Body, frozen=True, kw_only=True):
    """With a file, or `confidential` where the original is kept elsewhere. A document that is on record already gets
    another version; with neither, its file stays. `replace`: the mark may take the place of a file.
    """

    type_id: Id
    date_approved: Day
    file_id: Id | None = None
    confidential: bool = False
    replace: bool = False
    props: LongText | None = None
    inventory_number: InventoryNumber | None = None
    comment: LongText | None = None
    letter: LetterBody | None = None


class AddDocumentTypeBody(Body, frozen=True, kw_only=True):
    """Without a prefix one is made of the name's consonants."""

    name: Name
    prefix: Prefix | None = None
    is_main: bool = False


class ChangeDocumentTypeBody(Body, frozen=True, kw_only=True):
    name: Name | UnsetType = UNSET
    prefix: Prefix | UnsetType = UNSET
    is_main: bool | UnsetType = UNSET


def routes(documents: Documents, types: DocumentTypes) -> list[Router]:
    @post(
        "/{ref:str}/documents",
        responses=problems(
            OrganisationUnknown,
            OrganisationIsArchived,
            TypeUnknown,
            DocumentInvalid,
            DocumentHasFile,
            FileNotYours,
            FileAlreadyBound,
        ),
    )
    async def record_document(
        request: Asked,
        ref: Ref,
        data: JSONBody[RecordDocumentBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Put a version of a document on record: the first of its type (201), or the next (200)."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        organisation_id = id_of(ref)
        given: dict[str, Any] = msgspec.to_builtins(data)
        command = msgspec.convert({**given, "organisation_id": organisation_id}, RecordDocument)
        said = await documents.record(command, asked)
        return answered(said, at=f"/api/v1/organisations/{organisation_id}/documents")

    @post("/", responses=problems(PrefixTaken))
    async def add_document_type(
        request: Asked,
        data: JSONBody[AddDocumentTypeBody],
        *,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Add a type of document. `is_main`: an organisation that has one has an agreement with us."""
        asked = context(request, data, None, idempotency_key, dry_run=dry_run)
        prefix = data.prefix or prefix_of(data.name)
        command = AddDocumentType(name=data.name, prefix=prefix, is_main=data.is_main)
        return answered(await types.add(command, asked), at=TYPES)

    @patch("/{ref:str}", responses=problems(DocumentTypeUnknown, PrefixFirm))
    async def change_document_type(
        request: Asked,
        ref: Ref,
        data: JSONBody[ChangeDocumentTypeBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Change its name, or whether it is the main one. The prefix is firm."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        changes: dict[str, Any] = msgspec.to_builtins(data)
        return answered(await types.change(id_of(ref), changes, asked))

    return [
        Router("/organisations", route_handlers=[record_document], tags=["Documents"]),
        Router(
            "/document-types", route_handlers=[add_document_type, change_document_type], tags=["Documents"]
        ),
    ]
