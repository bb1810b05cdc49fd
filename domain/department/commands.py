"""What one may ask of departments."""

from typing import Any

from domain.shared import Command


class AddDepartment(Command, frozen=True, kw_only=True):
    name: str
    custom_id: str | None = None
    description: str | None = None


class ChangeDepartment(Command, frozen=True, kw_only=True):
    """`changes` holds field names of DepartmentChanged with their new values."""

    changes: dict[str, Any]


class ArchiveDepartment(Command, frozen=True, kw_only=True):
    reason: str | None = None


DepartmentCommand = AddDepartment | ChangeDepartment | ArchiveDepartment
