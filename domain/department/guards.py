"""What a department keeps for itself: its name and custom id, and that people and rights may be given to it."""

from typing import assert_never
from uuid import UUID

from msgspec import UnsetType

from domain.department.events import (
    DepartmentAdded,
    DepartmentArchived,
    DepartmentChanged,
    DepartmentEvent,
)
from domain.shared import Claim, Guard

NAME = "department.name"
CUSTOM_ID = "department.custom_id"
OPEN = "department.open"
"""Required by whatever needs a department that is not archived; the value is its id."""


def guards(stream_id: UUID, event: DepartmentEvent) -> tuple[Guard, ...]:
    match event:
        case DepartmentAdded():
            opened = Claim(kind=OPEN, values=(str(stream_id),))
            return named(NAME, event.name), named(CUSTOM_ID, event.custom_id), opened
        case DepartmentChanged():
            changed = ((NAME, event.name), (CUSTOM_ID, event.custom_id))
            return tuple(named(kind, text) for kind, text in changed if not isinstance(text, UnsetType))
        case DepartmentArchived():  # its name is free for a successor; papers go on naming it by its custom id
            return Claim(kind=NAME, values=()), Claim(kind=OPEN, values=())
        case _:
            assert_never(event)


def named(kind: str, text: str | None) -> Claim:
    return Claim(kind=kind, values=() if text is None else (text.casefold(),))
