"""Invoices and credit notes: numbered without gaps, addressed as the register says at that moment, then frozen."""

from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from application.access import Need
from application.context import Context, DryRun
from application.contract import VIEW, of
from application.execute import Execute
from application.numbers import Numbers, taken
from application.ports import Answer, Claims, EventStore, NewId
from domain.contract.aggregate import CONTRACT, Contract, Nothing
from domain.contract.commands import IssueCreditNote, IssueInvoice
from domain.contract.events import Particulars
from domain.contract.guards import INVOICE, NUMBER
from domain.contract.refusals import ContractUnknown, InvoiceUnknown
from domain.money import Money
from domain.number import Number, number_of
from domain.organisation import aggregate as organisation
from domain.organisation.events import Address, Details
from domain.shared import Warning

INVOICES, CREDIT_NOTES = "F", "AV"
"""The series of invoices where none is named, and of credit notes."""
DIGITS = 6
ISSUE = Need(right="contract:invoice", view=VIEW)


class Seller(Struct, frozen=True, kw_only=True):
    """Who issues: as the settings say. `stated`: somebody has said it, it is not what an empty installation has.

    `in_earnest`: nothing that an invoice must bear may be missing, the buyer's address neither.
    """

    particulars: Particulars
    stated: bool
    in_earnest: bool = False


class Place(Struct, frozen=True, kw_only=True):
    """Where an invoice stands."""

    contract_id: UUID
    invoice_id: UUID


class Invoices:
    """Both stand in their contract's stream; a number is a claim of it."""

    def __init__(
        self,
        execute: Execute,
        store: EventStore,
        claims: Claims,
        numbers: Numbers,
        seller: Seller,
        new_id: NewId,
    ) -> None:
        self._execute, self._store, self._claims, self._numbers = execute, store, claims, numbers
        self._seller, self._new_id = seller, new_id

    async def find(self, ref: str) -> Place | None:
        """The invoice that an id or a number names; None: none does."""
        number = number_of(ref)
        if number is None:
            contract_id = await self._claims.owner(INVOICE, ref)
            return None if contract_id is None else Place(contract_id=contract_id, invoice_id=UUID(ref))
        contract_id = await self._claims.owner(NUMBER, number.claim)
        if contract_id is None or ref != number.written(DIGITS):
            return None
        contract = (await self._store.load(CONTRACT, contract_id, fresh=True)).state
        assert not isinstance(contract, Nothing)
        named = [key for key, each in contract.paper.account.invoices.items() if each.number == ref]
        return Place(contract_id=contract_id, invoice_id=named[0]) if named else None

    async def issue(
        self, contract_id: UUID, amount: Money, due_on: date | None, series: str, context: Context
    ) -> Answer | DryRun:
        """The answer's `id` is the invoice's; `warnings` say what an invoice should have and this one has not."""
        invoice_id, today = self._new_id(), self._numbers.today(self._execute.clock())
        buyer = await self._buyer(contract_id)

        async def with_number(number: Number) -> Answer | DryRun:
            text = number.written(DIGITS)
            command = IssueInvoice(
                invoice_id=invoice_id,
                number=text,
                series=series,
                amount=amount,
                issued_on=today,
                due_on=due_on,
                seller=self._seller.particulars,
                buyer=buyer,
                address_required=self._seller.in_earnest,
            )
            told = {"id": str(invoice_id), "number": text, "contract_id": str(contract_id)}
            return await self._in(contract_id, command, number, context, {**told, **self._warnings(buyer)})

        return await self._numbers.give(NUMBER, series, today.year, with_number)

    async def credit(
        self, ref: str, amount: Money | None, reason: str | None, context: Context
    ) -> Answer | DryRun:
        """The answer's `id` is the credit note's. Raises InvoiceUnknown."""
        place = await self.find(ref)
        if place is None:
            raise InvoiceUnknown("There is no such invoice.")
        credit_note_id, today = self._new_id(), self._numbers.today(self._execute.clock())

        def since(contract: Contract) -> int:
            known = {} if isinstance(contract, Nothing) else contract.paper.account.invoices
            return known[place.invoice_id].version if place.invoice_id in known else 0

        async def with_number(number: Number) -> Answer | DryRun:
            text = number.written(DIGITS)
            command = IssueCreditNote(
                credit_note_id=credit_note_id,
                number=text,
                invoice_id=place.invoice_id,
                amount=amount,
                issued_on=today,
                reason=reason,
            )
            told = {"id": str(credit_note_id), "number": text, "invoice_id": str(place.invoice_id)}
            try:
                return await self._in(place.contract_id, command, number, context, told, since=since)
            except ContractUnknown:
                raise InvoiceUnknown("There is no such invoice.") from None

        return await self._numbers.give(NUMBER, CREDIT_NOTES, today.year, with_number)

    async def _in(
        self,
        contract_id: UUID,
        command: IssueInvoice | IssueCreditNote,
        number: Number,
        context: Context,
        told: dict[str, Any],
        since: Callable[[Contract], int] | None = None,
    ) -> Answer | DryRun:
        return await self._execute(
            CONTRACT,
            contract_id,
            command,
            context,
            ISSUE,
            resource=of,
            makes=True,
            since=since,
            relies=lambda: self._numbers.free(NUMBER, number),
            extra=told,
            taken=taken(NUMBER),
        )

    async def _buyer(self, contract_id: UUID) -> Particulars:
        """As the register calls the contract's organisation now; of no contract nobody."""
        contract = (await self._store.load(CONTRACT, contract_id)).state
        if isinstance(contract, Nothing):
            return Particulars(name="")
        organisation_id = contract.paper.terms.organisation_id
        known = (await self._store.load(organisation.ORGANISATION, organisation_id, fresh=True)).state
        return Particulars(name="") if isinstance(known, organisation.Nothing) else as_buyer(known.details)

    def _warnings(self, buyer: Particulars) -> dict[str, Any]:
        found: list[Warning] = []
        if not self._seller.stated:
            detail = "The seller is nobody yet: set CHANCERY_SELLER_NAME and CHANCERY_SELLER_ADDRESS."
            found.append(Warning(pointer="/seller", code="not_stated", detail=detail))
        if buyer.address is None:
            detail = "The register knows no address of the buyer."
            found.append(Warning(pointer="/buyer/address", code="missing", detail=detail))
        return {"warnings": msgspec.to_builtins(found)} if found else {}


def as_buyer(details: Details) -> Particulars:
    addresses = details.addresses
    address = addresses.legal or addresses.mailing or addresses.factual
    return Particulars(
        name=details.full_name,
        address=None if address is None else written(address),
        identifiers=msgspec.to_builtins(details.identifiers),
    )


def written(address: Address) -> str:
    """As on an envelope, a line each."""
    place = " ".join(part for part in (address.postal_code, address.locality) if part)
    return "\n".join(line for line in (address.text, address.complement, place, address.country) if line)
