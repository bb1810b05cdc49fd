"""Payments of contracts, each with what became of it."""

from datetime import date, datetime
from operator import attrgetter
from typing import assert_never
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from domain.contract.events import PaymentRecorded, PaymentReversed
from domain.money import Money
from domain.shared import Recorded
from projections.columns import Column, ColumnType
from projections.lists import Listing
from projections.projection import Fold, moved


class Payment(Struct, frozen=True, kw_only=True):
    """One payment; `version` is its contract's. A reversed one stands here for ever, and counts no more."""

    id: UUID
    version: int
    position: int
    state: str
    created_at: datetime
    updated_at: datetime
    contract_id: UUID
    amount: Money
    paid_on: date
    reference: str | None
    recorded_by: UUID
    reversed_at: datetime | None = None
    reversed_by: UUID | None = None
    reverse_reason: str | None = None

    @property
    def archived(self) -> bool:
        return False


COLUMNS = {
    "contract_id": Column(type=ColumnType.UUID, get=attrgetter("contract_id"), nullable=False),
    "state": Column(
        type=ColumnType.TEXT,
        get=attrgetter("state"),
        choices=("recorded", "reversed"),
        nullable=False,
        indexed=False,
    ),
    "paid_on": Column(type=ColumnType.DATE, get=attrgetter("paid_on"), nullable=False, indexed=False),
    "amount": Column(type=ColumnType.AMOUNT, get=attrgetter("amount.amount"), nullable=False, indexed=False),
    "currency": Column(
        type=ColumnType.TEXT, get=attrgetter("amount.currency"), nullable=False, indexed=False
    ),
    "reference": Column(type=ColumnType.FOLDED, get=attrgetter("reference"), indexed=False),
}


def about(recorded: Recorded[PaymentRecorded | PaymentReversed]) -> UUID:
    return recorded.event.payment_id


def fold(view: Payment | None, recorded: Recorded[PaymentRecorded | PaymentReversed]) -> Payment:
    event, actor_id = recorded.event, recorded.metadata.actor.id
    match event:
        case PaymentRecorded():
            return Payment(
                id=event.payment_id,
                state="recorded",
                created_at=recorded.recorded_at,
                **moved(recorded),
                contract_id=recorded.stream_id,
                amount=event.amount,
                paid_on=event.paid_on,
                reference=event.reference,
                recorded_by=actor_id,
            )
        case PaymentReversed():
            assert view is not None
            return replace(
                view,
                **moved(recorded),
                state="reversed",
                reversed_at=recorded.recorded_at,
                reversed_by=actor_id,
                reverse_reason=event.reason,
            )
        case _:
            assert_never(event)


PAYMENTS = Fold(
    name="payment",
    version=1,
    view=Payment,
    columns=COLUMNS,
    fold=fold,
    key=about,
    stream="contract_id",
    halts="sums of money would be wrong without saying so",
)
LISTING = Listing(name="payment", view=Payment, columns=COLUMNS)
