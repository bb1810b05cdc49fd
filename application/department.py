"""Departments: add, change, archive."""

from collections.abc import Callable
from functools import partial
from typing import Protocol
from uuid import UUID

from application.access import Need, Resource
from application.context import Context, DryRun
from application.execute import Execute
from application.ports import Answer, ClaimTaken, NewId, Reliance
from domain.department.aggregate import (
    DEPARTMENT,
    Department,
    DepartmentCustomIdTaken,
    DepartmentHasMembers,
    DepartmentNameTaken,
)
from domain.department.commands import AddDepartment, ArchiveDepartment, ChangeDepartment
from domain.department.guards import NAME
from domain.shared import DomainError

VIEW = "department:view"


class Members(Protocol):
    """What the guards know of people in departments now."""

    async def any_in(self, department_id: UUID) -> bool: ...


class Departments:
    def __init__(self, execute: Execute, members: Members, new_id: NewId) -> None:
        self._execute, self._members, self._new_id = execute, members, new_id

    async def add(
        self, command: AddDepartment, context: Context, *, department_id: UUID | None = None
    ) -> Answer | DryRun:
        """`department_id`: of one that comes with the product, and may be there already (DepartmentCustomIdTaken)."""
        return await self._execute(
            DEPARTMENT,
            department_id or self._new_id(),
            command,
            context,
            Need(right="department:create"),
            new=department_id is None,
            upsert=department_id is not None,
            taken=_taken,
        )

    async def change(
        self, department_id: UUID, command: ChangeDepartment, context: Context
    ) -> Answer | DryRun:
        return await self._execute(
            DEPARTMENT,
            department_id,
            command,
            context,
            Need(right="department:edit", view=VIEW),
            resource=of(department_id),
            taken=_taken,
        )

    async def archive(
        self, department_id: UUID, command: ArchiveDepartment, context: Context
    ) -> Answer | DryRun:
        """Append sees to it that nobody came in meanwhile. Raises DepartmentHasMembers."""
        return await self._execute(
            DEPARTMENT,
            department_id,
            command,
            context,
            Need(right="department:archive", view=VIEW),
            resource=of(department_id),
            relies=partial(self._vacant, department_id),
        )

    async def _vacant(self, department_id: UUID) -> Reliance:
        if await self._members.any_in(department_id):
            raise DepartmentHasMembers("Somebody belongs to this department still.")
        return Reliance(vacant=(department_id,))


def of(department_id: UUID) -> Callable[[Department], Resource]:
    """The department as scopes see it: `department/<id>`."""
    return lambda _: Resource(scopes=frozenset({("department", str(department_id))}))


def _taken(taken: ClaimTaken) -> DomainError:
    if taken.kind == NAME:
        return DepartmentNameTaken("Another department has this name.")
    return DepartmentCustomIdTaken("Another department has this custom id.")
