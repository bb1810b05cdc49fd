"""What one may ask of a contract. `manager_id`: who answers for its contact, else for its organisation."""

from datetime import datetime
from typing import Any
from uuid import UUID

from domain.contract.events import Terms
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


class AmendContract(Command, frozen=True, kw_only=True):
    amount: Money
    reason: str


class CancelContract(Command, frozen=True, kw_only=True):
    reason: str


class ArchiveContract(Command, frozen=True, kw_only=True):
    reason: str | None = None


ContractCommand = (
    DraftContract
    | ChangeContract
    | ReassignContract
    | SignContract
    | AmendContract
    | CancelContract
    | ArchiveContract
)
