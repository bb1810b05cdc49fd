"""What is asked of a signed contract's account: payments, their reversal, invoices, credit notes."""

from datetime import timedelta
from decimal import Decimal
from typing import assert_never

from msgspec.structs import replace

from domain.contract.account import Account
from domain.contract.amounts import part_of, wrong
from domain.contract.commands import (
    IssueCreditNote,
    IssueInvoice,
    MoneyCommand,
    RecordPayment,
    ReversePayment,
)
from domain.contract.events import (
    Credited,
    Invoiced,
    MoneyEvent,
    Particulars,
    PaymentRecorded,
    PaymentReversed,
    Terms,
)
from domain.contract.refusals import (
    AmountBelowInvoiced,
    AmountBelowPaid,
    CreditTooLarge,
    InvoiceIsCredited,
    InvoiceTooLarge,
    InvoiceUnknown,
    IsInvoiced,
    IsPaid,
    ParticularsMissing,
    PaymentIsReversed,
    PaymentToCome,
    PaymentTooLarge,
    PaymentUnknown,
)
from domain.money import Money
from domain.shared import FieldError

FIRST_TO_SEE_A_DAY = timedelta(hours=14)
"""A day is not to come when it has begun somewhere: in UTC+14 first."""


def on_account(terms: Terms, account: Account, command: MoneyCommand) -> tuple[MoneyEvent, ...]:
    match command:
        case RecordPayment():
            return (record(terms, account, command),)
        case ReversePayment():
            return (reverse(account, command),)
        case IssueInvoice():
            return (invoice(terms, account, command),)
        case IssueCreditNote():
            return (credit(account, command),)
        case _:
            assert_never(command)


def record(terms: Terms, account: Account, command: RecordPayment) -> PaymentRecorded:
    amount = part_of(terms.amount, command.amount)
    refuse_more(PaymentTooLarge, amount, _left(terms, account.paid), "remains to be paid")
    if command.paid_on > (command.now + FIRST_TO_SEE_A_DAY).date():
        raise wrong(PaymentToCome, "future", "This day is still to come.", at="/paid_on")
    return PaymentRecorded(
        payment_id=command.payment_id, amount=amount, paid_on=command.paid_on, reference=command.reference
    )


def reverse(account: Account, command: ReversePayment) -> PaymentReversed:
    payment = account.payments.get(command.payment_id)
    if payment is None:
        raise PaymentUnknown("No payment of this contract has this id.")
    if payment.reversed:
        raise PaymentIsReversed("This payment has been reversed.")
    return PaymentReversed(payment_id=command.payment_id, amount=payment.amount, reason=command.reason)


def invoice(terms: Terms, account: Account, command: IssueInvoice) -> Invoiced:
    amount = part_of(terms.amount, command.amount)
    refuse_more(InvoiceTooLarge, amount, _left(terms, account.invoiced), "is not yet invoiced")
    refuse_nameless(command.seller, command.buyer, address_required=command.address_required)
    return Invoiced(
        invoice_id=command.invoice_id,
        number=command.number,
        series=command.series,
        amount=amount,
        issued_on=command.issued_on,
        due_on=command.due_on,
        organisation_id=terms.organisation_id,
        seller=command.seller,
        buyer=command.buyer,
        custom_id=terms.custom_id,
        title=terms.title,
    )


def credit(account: Account, command: IssueCreditNote) -> Credited:
    issued = account.invoices.get(command.invoice_id)
    if issued is None:
        raise InvoiceUnknown("This contract has no such invoice.")
    left = issued.uncredited
    if left.amount == 0:
        raise InvoiceIsCredited(f"Invoice {issued.number} is credited as a whole.")
    amount = left
    if command.amount is not None:
        amount = part_of(left, command.amount)
        refuse_more(CreditTooLarge, amount, left, "is left of this invoice")
    return Credited(
        credit_note_id=command.credit_note_id,
        number=command.number,
        invoice_id=command.invoice_id,
        invoice_number=issued.number,
        amount=amount,
        issued_on=command.issued_on,
        reason=command.reason,
    )


def refuse_less(amount: Money, account: Account) -> None:
    """An amended amount still covers what was paid and invoiced. Raises AmountBelowPaid, AmountBelowInvoiced."""
    if amount.amount < account.paid:
        raise wrong(AmountBelowPaid, "below_paid", f"{account.paid} {amount.currency} have been paid.")
    if amount.amount < account.invoiced:
        detail = f"{account.invoiced} {amount.currency} have been invoiced."
        raise wrong(AmountBelowInvoiced, "below_invoiced", detail)


def refuse_outstanding(account: Account) -> None:
    """Raises IsPaid, IsInvoiced."""
    if account.paid:
        raise IsPaid(f"{account.paid} have been paid; reverse that first.")
    numbers = [each.number for each in account.invoices.values() if each.uncredited.amount]
    if numbers:
        raise IsInvoiced(f"{', '.join(numbers)}: credit that first.", invoices=numbers)


def refuse_more(
    refusal: type[PaymentTooLarge | InvoiceTooLarge | CreditTooLarge], amount: Money, left: Money, what: str
) -> None:
    """Raises the refusal when the amount is more than what is left."""
    if amount.amount > left.amount:
        raise wrong(refusal, "too_large", f"{left.amount} {left.currency} {what}.")


def refuse_nameless(seller: Particulars, buyer: Particulars, *, address_required: bool) -> None:
    """Each is named with its address (Directive 2006/112/EC, article 226 (5)); all that is missing at once.

    Raises ParticularsMissing.
    """
    stands = {"/seller/name": seller.name, "/seller/address": seller.address, "/buyer/name": buyer.name}
    if address_required:
        stands["/buyer/address"] = buyer.address
    missing = [at for at, text in stands.items() if not (text or "").strip()]
    if missing:
        errors = tuple(
            FieldError(pointer=at, code="missing", detail="An invoice names it.") for at in missing
        )
        raise ParticularsMissing(f"Not known: {', '.join(missing)}.", errors=errors)


def _left(terms: Terms, taken: Decimal) -> Money:
    assert terms.amount is not None
    return replace(terms.amount, amount=terms.amount.amount - taken)
