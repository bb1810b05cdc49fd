"""What can happen to a letter, coming in or going out."""

from datetime import date
from typing import ClassVar
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from domain.shared import Event, Personal

INCOMING, OUTGOING = "IN", "OUT"
"""The two registers, each a series of numbers of its own."""


class Paper(Struct, frozen=True, kw_only=True):
    """What any letter says of itself. `parent_id`: the one it answers. `due_on`: when its own answer is due."""

    organisation_ids: tuple[UUID, ...]
    subject: Personal[str] = None
    parent_id: UUID | None = None
    due_on: date | None = None
    attachments: tuple[UUID, ...] = ()


class Received(Paper, frozen=True, kw_only=True):
    """What came in has the sender's number and date, too. `document_id`: the organisation document that it brought."""

    sender_number: str | None = None
    sender_date: date | None = None
    received_on: date
    document_id: UUID | None = None


class Details(Paper, frozen=True, kw_only=True):
    """What is known of a letter besides our own number, and may be corrected."""

    sender_number: str | None = None
    sender_date: date | None = None
    received_on: date | None = None
    signed_on: date | None = None


class LetterRegistered(Received, Event, frozen=True, kw_only=True, omit_defaults=True):
    """A letter has come in. `number`: ours, of the register IN."""

    TOPIC: ClassVar[str] = "letter.registered.v1"

    number: str


class LetterDrafted(Paper, Event, frozen=True, kw_only=True, omit_defaults=True):
    """A letter shall go out. It has no number before it is signed."""

    TOPIC: ClassVar[str] = "letter.drafted.v1"


class LetterChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Only what was corrected stands here, each with its new value; None: cleared. `bound`: the files it has ever had,
    wherever those of now are others: what was once enclosed stays with it.
    """

    TOPIC: ClassVar[str] = "letter.changed.v1"

    organisation_ids: tuple[UUID, ...] | UnsetType = UNSET
    subject: Personal[str] | UnsetType = UNSET
    sender_number: str | None | UnsetType = UNSET
    sender_date: date | None | UnsetType = UNSET
    received_on: date | UnsetType = UNSET
    signed_on: date | UnsetType = UNSET
    parent_id: UUID | None | UnsetType = UNSET
    due_on: date | None | UnsetType = UNSET
    attachments: tuple[UUID, ...] | UnsetType = UNSET
    bound: tuple[UUID, ...] | UnsetType = UNSET


class LetterSigned(Event, frozen=True, kw_only=True, omit_defaults=True):
    """It goes out. `number`: ours, of the register OUT."""

    TOPIC: ClassVar[str] = "letter.signed.v1"

    number: str
    signed_on: date
    signed_by: UUID


class LetterWithdrawn(Event, frozen=True, kw_only=True, omit_defaults=True):
    """It counts no more. The number that it has is not given out again."""

    TOPIC: ClassVar[str] = "letter.withdrawn.v1"

    reason: str


class LetterFellDue(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The day has come by which it should be answered, and no answer is there: said once for each such day.

    `user_ids`: who is told, since they answer for it.
    """

    TOPIC: ClassVar[str] = "letter.fell_due.v1"

    due_on: date
    user_ids: tuple[UUID, ...] = ()


LetterEvent = (
    LetterRegistered | LetterDrafted | LetterChanged | LetterSigned | LetterWithdrawn | LetterFellDue
)
