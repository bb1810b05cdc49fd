"""POST of invoices and credit notes."""

from typing import Annotated, Any, ClassVar
from uuid import UUID

from litestar import Router, post
from litestar.params import JSONBody
from msgspec import UNSET, Meta, UnsetType

from api.answers import Answer, Receipt
from api.asking import Asked, DryRunFlag, IdempotencyKey, IfMatch, answered, context
from api.commands.payment import OVER, WRONG_AMOUNT, exact
from api.conditions import KeyMissing
from api.fields import END, Body, Day, Money, Nothing, Reason
from api.openapi import problems
from api.refs import Ref, Refs
from application.invoice import INVOICES, Invoices
from domain.contract.refusals import (
    CreditTooLarge,
    InvoiceIsCredited,
    InvoiceTooLarge,
    InvoiceUnknown,
    ParticularsMissing,
)
from domain.shared import Warning

PATH = "/api/v1/invoices"

Series = Annotated[
    str,
    Meta(
        pattern=rf"^(?!(AV|IN|OUT){END})[A-Z][A-Z0-9]{{0,7}}{END}",
        examples=["F"],
        description="1 to 8 capital letters and digits, a letter first; AV, IN and OUT number other papers",
    ),
]


class IssueInvoiceBody(Body, frozen=True, kw_only=True):
    """Of a contract's amount, what is not yet invoiced or less."""

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "amount": {"amount": "5000.00", "currency": "EUR"},
        "due_on": "2026-12-31",
    }

    amount: Money
    due_on: Day | None = None
    series: Series | None = None


class IssueCreditNoteBody(Nothing, frozen=True, kw_only=True):
    """No amount: all that has not been credited."""

    amount: Money | None = None
    reason: Reason | None = None


class InvoiceReceipt(Receipt, frozen=True, kw_only=True):
    """`id` is the invoice's; version and position are its contract's."""

    number: str
    contract_id: UUID
    warnings: list[Warning] | UnsetType = UNSET


class CreditNoteReceipt(Receipt, frozen=True, kw_only=True):
    """`id` is the credit note's; version and position are its contract's."""

    number: str
    invoice_id: UUID


def routes(invoices: Invoices, refs: Refs) -> list[Router]:
    @post(
        "/{ref:str}/invoices",
        responses=problems(*OVER, *WRONG_AMOUNT, InvoiceTooLarge, ParticularsMissing, KeyMissing),
    )
    async def issue_invoice(
        request: Asked,
        ref: Ref,
        data: JSONBody[IssueInvoiceBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[InvoiceReceipt]:
        """Issue an invoice of a signed contract: it gets the next number of its series and year, and never changes."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run, key_required=True)
        contract_id = await refs.id("contract", ref)
        series = data.series or INVOICES
        said = await invoices.issue(contract_id, exact(data.amount), data.due_on, series, asked)
        return answered(said, at=PATH)

    @post(
        "/{ref:str}/credit-note",
        responses=problems(
            *OVER, *WRONG_AMOUNT, InvoiceUnknown, InvoiceIsCredited, CreditTooLarge, KeyMissing
        ),
    )
    async def issue_credit_note(
        request: Asked,
        ref: Ref,
        data: JSONBody[IssueCreditNoteBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[CreditNoteReceipt]:
        """Take back an invoice, or a part of it, by a paper with a number of its own."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run, key_required=True)
        amount = None if data.amount is None else exact(data.amount)
        return answered(await invoices.credit(ref, amount, data.reason, asked))

    return [
        Router("/contracts", route_handlers=[issue_invoice], tags=["Invoices"]),
        Router("/invoices", route_handlers=[issue_credit_note], tags=["Invoices"]),
    ]
