"""Contracts as people look them up, with what is still to be paid."""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, assert_never
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace
from psycopg import sql

from domain.contract.events import (
    ContractAmended,
    ContractArchived,
    ContractCanceled,
    ContractChanged,
    ContractDrafted,
    ContractEvent,
    ContractSigned,
    Credited,
    Invoiced,
    OccasionAdded,
    OccasionEvent,
    OccasionWithdrawn,
    PaymentRecorded,
    PaymentReversed,
)
from domain.money import Money, nothing_in
from domain.shared import Recorded
from projections.audience import Audience
from projections.columns import Column, ColumnType
from projections.lists import Listing
from projections.projection import Fold, moved


class Amendment(Struct, frozen=True, kw_only=True, rename={"before": "from", "after": "to"}):
    """A signed amount, from what to what, who did it, when and why."""

    before: Money
    after: Money
    at: datetime
    by: UUID
    reason: str


class Contract(Struct, frozen=True, kw_only=True):
    """One contract. `signed_version` is the version that was signed, `document_sha256` its fingerprint.

    `signed_position`: where the log proves it; `credential`: how `signed_by` was known; `proved_at`: when he had given
    his password.

    `remaining`: of its amount, not yet paid. `balance`: what is owed on its invoices, so invoiced less paid.
    `occasions`: those not withdrawn.
    """

    id: UUID
    version: int
    position: int
    status: str
    created_at: datetime
    updated_at: datetime
    kind: str
    organisation_id: UUID
    contact_id: UUID | None
    custom_id: str | None
    title: str | None
    due_on: date | None
    amount: Money | None
    remaining: Money | None
    paid: Money | None
    invoiced: Money | None
    balance: Money | None
    account_manager_id: UUID | None
    drafted_by: UUID | None
    signed_at: datetime | None = None
    signed_by: UUID | None = None
    signed_version: int | None = None
    document_sha256: str | None = None
    signed_position: int | None = None
    credential: str | None = None
    proved_at: datetime | None = None
    canceled_at: datetime | None = None
    cancel_reason: str | None = None
    archived_at: datetime | None = None
    amendments: tuple[Amendment, ...] = ()
    occasions: tuple[UUID, ...] = ()

    @property
    def archived(self) -> bool:
        return self.archived_at is not None


def _amount_of(name: str) -> Callable[[Any], Decimal | None]:
    money = attrgetter(name)

    def amount(view: Any) -> Decimal | None:
        found: Money | None = money(view)
        return None if found is None else found.amount

    return amount


def _currency(view: Contract) -> str | None:
    return None if view.amount is None else view.amount.currency


COLUMNS = {
    "status": Column(
        type=ColumnType.TEXT,
        get=attrgetter("status"),
        choices=("unsigned", "signed", "canceled"),
        nullable=False,
    ),
    "kind": Column(
        type=ColumnType.TEXT,
        get=attrgetter("kind"),
        choices=("sale", "cooperation"),
        nullable=False,
        indexed=False,
    ),
    "organisation_id": Column(type=ColumnType.UUID, get=attrgetter("organisation_id"), nullable=False),
    "contact_id": Column(
        type=ColumnType.UUID, get=attrgetter("contact_id"), aliases=("client_id",), indexed=False
    ),
    "custom_id": Column(type=ColumnType.TEXT, get=attrgetter("custom_id"), aliases=("contract_id",)),
    "title": Column(type=ColumnType.FOLDED, get=attrgetter("title")),
    "amount": Column(
        type=ColumnType.AMOUNT, get=_amount_of("amount"), aliases=("full_amount_to_pay",), indexed=False
    ),
    "currency": Column(type=ColumnType.TEXT, get=_currency, indexed=False),
    "remaining": Column(
        type=ColumnType.AMOUNT, get=_amount_of("remaining"), aliases=("remain_amount_to_pay",)
    ),
    "paid": Column(type=ColumnType.AMOUNT, get=_amount_of("paid"), indexed=False),
    "invoiced": Column(type=ColumnType.AMOUNT, get=_amount_of("invoiced"), indexed=False),
    "balance": Column(type=ColumnType.AMOUNT, get=_amount_of("balance"), indexed=False),
    "account_manager_id": Column(type=ColumnType.UUID, get=attrgetter("account_manager_id")),
    "due_on": Column(type=ColumnType.DATE, get=attrgetter("due_on")),
    "signed_at": Column(type=ColumnType.INSTANT, get=attrgetter("signed_at")),
    "signed_by": Column(type=ColumnType.UUID, get=attrgetter("signed_by"), indexed=False),
    "occasions": Column(
        type=ColumnType.INTEGER, get=lambda view: len(view.occasions), nullable=False, indexed=False
    ),
}


def fold(view: Contract | None, recorded: Recorded[ContractEvent]) -> Contract:
    event = recorded.event
    if isinstance(event, ContractDrafted):
        return _priced(
            Contract(
                id=recorded.stream_id,
                version=recorded.version,
                position=recorded.position,
                status="unsigned",
                created_at=recorded.recorded_at,
                updated_at=recorded.recorded_at,
                remaining=None,
                paid=None,
                invoiced=None,
                balance=None,
                **msgspec.structs.asdict(event),
            )
        )
    assert view is not None
    after = replace(view, **moved(recorded))
    if isinstance(event, OccasionEvent):
        return _arranged(after, event)
    match event:
        case ContractChanged():
            given = msgspec.structs.asdict(event)
            return _priced(replace(after, **{n: value for n, value in given.items() if value is not UNSET}))
        case ContractAmended():
            return _priced(_amended(after, event, recorded))
        case ContractSigned():
            return replace(
                after,
                status="signed",
                signed_at=event.signed_at,
                signed_by=event.signed_by,
                signed_version=event.signed_version,
                document_sha256=event.document_sha256,
                signed_position=recorded.position,
                credential=event.credential,
                proved_at=event.proved_at,
            )
        case ContractCanceled():
            return replace(
                after, status="canceled", canceled_at=recorded.recorded_at, cancel_reason=event.reason
            )
        case ContractArchived():
            return replace(after, archived_at=recorded.recorded_at)
        case PaymentRecorded() | PaymentReversed():
            assert after.paid is not None
            taken_in = isinstance(event, PaymentRecorded)
            paid = after.paid + event.amount if taken_in else after.paid - event.amount
            return _priced(replace(after, paid=paid))
        case Invoiced() | Credited():
            assert after.invoiced is not None
            issued = isinstance(event, Invoiced)
            invoiced = after.invoiced + event.amount if issued else after.invoiced - event.amount
            return _priced(replace(after, invoiced=invoiced))
        case _:
            assert_never(event)


def _priced(view: Contract) -> Contract:
    """An agreement without an amount has no such figures, and before the signature nothing is paid or invoiced."""
    if view.amount is None:
        return replace(view, remaining=None, paid=None, invoiced=None, balance=None)
    nothing = nothing_in(view.amount.currency)
    paid, invoiced = (view.paid, view.invoiced) if view.signed_at else (nothing, nothing)
    assert paid is not None
    assert invoiced is not None
    left, owed = view.amount - paid, invoiced - paid
    return replace(view, paid=paid, invoiced=invoiced, remaining=left, balance=owed)


def _arranged(view: Contract, event: OccasionEvent) -> Contract:
    if isinstance(event, OccasionAdded):
        return replace(view, occasions=(*view.occasions, event.occasion_id))
    if isinstance(event, OccasionWithdrawn):
        return replace(view, occasions=tuple(each for each in view.occasions if each != event.occasion_id))
    return view


def _amended(view: Contract, event: ContractAmended, recorded: Recorded[ContractEvent]) -> Contract:
    assert view.amount is not None
    amendment = Amendment(
        before=view.amount,
        after=event.amount,
        at=recorded.recorded_at,
        by=recorded.metadata.actor.id,
        reason=event.reason,
    )
    return replace(view, amount=event.amount, amendments=(*view.amendments, amendment))


CONTRACTS = Fold(
    name="contract",
    version=4,
    view=Contract,
    columns=COLUMNS,
    fold=fold,
    # What dashboards count, of everybody's contracts and of one's own: read from the index alone, which therefore has
    # the manager, too; the list's relation names him.
    indexes=(
        "(status, remaining) include (due_on, account_manager_id) where not archived",
        "(status, occasions) include (account_manager_id) where not archived",
        "(account_manager_id, status, remaining) include (occasions) where not archived",
    ),
)

_NAMES_OF_MANAGER = Column(
    type=ColumnType.TEXT_ARRAY, get=attrgetter("account_manager_id"), sortable=False, indexed=False
)
LISTING = Listing(
    name="contract",
    view=Contract,
    columns={**COLUMNS, "commercial_id": _NAMES_OF_MANAGER},
    # Who does not ask by the manager's number pays nothing for it: PostgreSQL drops the join.
    relation=sql.SQL(
        "(select c.*, array_remove(array[c.account_manager_id::text, u.staff_number], null) as commercial_id"
        ' from "read"."contract" c left join "read"."user" u on u.id = c.account_manager_id) as contracts'
    ),
    audience=Audience(
        path="contracts",
        right="contract:view",
        by={"organisation": "organisation_id", "own": "account_manager_id"},
    ),
)
