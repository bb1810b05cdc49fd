"""What can happen to a legal hold: placed, and one day released."""

from typing import ClassVar
from uuid import UUID

from msgspec import Struct

from domain.shared import Event

USER, CONTACT, ORGANISATION = "user", "contact", "organisation"


class Subject(Struct, frozen=True, kw_only=True):
    """Whom or what it is on. `type`: user, contact or organisation, the last with all its contacts."""

    type: str
    id: UUID


class LegalHoldPlaced(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Nothing of the subject may be erased, for a reason that outlives him: it should name the case, not the person."""

    TOPIC: ClassVar[str] = "legal_hold.placed.v1"

    subject: Subject
    reason: str


class LegalHoldReleased(Event, frozen=True, kw_only=True, omit_defaults=True):
    TOPIC: ClassVar[str] = "legal_hold.released.v1"

    reason: str | None = None


LegalHoldEvent = LegalHoldPlaced | LegalHoldReleased
