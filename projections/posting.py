"""One movement of money in double entry: a line of an organisation's statement.

Of each movement one account is debited and one credited, in one row: they cannot differ. A debit of `receivable` is
what an organisation owes, a credit what it has paid or need not pay.
"""

from datetime import date, datetime
from decimal import Decimal
from operator import attrgetter
from typing import assert_never
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from domain.contract.events import Credited, Invoiced, MoneyEvent, PaymentRecorded, PaymentReversed
from domain.money import Money
from domain.shared import Recorded
from projections.columns import Column, ColumnType
from projections.lists import Listing
from projections.projection import moved

RECEIVABLE, REVENUE, CASH = "receivable", "revenue", "cash"


class Posting(Struct, frozen=True, kw_only=True):
    """One line of an organisation's statement. `id` is its event's; `balance`: what the organisation then owes."""

    id: UUID
    version: int
    position: int
    created_at: datetime
    updated_at: datetime
    kind: str
    contract_id: UUID
    organisation_id: UUID
    posted_on: date
    number: str | None
    reference: str | None
    debit_account: str
    credit_account: str
    amount: Money
    balance: Money

    @property
    def archived(self) -> bool:
        return False


COLUMNS = {
    "entry": Column(type=ColumnType.INTEGER, get=attrgetter("position"), nullable=False),
    "organisation_id": Column(type=ColumnType.UUID, get=attrgetter("organisation_id"), nullable=False),
    "contract_id": Column(type=ColumnType.UUID, get=attrgetter("contract_id"), nullable=False, indexed=False),
    "kind": Column(
        type=ColumnType.TEXT,
        get=attrgetter("kind"),
        choices=("invoice", "credit_note", "payment", "reversal"),
        nullable=False,
        indexed=False,
    ),
    "posted_on": Column(type=ColumnType.DATE, get=attrgetter("posted_on"), nullable=False, indexed=False),
    "number": Column(type=ColumnType.TEXT, get=attrgetter("number"), indexed=False),
    "amount": Column(type=ColumnType.AMOUNT, get=attrgetter("amount.amount"), nullable=False, indexed=False),
    "currency": Column(
        type=ColumnType.TEXT, get=attrgetter("amount.currency"), nullable=False, indexed=False
    ),
}


def posting(recorded: Recorded[MoneyEvent], organisation_id: UUID, owed: Decimal) -> Posting:
    """`owed`: what the organisation owed before."""
    event = recorded.event
    number: str | None = None
    match event:
        case Invoiced(number=number, issued_on=posted_on):
            kind, debit, credit, reference = "invoice", RECEIVABLE, REVENUE, event.title
        case Credited(number=number, issued_on=posted_on):
            kind, debit, credit, reference = "credit_note", REVENUE, RECEIVABLE, event.invoice_number
        case PaymentRecorded(paid_on=posted_on, reference=reference):
            kind, debit, credit = "payment", CASH, RECEIVABLE
        case PaymentReversed(reason=reference):
            kind, debit, credit, posted_on = "reversal", RECEIVABLE, CASH, recorded.recorded_at.date()
        case _:
            assert_never(event)
    amount = event.amount
    change = amount.amount if debit == RECEIVABLE else -amount.amount
    return Posting(
        id=recorded.event_id,
        created_at=recorded.recorded_at,
        **moved(recorded),
        kind=kind,
        contract_id=recorded.stream_id,
        organisation_id=organisation_id,
        posted_on=posted_on,
        number=number,
        reference=reference,
        debit_account=debit,
        credit_account=credit,
        amount=amount,
        balance=replace(amount, amount=owed + change),
    )


LISTING = Listing(name="ledger", view=Posting, columns=COLUMNS, order_by="entry")
