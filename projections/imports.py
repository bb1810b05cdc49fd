"""Imports as those who run them know them."""

from datetime import datetime
from operator import attrgetter
from typing import assert_never
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from domain.imports.events import (
    KINDS,
    MODES,
    Counts,
    ImportApplied,
    ImportApplyBegan,
    ImportCanceled,
    ImportEvent,
    ImportFailed,
    ImportPreviewed,
    ImportStarted,
)
from domain.shared import Actor, Recorded
from projections.columns import Column, ColumnType
from projections.lists import Listing
from projections.projection import Fold

STATES = ("reading", "previewed", "applying", "applied", "canceled", "failed")


class Import(Struct, frozen=True, kw_only=True):
    """A file that was taken in. `counts`: what would become of its `total` rows, and, once applied, what did.

    `error`: the code of why it failed, `detail` in words.
    """

    id: UUID
    version: int
    position: int
    state: str
    created_at: datetime
    updated_at: datetime
    kind: str
    mode: str
    name: str
    size: int
    sha256: str
    started_by: Actor
    applied_by: Actor | None = None
    format: str | None = None
    encoding: str | None = None
    total: int | None = None
    counts: Counts = Counts()
    error: str | None = None
    detail: str | None = None

    @property
    def archived(self) -> bool:
        return False


COLUMNS = {
    "kind": Column(type=ColumnType.TEXT, get=attrgetter("kind"), choices=KINDS, nullable=False),
    "mode": Column(
        type=ColumnType.TEXT, get=attrgetter("mode"), choices=MODES, nullable=False, indexed=False
    ),
    "state": Column(type=ColumnType.TEXT, get=attrgetter("state"), choices=STATES, nullable=False),
    "name": Column(type=ColumnType.FOLDED, get=attrgetter("name"), nullable=False),
}


def fold(view: Import | None, recorded: Recorded[ImportEvent]) -> Import:
    event = recorded.event
    if isinstance(event, ImportStarted):
        return Import(
            id=recorded.stream_id,
            version=recorded.version,
            position=recorded.position,
            state="reading",
            created_at=recorded.recorded_at,
            updated_at=recorded.recorded_at,
            kind=event.kind,
            mode=event.mode,
            name=event.name,
            size=event.size,
            sha256=event.sha256,
            started_by=recorded.metadata.actor,
            encoding=event.encoding,
        )
    assert view is not None
    return replace(
        _after(view, event),
        version=recorded.version,
        position=recorded.position,
        updated_at=recorded.recorded_at,
    )


def _after(
    view: Import, event: ImportPreviewed | ImportApplyBegan | ImportApplied | ImportCanceled | ImportFailed
) -> Import:
    match event:
        case ImportPreviewed():
            found = {"format": event.format, "encoding": event.encoding, "total": event.total}
            return replace(view, state="previewed", counts=event.counts, **found)
        case ImportApplyBegan():
            return replace(view, state="applying", applied_by=event.applied_by)
        case ImportApplied():
            return replace(view, state="applied", counts=event.counts)
        case ImportCanceled():
            return replace(view, state="canceled")
        case ImportFailed():
            return replace(view, state="failed", error=event.error, detail=event.detail)
        case _:
            assert_never(event)


IMPORTS = Fold(name="import", version=1, view=Import, columns=COLUMNS, fold=fold)
LISTING = Listing(name="import", view=Import, columns=COLUMNS)
