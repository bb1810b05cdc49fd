"""What a grant keeps for every request to be judged by: the right held, and the terms it stands on."""

from datetime import UTC, datetime
from typing import assert_never
from uuid import UUID

from domain.grant.events import GrantChanged, GrantEvent, GrantExpired, GrantGiven, GrantRevoked
from domain.shared import Claim, Guard, RightGone, RightHeld

STANDING = "grant.standing"
"""The claim of a grant in force on its own terms: who passes a right on relies on them to the letter."""


def guards(stream_id: UUID, event: GrantEvent) -> tuple[Guard, ...]:
    match event:
        case GrantGiven() | GrantChanged():
            held = RightHeld(
                subject_kind=event.subject.type,
                subject_id=event.subject.id,
                scope_type=event.scope_type,
                scope_id=event.scope_id,
                module=event.module,
                action=event.action,
                grantable=event.grantable,
                not_before=event.not_before,
                expires_at=event.expires_at,
            )
            terms = standing(stream_id, event.not_before, event.expires_at, grantable=event.grantable)
            return held, Claim(kind=STANDING, values=(terms,))
        case GrantRevoked() | GrantExpired():
            return RightGone(), Claim(kind=STANDING, values=())
        case _:
            assert_never(event)


def standing(
    grant_id: UUID, not_before: datetime | None, expires_at: datetime | None, *, grantable: bool
) -> str:
    """The value of the STANDING claim: the same for the same terms, however an instant was written."""
    window = (instant.astimezone(UTC).isoformat() if instant else "-" for instant in (not_before, expires_at))
    return " ".join((str(grant_id), *window, "grantable" if grantable else "held"))
