"""GET of invoices, and of their PDFs."""

from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec
from litestar import Router, get
from msgspec import Struct

from api.answers import Answer, Header, Page, json_answer, record
from api.auth import caller_of
from api.lists import LIST_PARAMETERS, Lists, Wanted
from api.openapi import problems
from api.problems import NotFound
from api.queries.contract import ContractSight, resource_of
from api.queries.file import Contents, Download, disposition, holds
from api.queries.records import Asked, Clock, Found, IfNoneMatch, MinPosition, Read, Records
from api.refs import Ref
from application.access import Forbidden, require
from infrastructure.audience import visible
from infrastructure.papers.invoice_papers import Paper
from projections.invoice import LISTING, Invoice

INVOICE = "contract:invoice"


class Place(Protocol):
    @property
    def contract_id(self) -> UUID: ...
    @property
    def invoice_id(self) -> UUID: ...


class Finder(Protocol):
    async def find(self, ref: str) -> Place | None:
        """Where the invoice stands that an id or a number names."""
        ...


class Papers(Protocol):
    async def find(self, invoice_id: UUID) -> Paper | None: ...
    async def ask(self, contract_id: UUID, invoice_id: UUID, now: datetime) -> None: ...


class Reads(Struct, frozen=True):
    """The read models that an answer is made of."""

    invoice: Read
    contract: Read


class Making(Struct, frozen=True, kw_only=True):
    """The PDF is being made: come again."""

    state: str


class _Number(Struct, frozen=True):
    number: str


_number = msgspec.json.Decoder(_Number)


def routes(
    records: Records,
    reads: Reads,
    finder: Finder,
    papers: Papers,
    contents: Contents,
    lists: Lists,
    clock: Clock,
) -> Router:
    sight = ContractSight(clock)

    async def one(request: Asked, ref: str, at_least: str | None) -> tuple[Place, Found]:
        """Raises NotFound, Forbidden."""
        await records.others(at_least, reads.invoice, reads.contract)
        place = await finder.find(ref)
        if place is None:
            raise NotFound
        contract, invoice = await reads.contract(place.contract_id), await reads.invoice(place.invoice_id)
        caller = caller_of(request)
        if not invoice.version or not contract.version or not sight.sees(caller, contract.view):
            raise NotFound
        require(caller, INVOICE, clock(), resource_of(contract.view))
        return place, invoice

    @get("/", dependencies=LIST_PARAMETERS)
    async def invoices(request: Asked, wanted: Wanted, at_least: MinPosition = None) -> Answer[Page[Invoice]]:
        """The invoices you may view, newest first; `open`: not wholly credited."""
        scope = visible(caller_of(request), LISTING, clock())
        return await lists.page(request, LISTING, wanted, at_least=at_least, scope=scope)

    @get("/{ref:str}", responses=problems(Forbidden))
    async def invoice(
        request: Asked, ref: Ref, at_least: MinPosition = None, if_none_match: IfNoneMatch = None
    ) -> Answer[Invoice]:
        """One invoice, by its id or its number."""
        _, found = await one(request, ref, at_least)
        return record(found.view, found.version, found.position, if_none_match)

    @get("/{ref:str}/pdf", media_type="*/*", responses=problems(Forbidden))
    async def invoice_pdf(
        request: Asked, ref: Ref, at_least: MinPosition = None, if_none_match: IfNoneMatch = None
    ) -> Answer[bytes]:
        """The invoice as PDF/A-3b, always the same bytes; 202 until it is made."""
        place, found = await one(request, ref, at_least)
        paper = await papers.find(place.invoice_id)
        position = (b"x-projection-position", b"%d" % found.position)
        if paper is None:
            await papers.ask(place.contract_id, place.invoice_id, clock())
            return json_answer(Making(state="making"), status=202, headers=[(b"retry-after", b"1"), position])
        tag = f'"{paper.sha256}"'
        headers: list[Header] = [(b"etag", tag.encode()), (b"cache-control", b"private, no-cache"), position]
        if if_none_match is not None and holds(if_none_match, tag):
            return Answer(304, b"", headers)
        name = f"{_number.decode(found.view).number}.pdf"
        headers += [
            (b"content-type", b"application/pdf"),
            (b"content-length", b"%d" % paper.size),
            (b"content-disposition", disposition(name).encode()),
        ]
        return Download(contents, place.invoice_id, headers)

    return Router("/invoices", route_handlers=[invoices, invoice, invoice_pdf])
