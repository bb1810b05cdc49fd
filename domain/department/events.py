"""What can happen to a department."""

from typing import ClassVar
from uuid import UUID, uuid5

from msgspec import UNSET, UnsetType

from domain.shared import Event

_SHIPPED = UUID("9d3f0c1a-7b52-4f0e-8a86-0f6f2c1d4be5")
"""The namespace of the ids of departments that come with the product (RFC 9562 5.5). It never changes."""


def shipped_id(custom_id: str) -> UUID:
    """The department that came with the product under this custom id, whatever it is called by now."""
    return uuid5(_SHIPPED, custom_id)


class DepartmentAdded(Event, frozen=True, kw_only=True, omit_defaults=True):
    TOPIC: ClassVar[str] = "department.added.v1"

    name: str
    custom_id: str | None = None
    description: str | None = None


class DepartmentChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Only what changed stands here, each with its new value; None: cleared."""

    TOPIC: ClassVar[str] = "department.changed.v1"

    name: str | UnsetType = UNSET
    custom_id: str | None | UnsetType = UNSET
    description: str | None | UnsetType = UNSET


class DepartmentArchived(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Nobody was in it, and nobody will be."""

    TOPIC: ClassVar[str] = "department.archived.v1"

    reason: str | None = None


DepartmentEvent = DepartmentAdded | DepartmentChanged | DepartmentArchived
