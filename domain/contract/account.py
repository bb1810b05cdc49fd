"""A contract's account: what was paid, what was invoiced, and what undoes either."""

from collections.abc import Mapping
from decimal import Decimal
from typing import assert_never
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from domain.contract.events import Credited, Invoiced, MoneyEvent, PaymentRecorded, PaymentReversed
from domain.money import Money


class Payment(Struct, frozen=True, kw_only=True):
    amount: Money
    reversed: bool = False


class Invoice(Struct, frozen=True, kw_only=True):
    """`uncredited`: what credit notes have left of its amount. `version`: the contract's, when it last changed."""

    version: int
    number: str
    uncredited: Money


class Account(Struct, frozen=True, kw_only=True):
    """`paid` and `invoiced` count what stands: payments not reversed, invoices less their credit notes."""

    paid: Decimal = Decimal(0)
    invoiced: Decimal = Decimal(0)
    payments: Mapping[UUID, Payment] = {}
    invoices: Mapping[UUID, Invoice] = {}


def booked(account: Account, event: MoneyEvent, version: int) -> Account:
    """After the event, which is of that version of the contract."""
    match event:
        case PaymentRecorded():
            return replace(
                account,
                paid=account.paid + event.amount.amount,
                payments={**account.payments, event.payment_id: Payment(amount=event.amount)},
            )
        case PaymentReversed():
            undone = Payment(amount=event.amount, reversed=True)
            return replace(
                account,
                paid=account.paid - event.amount.amount,
                payments={**account.payments, event.payment_id: undone},
            )
        case Invoiced():
            issued = Invoice(version=version, number=event.number, uncredited=event.amount)
            return replace(
                account,
                invoiced=account.invoiced + event.amount.amount,
                invoices={**account.invoices, event.invoice_id: issued},
            )
        case Credited():
            invoice = account.invoices[event.invoice_id]
            left = replace(invoice, version=version, uncredited=invoice.uncredited - event.amount)
            return replace(
                account,
                invoiced=account.invoiced - event.amount.amount,
                invoices={**account.invoices, event.invoice_id: left},
            )
        case _:
            assert_never(event)
