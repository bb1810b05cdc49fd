"""GET of invoices, and of their PDFs and those of their credit notes."""

from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec
from litestar import Router, get
from litestar.params import FromPath
from msgspec import Struct

from api.answers import Answer, Page, record
from api.auth import caller_of
from api.lists import LIST_PARAMETERS, Lists, Wanted
from api.openapi import problems
from api.papers import MAKING, paper_answer
from api.problems import NotFound
from api.queries.contract import ContractSight, resource_of
from api.queries.file import Contents
from api.queries.records import Asked, Clock, Found, IfNoneMatch, MinPosition, Read, Records
from api.refs import Ref
from application.access import Forbidden, require
from infrastructure.audience import visible
from infrastructure.papers.kept import Paper
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
    async def find(self, paper_id: UUID) -> Paper | None: ...
    async def ask_invoice(self, contract_id: UUID, invoice_id: UUID, now: datetime) -> None: ...
    async def ask_credit_note(self, contract_id: UUID, credit_note_id: UUID, now: datetime) -> None: ...


class Reads(Struct, frozen=True):
    """The read models that an answer is made of."""

    invoice: Read
    contract: Read


class _Numbered(Struct, frozen=True):
    id: UUID
    number: str


class _Issued(_Numbered, frozen=True):
    credit_notes: tuple[_Numbered, ...] = ()


_issued = msgspec.json.Decoder(_Issued)


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

    @get("/{ref:str}/pdf", media_type="*/*", responses=problems(Forbidden) | MAKING)
    async def invoice_pdf(
        request: Asked, ref: Ref, at_least: MinPosition = None, if_none_match: IfNoneMatch = None
    ) -> Answer[bytes]:
        """The invoice as PDF/A-3b, always the same bytes; 202 until it is made."""
        place, found = await one(request, ref, at_least)
        paper = await papers.find(place.invoice_id)
        if paper is None:
            await papers.ask_invoice(place.contract_id, place.invoice_id, clock())
        name = f"{_issued.decode(found.view).number}.pdf"
        return paper_answer(contents, place.invoice_id, name, paper, found.position, if_none_match)

    @get("/{ref:str}/credit-notes/{note:str}/pdf", media_type="*/*", responses=problems(Forbidden) | MAKING)
    async def credit_note_pdf(
        request: Asked,
        ref: Ref,
        note: FromPath[str],
        at_least: MinPosition = None,
        if_none_match: IfNoneMatch = None,
    ) -> Answer[bytes]:
        """A credit note of that invoice, by its id or its number, as PDF/A-3b; 202 until it is made."""
        place, found = await one(request, ref, at_least)
        notes = _issued.decode(found.view).credit_notes
        named = next((each for each in notes if note in (str(each.id), each.number)), None)
        if named is None:
            raise NotFound
        paper = await papers.find(named.id)
        if paper is None:
            await papers.ask_credit_note(place.contract_id, named.id, clock())
        name = f"{named.number}.pdf"
        return paper_answer(contents, named.id, name, paper, found.position, if_none_match)

    return Router("/invoices", route_handlers=[invoices, invoice, invoice_pdf, credit_note_pdf])
