"""POST of payments."""

from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from litestar import Router, post
from litestar.params import FromPath, JSONBody

from api.answers import Answer, Receipt
from api.asking import Asked, DryRunFlag, IdempotencyKey, IfMatch, answered, context
from api.conditions import KeyMissing
from api.fields import Body, Day, Money, Reason, Title
from api.openapi import problems
from api.refs import Ref, Refs, id_of
from application.payment import Payments
from domain import money
from domain.contract.refusals import (
    AmountNotPositive,
    AmountUnwanted,
    ContractIsArchived,
    ContractIsCanceled,
    ContractUnknown,
    CurrencyDiffers,
    NotSigned,
    PaymentIsReversed,
    PaymentToCome,
    PaymentTooLarge,
    PaymentUnknown,
)
from domain.money import MoneyInvalid

OVER = (ContractUnknown, ContractIsCanceled, ContractIsArchived, NotSigned)
WRONG_AMOUNT = (MoneyInvalid, AmountNotPositive, AmountUnwanted, CurrencyDiffers)


class RecordPaymentBody(Body, frozen=True, kw_only=True):
    """`reference`: as the bank's statement has it."""

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "amount": {"amount": "2500.00", "currency": "EUR"},
        "paid_on": "2026-03-01",
        "reference": "VIR ALPHA 0301",
    }

    amount: Money
    paid_on: Day
    reference: Title | None = None


class ReversePaymentBody(Body, frozen=True, kw_only=True):
    reason: Reason


class PaymentReceipt(Receipt, frozen=True, kw_only=True):
    """`id` is the payment's; version and position are its contract's."""

    contract_id: UUID


def exact(amount: Money) -> money.Money:
    """As the domain has it, before it is judged."""
    return money.Money(amount=Decimal(amount.amount), currency=amount.currency)


def routes(payments: Payments, refs: Refs) -> Router:
    @post(
        "/{ref:str}/payments",
        responses=problems(*OVER, *WRONG_AMOUNT, PaymentTooLarge, PaymentToCome, KeyMissing),
    )
    async def record_payment(
        request: Asked,
        ref: Ref,
        data: JSONBody[RecordPaymentBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[PaymentReceipt]:
        """Record money that came in for a signed contract, at most what remains."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run, key_required=True)
        contract_id = await refs.id("contract", ref)
        return answered(
            await payments.record(contract_id, exact(data.amount), data.paid_on, data.reference, asked)
        )

    @post(
        "/{ref:str}/payments/{payment_id:str}/reverse",
        status_code=200,
        responses=problems(*OVER, PaymentUnknown, PaymentIsReversed),
    )
    async def reverse_payment(
        request: Asked,
        ref: Ref,
        payment_id: FromPath[str],
        data: JSONBody[ReversePaymentBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[PaymentReceipt]:
        """Say that it was none, once and as a whole; both stay in the books."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        contract_id = await refs.id("contract", ref)
        return answered(await payments.reverse(contract_id, id_of(payment_id), data.reason, asked))

    return Router("/contracts", route_handlers=[record_payment, reverse_payment], tags=["Payments"])
