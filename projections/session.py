"""Sessions as their owner looks them over: which device, from where, since when."""

from datetime import datetime
from operator import attrgetter
from typing import assert_never
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.session.events import SessionClosed, SessionEvent, SessionOpened, SessionProved
from domain.shared import Recorded
from projections.columns import Column, ColumnType
from projections.copies import Copies
from projections.lists import Listing
from projections.projection import Fold, begun, moved


class Session(Struct, frozen=True, kw_only=True):
    """One sign-in. `device` and `address` are as seen when it was opened.

    `close_reason` is null while it is open, and when it ended by time or together with others of its user.
    """

    id: UUID
    version: int
    position: int
    state: str
    created_at: datetime
    updated_at: datetime
    user_id: UUID
    device: str | None
    address: str | None
    transport: str
    proved_at: datetime
    expires_at: datetime
    closed_at: datetime | None = None
    close_reason: str | None = None

    @property
    def archived(self) -> bool:
        return self.state == "closed"


COLUMNS = {
    "user_id": Column(type=ColumnType.UUID, get=attrgetter("user_id"), nullable=False),
    "state": Column(
        type=ColumnType.TEXT,
        get=attrgetter("state"),
        choices=("open", "closed"),
        nullable=False,
        indexed=False,
    ),
}


def fold(view: Session | None, recorded: Recorded[SessionEvent]) -> Session:
    event = recorded.event
    if isinstance(event, SessionOpened):
        origin = recorded.metadata.origin
        return Session(
            **begun(recorded),
            state="open",
            user_id=event.user_id,
            device=origin.agent if origin else None,
            address=origin.address if origin else None,
            transport=event.transport,
            proved_at=event.proved_at or event.opened_at,
            expires_at=event.expires_at,
        )
    assert view is not None
    after = msgspec.structs.replace(view, **moved(recorded))
    match event:
        case SessionProved():
            return msgspec.structs.replace(after, proved_at=event.proved_at)
        case SessionClosed():
            return msgspec.structs.replace(
                after, state="closed", closed_at=recorded.recorded_at, close_reason=event.reason
            )
        case _:
            assert_never(event)


def without(view: Session, _user_id: UUID) -> Session:
    return msgspec.structs.replace(view, device=None, address=None)


SESSIONS = Fold(
    name="session",
    version=2,
    view=Session,
    columns=COLUMNS,
    fold=fold,
    copies=Copies(column="user_id", without=without),
)
LISTING = Listing(name="session", view=Session, columns=COLUMNS)
