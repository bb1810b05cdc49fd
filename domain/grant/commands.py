"""What one may ask of rights that people hold."""

from datetime import datetime
from uuid import UUID

from domain.grant.events import Grant
from domain.shared import Command


class GiveGrant(Command, frozen=True, kw_only=True):
    """`by` is who asks: nobody gives himself a right."""

    now: datetime
    by: UUID
    grant: Grant


class RevokeGrant(Command, frozen=True, kw_only=True):
    now: datetime
    reason: str


class LapseGrant(Command, frozen=True, kw_only=True):
    """Its time has run out, says the clock; the log should say so too."""

    now: datetime


GrantCommand = GiveGrant | RevokeGrant | LapseGrant
