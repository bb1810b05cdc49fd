"""What a contract keeps for itself: custom id, invoices, occasions; who answers for it, who is taken when."""

from datetime import UTC, datetime
from typing import assert_never
from uuid import UUID

from msgspec import UnsetType

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
    OccasionAssigned,
    OccasionChanged,
    OccasionEvent,
    OccasionWithdrawn,
    PaymentRecorded,
    PaymentReversed,
)
from domain.number import number_of
from domain.shared import Claim, ClaimAdded, Guard, Responsible

CUSTOM_ID = "contract.custom_id"
PARTY = {"organisation_id": "contract.organisation", "contact_id": "contract.contact"}
"""Claims `<organisation or contact>:<contract>`: whose account manager follows when another answers for the party."""

INVOICE = "contract.invoice"
"""Claim of the contract that an invoice, by its id, belongs to."""
NUMBER = "contract.invoice_number"
"""Claim of the contract that an invoice or a credit note, by its number, belongs to."""

PAPER = "contract.paper"
"""Claim of the contract that a paper besides invoices, by its id, belongs to: its certificate, a credit note."""
OCCASION = "contract.occasion"
"""Claim of the contract that an occasion, by its id, belongs to."""
BOOKING = "contract.booking"
"""Claims `<user>:<begin>:<end>:<occasion>`, for ever: somebody was to be there; its contract knows if he still is."""


def guards(stream_id: UUID, event: ContractEvent) -> tuple[Guard, ...]:
    """Canceled and archived contracts keep their custom id: letters and papers go on naming them by it."""
    if isinstance(event, OccasionEvent):
        return of_occasion(event)
    match event:
        case ContractDrafted():
            return (
                custom_id(event.custom_id),
                party("organisation_id", event.organisation_id, stream_id),
                party("contact_id", event.contact_id, stream_id),
                Responsible(user_id=event.account_manager_id),
            )
        case ContractChanged():
            kept: list[Guard] = []
            if not isinstance(event.custom_id, UnsetType):
                kept.append(custom_id(event.custom_id))
            if not isinstance(event.organisation_id, UnsetType):
                kept.append(party("organisation_id", event.organisation_id, stream_id))
            if not isinstance(event.contact_id, UnsetType):
                kept.append(party("contact_id", event.contact_id, stream_id))
            if not isinstance(event.account_manager_id, UnsetType):
                kept.append(Responsible(user_id=event.account_manager_id))
            return tuple(kept)
        case Invoiced():
            return ClaimAdded(kind=INVOICE, value=str(event.invoice_id)), numbered(event.number)
        case Credited():
            return numbered(event.number), ClaimAdded(kind=PAPER, value=str(event.credit_note_id))
        case ContractSigned():
            return (ClaimAdded(kind=PAPER, value=str(stream_id)),)
        case ContractAmended() | ContractCanceled() | ContractArchived():
            return ()
        case PaymentRecorded() | PaymentReversed():
            return ()
        case _:
            assert_never(event)


def of_occasion(event: OccasionEvent) -> tuple[Guard, ...]:
    match event:
        case OccasionAdded():
            return (ClaimAdded(kind=OCCASION, value=str(event.occasion_id)),)
        case OccasionAssigned(user_id=user_id):
            return booked(user_id, event.starts_at, event.ends_at, event.occasion_id)
        case OccasionChanged(starts_at=datetime() as starts_at, ends_at=datetime() as ends_at):
            return booked(event.assigned_to, starts_at, ends_at, event.occasion_id)
        case OccasionChanged() | OccasionWithdrawn():
            return ()
        case _:
            assert_never(event)


def booked(
    user_id: UUID | None, starts_at: datetime, ends_at: datetime, occasion_id: UUID
) -> tuple[Guard, ...]:
    if user_id is None:
        return ()
    return (
        ClaimAdded(kind=BOOKING, value=f"{user_id}:{sortable(starts_at)}:{sortable(ends_at)}:{occasion_id}"),
    )


def sortable(moment: datetime) -> str:
    """Texts of one length that sort as the moments do."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%S%f")


def custom_id(text: str | None) -> Claim:
    return Claim(kind=CUSTOM_ID, values=() if text is None else (text.lower(),))


def party(role: str, party_id: UUID | None, contract_id: UUID) -> Claim:
    return Claim(kind=PARTY[role], values=() if party_id is None else (f"{party_id}:{contract_id}",))


def numbered(text: str) -> ClaimAdded:
    number = number_of(text)
    assert number is not None, text
    return ClaimAdded(kind=NUMBER, value=number.claim)
