"""Departments as the list shows them."""

from datetime import datetime
from operator import attrgetter
from typing import assert_never
from uuid import UUID

from msgspec import UNSET, Struct
from msgspec.structs import asdict, replace

from domain.department.events import (
    DepartmentAdded,
    DepartmentArchived,
    DepartmentChanged,
    DepartmentEvent,
)
from domain.shared import Recorded
from projections.audience import Audience
from projections.columns import Column, ColumnType
from projections.lists import Listing
from projections.projection import Fold, begun, moved


class Department(Struct, frozen=True, kw_only=True):
    """People belong to it, and have the rights it holds."""

    id: UUID
    version: int
    position: int
    state: str
    created_at: datetime
    updated_at: datetime
    name: str
    custom_id: str | None = None
    description: str | None = None
    archived_at: datetime | None = None

    @property
    def archived(self) -> bool:
        return self.archived_at is not None


COLUMNS = {
    "name": Column(type=ColumnType.FOLDED, get=attrgetter("name"), nullable=False),
    "custom_id": Column(type=ColumnType.TEXT, get=attrgetter("custom_id")),
    "state": Column(
        type=ColumnType.TEXT,
        get=attrgetter("state"),
        choices=("open", "archived"),
        nullable=False,
        indexed=False,
    ),
}


def fold(view: Department | None, recorded: Recorded[DepartmentEvent]) -> Department:
    event = recorded.event
    if isinstance(event, DepartmentAdded):
        return Department(
            **begun(recorded),
            state="open",
            **asdict(event),
        )
    assert view is not None
    after = replace(view, **moved(recorded))
    match event:
        case DepartmentChanged():
            return replace(after, **{n: value for n, value in asdict(event).items() if value is not UNSET})
        case DepartmentArchived():
            return replace(after, state="archived", archived_at=recorded.recorded_at)
        case _:
            assert_never(event)


DEPARTMENTS = Fold(name="department", version=1, view=Department, columns=COLUMNS, fold=fold)
LISTING = Listing(
    name="department",
    view=Department,
    columns=COLUMNS,
    audience=Audience(path="departments", right="department:view", by={"department": "id"}),
)
