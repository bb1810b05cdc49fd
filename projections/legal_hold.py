"""Legal holds as whoever keeps them looks them over: who must not be forgotten, and why."""

from datetime import datetime
from operator import attrgetter
from typing import assert_never
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.legal_hold.events import LegalHoldEvent, LegalHoldPlaced, LegalHoldReleased, Subject
from domain.shared import Actor, Recorded
from projections.audience import Audience
from projections.columns import Column, ColumnType
from projections.lists import Listing
from projections.projection import Fold, begun, moved


class LegalHold(Struct, frozen=True, kw_only=True):
    """One hold on one subject, `in_force` or `released`."""

    id: UUID
    version: int
    position: int
    state: str
    created_at: datetime
    updated_at: datetime
    subject: Subject
    reason: str
    placed_by: Actor
    released_at: datetime | None = None
    released_by: Actor | None = None
    release_reason: str | None = None

    @property
    def archived(self) -> bool:
        return self.state == "released"


COLUMNS = {
    "state": Column(
        type=ColumnType.TEXT,
        get=attrgetter("state"),
        choices=("in_force", "released"),
        nullable=False,
        indexed=False,
    ),
    "subject_type": Column(
        type=ColumnType.TEXT,
        get=attrgetter("subject.type"),
        choices=("user", "contact", "organisation"),
        nullable=False,
        indexed=False,
    ),
    "subject_id": Column(
        type=ColumnType.UUID, get=attrgetter("subject.id"), aliases=("subject",), nullable=False
    ),
}


def fold(view: LegalHold | None, recorded: Recorded[LegalHoldEvent]) -> LegalHold:
    event, by = recorded.event, recorded.metadata.actor
    match event:
        case LegalHoldPlaced():
            return LegalHold(
                **begun(recorded), state="in_force", subject=event.subject, reason=event.reason, placed_by=by
            )
        case LegalHoldReleased():
            assert view is not None
            return msgspec.structs.replace(
                view,
                **moved(recorded),
                state="released",
                released_at=recorded.recorded_at,
                released_by=by,
                release_reason=event.reason,
            )
        case _:
            assert_never(event)


LEGAL_HOLDS = Fold(name="legal_hold", version=1, view=LegalHold, columns=COLUMNS, fold=fold)
LISTING = Listing(
    name="legal_hold",
    view=LegalHold,
    columns=COLUMNS,
    audience=Audience(path="legal-holds", right="audit:hold"),
)
