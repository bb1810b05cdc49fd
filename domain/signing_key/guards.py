"""In which state each key is, as a claim of its stream: every process reads them many times a minute."""

from typing import assert_never
from uuid import UUID

from domain.shared import Claim, Guard
from domain.signing_key.events import (
    SigningKeyActivated,
    SigningKeyAdded,
    SigningKeyCompromised,
    SigningKeyEvent,
    SigningKeyRetired,
    SigningKeySuperseded,
)

PENDING, ACTIVE, RETIRING = "signing_key.pending", "signing_key.active", "signing_key.retiring"
RETIRED, COMPROMISED = "signing_key.retired", "signing_key.compromised"
STATES = (PENDING, ACTIVE, RETIRING, RETIRED, COMPROMISED)
"""The kinds of claim; the value is the key's id."""
PUBLISHED = (PENDING, ACTIVE, RETIRING)
"""What such keys sign, or will sign, is believed."""


def guards(stream_id: UUID, event: SigningKeyEvent) -> tuple[Guard, ...]:
    now = _state_after(event)
    return tuple(Claim(kind=state, values=(event.kid,) if state == now else ()) for state in STATES)


def _state_after(event: SigningKeyEvent) -> str:
    match event:
        case SigningKeyAdded():
            return PENDING
        case SigningKeyActivated():
            return ACTIVE
        case SigningKeySuperseded():
            return RETIRING
        case SigningKeyRetired():
            return RETIRED
        case SigningKeyCompromised():
            return COMPROMISED
        case _:
            assert_never(event)
