"""Invoices as people look them up, with the credit notes that took something back."""

from datetime import date, datetime
from operator import attrgetter
from typing import assert_never
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace
from psycopg import sql

from domain.contract.events import Credited, Invoiced, Particulars
from domain.money import Money, nothing_in
from domain.shared import Recorded
from projections.audience import Audience
from projections.columns import Column, ColumnType
from projections.lists import Listing
from projections.projection import Fold, moved


class CreditNote(Struct, frozen=True, kw_only=True):
    id: UUID
    number: str
    amount: Money
    issued_on: date
    reason: str | None
    position: int


class Invoice(Struct, frozen=True, kw_only=True):
    """One invoice, frozen since it was issued; `version` is its contract's.

    `credited`: by credit notes; `open`: something of it is not. Payments settle the contract, not one invoice of it.
    """

    id: UUID
    version: int
    position: int
    state: str
    created_at: datetime
    updated_at: datetime
    number: str
    series: str
    contract_id: UUID
    organisation_id: UUID
    amount: Money
    credited: Money
    issued_on: date
    due_on: date | None
    custom_id: str | None
    title: str | None
    seller: Particulars
    buyer: Particulars
    issued_by: UUID
    credit_notes: tuple[CreditNote, ...] = ()

    @property
    def archived(self) -> bool:
        return False

    @property
    def open(self) -> bool:
        return self.state != "credited"


COLUMNS = {
    "number": Column(type=ColumnType.TEXT, get=attrgetter("number"), nullable=False),
    "series": Column(type=ColumnType.TEXT, get=attrgetter("series"), nullable=False, indexed=False),
    "state": Column(
        type=ColumnType.TEXT,
        get=attrgetter("state"),
        choices=("issued", "partly_credited", "credited"),
        nullable=False,
        indexed=False,
    ),
    "open": Column(type=ColumnType.BOOLEAN, get=attrgetter("open"), nullable=False, indexed=False),
    "contract_id": Column(type=ColumnType.UUID, get=attrgetter("contract_id"), nullable=False),
    "organisation_id": Column(type=ColumnType.UUID, get=attrgetter("organisation_id"), nullable=False),
    "buyer": Column(type=ColumnType.FOLDED, get=attrgetter("buyer.name"), nullable=False),
    "amount": Column(type=ColumnType.AMOUNT, get=attrgetter("amount.amount"), nullable=False, indexed=False),
    "currency": Column(
        type=ColumnType.TEXT, get=attrgetter("amount.currency"), nullable=False, indexed=False
    ),
    "issued_on": Column(type=ColumnType.DATE, get=attrgetter("issued_on"), nullable=False),
    "due_on": Column(type=ColumnType.DATE, get=attrgetter("due_on")),
}


def about(recorded: Recorded[Invoiced | Credited]) -> UUID:
    return recorded.event.invoice_id


def fold(view: Invoice | None, recorded: Recorded[Invoiced | Credited]) -> Invoice:
    event = recorded.event
    match event:
        case Invoiced():
            return Invoice(
                id=event.invoice_id,
                state="issued",
                created_at=recorded.recorded_at,
                **moved(recorded),
                number=event.number,
                series=event.series,
                contract_id=recorded.stream_id,
                organisation_id=event.organisation_id,
                amount=event.amount,
                credited=nothing_in(event.amount.currency),
                issued_on=event.issued_on,
                due_on=event.due_on,
                custom_id=event.custom_id,
                title=event.title,
                seller=event.seller,
                buyer=event.buyer,
                issued_by=recorded.metadata.actor.id,
            )
        case Credited():
            assert view is not None
            note = CreditNote(
                id=event.credit_note_id,
                number=event.number,
                amount=event.amount,
                issued_on=event.issued_on,
                reason=event.reason,
                position=recorded.position,
            )
            credited = view.credited + event.amount
            return replace(
                view,
                **moved(recorded),
                state="credited" if credited == view.amount else "partly_credited",
                credited=credited,
                credit_notes=(*view.credit_notes, note),
            )
        case _:
            assert_never(event)


INVOICES = Fold(
    name="invoice",
    version=1,
    view=Invoice,
    columns=COLUMNS,
    fold=fold,
    key=about,
    stream="contract_id",
    halts="sums of money would be wrong without saying so",
)

_MANAGER = Column(type=ColumnType.UUID, get=attrgetter("contract_id"), indexed=False)
LISTING = Listing(
    name="invoice",
    view=Invoice,
    columns={**COLUMNS, "account_manager_id": _MANAGER},
    # Who answers for it is who answers for its contract now; who does not ask for that pays nothing for it.
    relation=sql.SQL(
        "(select i.*, c.account_manager_id"
        ' from "read"."invoice" i left join "read"."contract" c on c.id = i.contract_id) as invoices'
    ),
    audience=Audience(
        path="invoices",
        right="contract:invoice",
        by={"organisation": "organisation_id", "own": "account_manager_id"},
    ),
)
