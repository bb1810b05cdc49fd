"""What a legal hold keeps for every erasure to be judged by: that it is on somebody."""

from typing import assert_never
from uuid import UUID

from domain.legal_hold.events import LegalHoldEvent, LegalHoldPlaced, LegalHoldReleased
from domain.shared import Claim, Guard

ON = "legal_hold.on"
"""The value is `<subject>:<hold>`, so that several cases may hold one person. `append` knows it: `unheld`."""


def guards(stream_id: UUID, event: LegalHoldEvent) -> tuple[Guard, ...]:
    match event:
        case LegalHoldPlaced():
            return (Claim(kind=ON, values=(f"{event.subject.id}:{stream_id}",)),)
        case LegalHoldReleased():
            return (Claim(kind=ON, values=()),)
        case _:
            assert_never(event)
