"""Notices as everybody reads them: articles, banners in their order, and what was withdrawn for whoever asks."""

from datetime import datetime
from operator import attrgetter
from typing import assert_never
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from domain.notice.events import KINDS, NoticeChanged, NoticeEvent, NoticePublished, NoticeWithdrawn
from domain.shared import Recorded
from projections.audience import Audience
from projections.columns import Column, ColumnType
from projections.lists import Listing
from projections.projection import Fold, begun, moved


class Notice(Struct, frozen=True, kw_only=True):
    """One notice. `text` is plain text; `file_id` is its image."""

    id: UUID
    version: int
    position: int
    state: str
    created_at: datetime
    updated_at: datetime
    kind: str
    title: str | None
    text: str | None
    file_id: UUID | None
    order: int
    published_by: UUID
    withdrawn_at: datetime | None = None
    withdraw_reason: str | None = None

    @property
    def archived(self) -> bool:
        return self.state == "withdrawn"


COLUMNS = {
    "state": Column(
        type=ColumnType.TEXT,
        get=attrgetter("state"),
        choices=("published", "withdrawn"),
        nullable=False,
        indexed=False,
    ),
    "kind": Column(type=ColumnType.TEXT, get=attrgetter("kind"), choices=KINDS, nullable=False),
    "title": Column(type=ColumnType.FOLDED, get=attrgetter("title")),
    "order": Column(type=ColumnType.INTEGER, get=attrgetter("order"), nullable=False),
}


def fold(view: Notice | None, recorded: Recorded[NoticeEvent]) -> Notice:
    event = recorded.event
    match event:
        case NoticePublished():
            told, author = msgspec.structs.asdict(event), recorded.metadata.actor.id
            return Notice(**begun(recorded), state="published", published_by=author, **told)
        case NoticeChanged():
            new = {name: value for name, value in msgspec.structs.asdict(event).items() if value is not UNSET}
            new.pop("bound", None)
        case NoticeWithdrawn():
            new = {
                "state": "withdrawn",
                "withdrawn_at": recorded.recorded_at,
                "withdraw_reason": event.reason,
            }
        case _:
            assert_never(event)
    assert view is not None
    return replace(view, **moved(recorded), **new)


NOTICES = Fold(name="notice", version=1, view=Notice, columns=COLUMNS, fold=fold)
LISTING = Listing(name="notice", view=Notice, columns=COLUMNS, audience=Audience(path="notices"))
