"""What a contract keeps for itself: its custom id, and who answers for it."""

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


def guards(stream_id: UUID, event: ContractEvent) -> tuple[Guard, ...]:
    """Canceled and archived contracts keep their custom id: letters and papers go on naming them by it."""
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
            return (numbered(event.number),)
        case ContractSigned() | ContractAmended() | ContractCanceled() | ContractArchived():
            return ()
        case PaymentRecorded() | PaymentReversed():
            return ()
        case _:
            assert_never(event)


def custom_id(text: str | None) -> Claim:
    return Claim(kind=CUSTOM_ID, values=() if text is None else (text.lower(),))


def party(role: str, party_id: UUID | None, contract_id: UUID) -> Claim:
    return Claim(kind=PARTY[role], values=() if party_id is None else (f"{party_id}:{contract_id}",))


def numbered(text: str) -> ClaimAdded:
    number = number_of(text)
    assert number is not None, text
    return ClaimAdded(kind=NUMBER, value=number.claim)
