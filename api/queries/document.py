"""GET of organisation documents, their contents, and their types."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Router, get
from litestar.params import QueryParameter
from msgspec import Struct

from api.answers import Answer, Page
from api.auth import caller_of
from api.conditions import min_position
from api.confidential import PLACEHOLDER
from api.lists import LIST_PARAMETERS, Lists, Wanted
from api.openapi import problems
from api.problems import NotFound
from api.queries.file import Contents, Download, FileNotReady, Viewer, disposition
from api.queries.past import History
from api.queries.records import Asked, Clock, IfNoneMatch, MinPosition, Progress, Read, Records
from api.refs import Ref, id_of
from application.access import Caller, Resource, may
from projections.conditions import where
from projections.document import LISTING, Document
from projections.document_type import LISTING as TYPES
from projections.document_type import DocumentType
from projections.file import File

VIEW = "document:view"
SHORT = 20

Number = Annotated[
    int | None, QueryParameter(name="number", description="An earlier version's content.", ge=1)
]


class _Scope(Struct, frozen=True):
    organisation_id: UUID


_scope = msgspec.json.Decoder(_Scope)
_document = msgspec.json.Decoder(Document)
_type = msgspec.json.Decoder(DocumentType)
_file = msgspec.json.Decoder(File)


class _Named(Struct, frozen=True):
    full_name: str
    short_name: str | None = None


_named = msgspec.json.Decoder(_Named)


class DocumentSight:
    """Implements Sight."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def sees(self, caller: Caller, record: bytes) -> bool:
        return self.sees_those_of(caller, _scope.decode(record).organisation_id)

    def sees_those_of(self, caller: Caller, organisation_id: UUID) -> bool:
        about = Resource(scopes=frozenset({("organisation", str(organisation_id))}))
        return may(caller, VIEW, about, self._clock()) is not None

    def hidden(self, caller: Caller, record_id: UUID) -> frozenset[str]:  # noqa: ARG002 - the same for all
        return frozenset()


def viewer(read_document: Read, clock: Clock) -> Viewer:
    """Who may view a document sees the files that it binds."""
    sight = DocumentSight(clock)

    async def views(caller: Caller, document_id: UUID) -> bool:
        found = await read_document(document_id)
        return bool(found.version) and sight.sees(caller, found.view)

    return views


class Reads(Struct, frozen=True):
    """Single records that a document's download is named after and read from."""

    document: Read
    type: Read
    organisation: Read
    file: Read


def routes(
    records: Records,
    reads: Reads,
    contents: Contents,
    lists: Lists,
    progress: Progress,
    clock: Clock,
) -> list[Router]:
    sight = DocumentSight(clock)

    async def document_of(request: Asked, ref: str, document: str) -> Document:
        """Raises NotFound."""
        found = await reads.document(id_of(document))
        if not found.version or not sight.sees(caller_of(request), found.view):
            raise NotFound
        one = _document.decode(found.view)
        if one.organisation_id != id_of(ref):
            raise NotFound
        return one

    @get("/{ref:str}/documents", dependencies=LIST_PARAMETERS)
    async def documents(
        request: Asked, ref: Ref, wanted: Wanted, at_least: MinPosition = None
    ) -> Answer[Page[Document]]:
        """One organisation's documents, each as its newest version has it."""
        organisation_id = id_of(ref)
        seen = sight.sees_those_of(caller_of(request), organisation_id)
        await records.others(at_least, reads.organisation)
        if not seen or not (await reads.organisation(organisation_id)).version:
            raise NotFound
        of_it = where("{column} = %s", "organisation_id", organisation_id)
        return await lists.page(request, LISTING, wanted, at_least=at_least, scope=of_it)

    @get("/{ref:str}/documents/{document:str}")
    async def document(
        request: Asked,
        ref: Ref,
        document: Ref,
        at_least: MinPosition = None,
        if_none_match: IfNoneMatch = None,
    ) -> Answer[Document]:
        """One document with all its versions."""
        shown = await records.one(request, id_of(document), at_least=at_least, if_none_match=if_none_match)
        await document_of(request, ref, document)
        return shown

    @get("/{ref:str}/documents/{document:str}/history")
    async def document_history(
        request: Asked, ref: Ref, document: Ref, at_least: MinPosition = None
    ) -> Answer[History]:
        """Who put which version on record, when."""
        await records.others(at_least, reads.document)
        await document_of(request, ref, document)
        return await records.history(request, id_of(document), at_least=at_least)

    @get("/{ref:str}/documents/{document:str}/content", media_type="*/*", responses=problems(FileNotReady))
    async def document_content(
        request: Asked, ref: Ref, document: Ref, number: Number = None, at_least: MinPosition = None
    ) -> Answer[bytes]:
        """The PDF of the newest version, or of an earlier one; of a confidential one a page that says so."""
        if (position := min_position(at_least)) is not None:
            for model in (reads.document, reads.file):
                await progress.reached(model.name, position)
        one = await document_of(request, ref, document)
        version = next((each for each in one.versions if each.number == (number or len(one.versions))), None)
        if version is None:
            raise NotFound
        name = await _file_name(one, version.date_approved.isoformat())
        headers = [
            (b"content-type", b"application/pdf"),
            (b"content-disposition", disposition(name).encode()),
            (b"cache-control", b"private, no-cache"),
        ]
        if version.file_id is None:
            return Answer(200, PLACEHOLDER, headers)
        file = await reads.file(version.file_id)
        stored = _file.decode(file.view) if file.version else None
        if stored is None or stored.state != "stored":
            raise FileNotReady
        return Download(contents, stored.object_id, [*headers, (b"content-length", b"%d" % stored.size)])

    async def _file_name(one: Document, day: str) -> str:
        """As the register always named them: day, organisation and type, twenty characters of each."""
        owner, kind = await reads.organisation(one.organisation_id), await reads.type(one.type_id)
        names = []
        if owner.version:
            of_it = _named.decode(owner.view)
            names.append((of_it.short_name or of_it.full_name)[:SHORT])
        names.append(_type.decode(kind.view).name[:SHORT] if kind.version else one.prefix)
        return f"{'-'.join((day, *names))}.pdf"

    @get("/", dependencies=LIST_PARAMETERS)
    async def document_types(
        request: Asked, wanted: Wanted, at_least: MinPosition = None
    ) -> Answer[Page[DocumentType]]:
        """The types of organisation documents, by prefix."""
        return await lists.page(request, TYPES, wanted, at_least=at_least)

    return [
        Router("/organisations", route_handlers=[documents, document, document_history, document_content]),
        Router("/document-types", route_handlers=[document_types]),
    ]
