"""Exports as whoever asked for them follows them."""

from datetime import datetime
from operator import attrgetter
from typing import assert_never
from uuid import UUID

from msgspec import Struct
from msgspec.structs import asdict, replace

from domain.export.events import AuditSelection, ExportCompleted, ExportEvent, ExportFailed, ExportRequested
from domain.shared import Recorded
from projections.columns import Column, ColumnType
from projections.copies import Copies
from projections.lists import Listing
from projections.projection import Fold, begun, moved


class Export(Struct, frozen=True, kw_only=True):
    """One export: `requested` until its file is there (`completed`) or cannot be had (`failed`)."""

    id: UUID
    version: int
    position: int
    state: str
    created_at: datetime
    updated_at: datetime
    list: str
    format: str
    requested_by: UUID
    requested_as: str
    filter: str | None
    order_by: str | None
    fields: tuple[str, ...]
    show_archived: bool
    selection: AuditSelection | None = None
    rows: int | None = None
    true_at: int | None = None
    size: int | None = None
    sha256: str | None = None
    object_id: UUID | None = None
    sight: str | None = None
    expires_at: datetime | None = None
    error: str | None = None
    detail: str | None = None

    @property
    def archived(self) -> bool:
        return False


COLUMNS = {
    "state": Column(
        type=ColumnType.TEXT,
        get=attrgetter("state"),
        choices=("requested", "completed", "failed"),
        nullable=False,
        indexed=False,
    ),
    "requested_by": Column(type=ColumnType.UUID, get=attrgetter("requested_by"), nullable=False),
    "list": Column(type=ColumnType.TEXT, get=attrgetter("list"), nullable=False, indexed=False),
    "format": Column(type=ColumnType.TEXT, get=attrgetter("format"), nullable=False, indexed=False),
}


def fold(view: Export | None, recorded: Recorded[ExportEvent]) -> Export:
    event = recorded.event
    if isinstance(event, ExportRequested):
        return Export(**begun(recorded), state="requested", **asdict(event))
    assert view is not None
    match event:
        case ExportCompleted():
            return replace(view, **moved(recorded), state="completed", **asdict(event))
        case ExportFailed():
            return replace(view, **moved(recorded), state="failed", **asdict(event))
        case _:
            assert_never(event)


def without(view: Export, _requester_id: UUID) -> Export:
    return replace(view, filter=None)


EXPORTS = Fold(
    name="export",
    version=2,
    view=Export,
    columns=COLUMNS,
    fold=fold,
    copies=Copies(column="requested_by", without=without),
)
LISTING = Listing(name="export", view=Export, columns=COLUMNS)
