"""What one may ask of a contract. `manager_id`: who answers for its contact, else for its organisation."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from domain.contract.events import Arrangement, Particulars, Terms
from domain.money import Money
from domain.shared import Command


class DraftContract(Terms, Command, frozen=True, kw_only=True):
    drafted_by: UUID | None = None
    manager_id: UUID | None = None


class ChangeContract(Command, frozen=True, kw_only=True):
    """`changes` holds field names of Terms with their new values."""

    changes: dict[str, Any]
    manager_id: UUID | None = None


class ReassignContract(Command, frozen=True, kw_only=True):
    """Another answers for its contact, or for its organisation, by now."""

    manager_id: UUID | None


class SignContract(Command, frozen=True, kw_only=True):
    contract_id: UUID
    signed_by: UUID
    now: datetime
    credential: str | None = None
    proved_at: datetime | None = None


class AmendContract(Command, frozen=True, kw_only=True):
    amount: Money
    reason: str


class CancelContract(Command, frozen=True, kw_only=True):
    reason: str


class ArchiveContract(Command, frozen=True, kw_only=True):
    reason: str | None = None
    now: datetime


class RecordPayment(Command, frozen=True, kw_only=True):
    payment_id: UUID
    amount: Money
    paid_on: date
    reference: str | None = None
    now: datetime


class ReversePayment(Command, frozen=True, kw_only=True):
    payment_id: UUID
    reason: str


class IssueInvoice(Command, frozen=True, kw_only=True):
    """`number` is the next of its `series` and of the year of `issued_on`, which is today where the office is.

    `address_required`: the buyer's; an installation that is only tried out does without.
    """

    invoice_id: UUID
    number: str
    series: str
    amount: Money
    issued_on: date
    due_on: date | None = None
    seller: Particulars
    buyer: Particulars
    address_required: bool = False


class IssueCreditNote(Command, frozen=True, kw_only=True):
    """`amount` None: all that has not been credited."""

    credit_note_id: UUID
    number: str
    invoice_id: UUID
    amount: Money | None = None
    issued_on: date
    reason: str | None = None


class AddOccasion(Arrangement, Command, frozen=True, kw_only=True):
    occasion_id: UUID


class ChangeOccasion(Command, frozen=True, kw_only=True):
    """`changes` holds field names of Arrangement with their new values."""

    occasion_id: UUID
    changes: dict[str, Any]


class AssignOccasion(Command, frozen=True, kw_only=True):
    """None: to nobody."""

    occasion_id: UUID
    user_id: UUID | None


class WithdrawOccasion(Command, frozen=True, kw_only=True):
    occasion_id: UUID
    reason: str | None = None


OccasionCommand = AddOccasion | ChangeOccasion | AssignOccasion | WithdrawOccasion
MoneyCommand = RecordPayment | ReversePayment | IssueInvoice | IssueCreditNote
ContractCommand = (
    DraftContract
    | ChangeContract
    | ReassignContract
    | SignContract
    | AmendContract
    | CancelContract
    | ArchiveContract
    | MoneyCommand
    | OccasionCommand
)
