"""The live sessions that every request is judged against."""

from typing import assert_never
from uuid import UUID

from domain import shared
from domain.session.events import (
    SessionClosed,
    SessionEvent,
    SessionOpened,
    SessionProved,
)
from domain.shared import Guard


def guards(stream_id: UUID, event: SessionEvent) -> tuple[Guard, ...]:
    match event:
        case SessionOpened():
            return (
                shared.SessionOpened(
                    user_id=event.user_id,
                    proved_at=event.proved_at or event.opened_at,
                    expires_at=event.expires_at,
                ),
            )
        case SessionProved():
            return (shared.SessionProved(proved_at=event.proved_at),)
        case SessionClosed():
            return (shared.SessionEnded(),)
        case _:
            assert_never(event)
