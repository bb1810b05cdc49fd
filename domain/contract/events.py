"""What can happen to a contract."""

from datetime import date, datetime
from typing import ClassVar
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from domain.money import Money
from domain.shared import Event


class Terms(Struct, frozen=True, kw_only=True):
    """What is agreed, with whom. `kind` is `sale`, which has an amount, or `cooperation`, which has none."""

    kind: str
    organisation_id: UUID
    contact_id: UUID | None = None
    custom_id: str | None = None
    title: str | None = None
    amount: Money | None = None
    due_on: date | None = None


class ContractDrafted(Terms, Event, frozen=True, kw_only=True, omit_defaults=True):
    """`account_manager_id`: who answered for the contact at that time, else for the organisation, else the drafter."""

    TOPIC: ClassVar[str] = "contract.drafted.v1"

    drafted_by: UUID | None = None
    account_manager_id: UUID | None = None


class ContractChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Only what changed stands here, each with its new value; None: cleared."""

    TOPIC: ClassVar[str] = "contract.changed.v1"

    kind: str | UnsetType = UNSET
    organisation_id: UUID | UnsetType = UNSET
    contact_id: UUID | None | UnsetType = UNSET
    custom_id: str | None | UnsetType = UNSET
    title: str | None | UnsetType = UNSET
    amount: Money | None | UnsetType = UNSET
    due_on: date | None | UnsetType = UNSET
    account_manager_id: UUID | None | UnsetType = UNSET


class ContractSigned(Event, frozen=True, kw_only=True, omit_defaults=True):
    """`document_sha256`: of the contract as version `signed_version` had it, see domain/contract/document.py.

    How the signer was known: `credential` is `password`, `identity_provider` or `api_key`; `proved_at`: when he last
    gave his password, here or to the provider. From where is in the envelope, sealed, beside session and right.

    What it is called, with whom it is made and who answers for it stand here, too, so that whoever is to be told needs
    no other event.
    """

    TOPIC: ClassVar[str] = "contract.signed.v1"

    signed_by: UUID
    signed_at: datetime
    signed_version: int
    document_sha256: str
    custom_id: str | None = None
    title: str | None = None
    account_manager_id: UUID | None = None
    organisation_id: UUID | None = None
    kind: str | None = None
    credential: str | None = None
    proved_at: datetime | None = None


class ContractAmended(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A signed amount is another one from now on."""

    TOPIC: ClassVar[str] = "contract.amended.v1"

    amount: Money
    reason: str


class ContractCanceled(Event, frozen=True, kw_only=True, omit_defaults=True):
    """`organisation_id`: so that what is known of that organisation follows from this event alone."""

    TOPIC: ClassVar[str] = "contract.canceled.v1"

    reason: str
    organisation_id: UUID | None = None


class ContractArchived(Event, frozen=True, kw_only=True, omit_defaults=True):
    TOPIC: ClassVar[str] = "contract.archived.v1"

    reason: str | None = None


class PaymentRecorded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Money came in. `paid_on`: the day it did, as somebody says; `reference`: as the bank has it."""

    TOPIC: ClassVar[str] = "contract.payment_recorded.v1"

    payment_id: UUID
    amount: Money
    paid_on: date
    reference: str | None = None


class PaymentReversed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A recorded payment counts no more; it stays in the books, with the whole amount against it."""

    TOPIC: ClassVar[str] = "contract.payment_reversed.v1"

    payment_id: UUID
    amount: Money
    reason: str


class Particulars(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who stands on an invoice, as he was called when it was issued. `note`: what the law wants said besides."""

    name: str
    address: str | None = None
    identifiers: dict[str, str] = {}
    note: str | None = None


class Invoiced(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An invoice, with everything that stands on it: nothing of it ever changes."""

    TOPIC: ClassVar[str] = "contract.invoiced.v1"

    invoice_id: UUID
    number: str
    series: str
    amount: Money
    issued_on: date
    due_on: date | None = None
    organisation_id: UUID
    seller: Particulars
    buyer: Particulars
    custom_id: str | None = None
    title: str | None = None


class Credited(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A credit note: so much of that invoice is owed no more."""

    TOPIC: ClassVar[str] = "contract.credited.v1"

    credit_note_id: UUID
    number: str
    invoice_id: UUID
    invoice_number: str
    amount: Money
    issued_on: date
    reason: str | None = None


class Arrangement(Struct, frozen=True, kw_only=True):
    """What is held, when and where. `attendees`: how many are expected."""

    title: str
    starts_at: datetime
    ends_at: datetime
    place: str | None = None
    attendees: int | None = None
    notes: str | None = None


class OccasionAdded(Arrangement, Event, frozen=True, kw_only=True, omit_defaults=True):
    """An occasion was sold with this contract. `organisation_id`: the contract's, which is firm by then."""

    TOPIC: ClassVar[str] = "contract.occasion_added.v1"

    occasion_id: UUID
    organisation_id: UUID


class OccasionChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Only what changed stands here, each with its new value; None: cleared.

    When one of the times changed both stand here, and `assigned_to`, who is taken then.
    """

    TOPIC: ClassVar[str] = "contract.occasion_changed.v1"

    occasion_id: UUID
    title: str | UnsetType = UNSET
    starts_at: datetime | UnsetType = UNSET
    ends_at: datetime | UnsetType = UNSET
    place: str | None | UnsetType = UNSET
    attendees: int | None | UnsetType = UNSET
    notes: str | None | UnsetType = UNSET
    assigned_to: UUID | None = None


class OccasionAssigned(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody is to hold it; None: nobody any more. What it is called and when it is, so that he can be told."""

    TOPIC: ClassVar[str] = "contract.occasion_assigned.v1"

    occasion_id: UUID
    user_id: UUID | None = None
    title: str
    starts_at: datetime
    ends_at: datetime


class OccasionWithdrawn(Event, frozen=True, kw_only=True, omit_defaults=True):
    TOPIC: ClassVar[str] = "contract.occasion_withdrawn.v1"

    occasion_id: UUID
    reason: str | None = None


OccasionEvent = OccasionAdded | OccasionChanged | OccasionAssigned | OccasionWithdrawn
MoneyEvent = PaymentRecorded | PaymentReversed | Invoiced | Credited
ContractEvent = (
    ContractDrafted
    | ContractChanged
    | ContractSigned
    | ContractAmended
    | ContractCanceled
    | ContractArchived
    | MoneyEvent
    | OccasionEvent
)
