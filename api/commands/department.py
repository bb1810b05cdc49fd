"""POST and PATCH of departments."""

from typing import Any

import msgspec
from litestar import Router, patch, post
from litestar.params import JSONBody
from msgspec import UNSET, UnsetType

from api.answers import Answer, Receipt
from api.asking import Asked, DryRunFlag, IdempotencyKey, IfMatch, answered, as_command, context
from api.fields import Body, Change, CustomId, LongText, Name, Nothing, Reason
from api.openapi import problems
from api.refs import Ref, Refs
from application.department import Departments
from domain.department.aggregate import (
    DepartmentCustomIdTaken,
    DepartmentHasMembers,
    DepartmentIsArchived,
    DepartmentNameTaken,
    DepartmentUnknown,
)
from domain.department.commands import AddDepartment, ArchiveDepartment, ChangeDepartment

PATH = "/api/v1/departments"


class AddDepartmentBody(Body, frozen=True, kw_only=True):
    name: Name
    custom_id: CustomId | None = None
    description: LongText | None = None


class ChangeDepartmentBody(Body, frozen=True, kw_only=True):
    """Absent: unchanged; null: cleared."""

    name: Name | UnsetType = UNSET
    custom_id: Change[CustomId] = UNSET
    description: Change[LongText] = UNSET


class ArchiveDepartmentBody(Nothing, frozen=True, kw_only=True):
    reason: Reason | None = None


def routes(departments: Departments, refs: Refs) -> Router:
    @post("/", responses=problems(DepartmentNameTaken, DepartmentCustomIdTaken))
    async def add_department(
        request: Asked,
        data: JSONBody[AddDepartmentBody],
        *,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Open a department. It holds no rights before they are granted to it."""
        asked = context(request, data, None, idempotency_key, dry_run=dry_run)
        return answered(await departments.add(as_command(data, AddDepartment), asked), at=PATH)

    @patch(
        "/{ref:str}",
        responses=problems(
            DepartmentUnknown, DepartmentIsArchived, DepartmentNameTaken, DepartmentCustomIdTaken
        ),
    )
    async def change_department(
        request: Asked,
        ref: Ref,
        data: JSONBody[ChangeDepartmentBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Change what stands in the body."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        changes: dict[str, Any] = msgspec.to_builtins(data)
        department_id = await refs.id("department", ref)
        return answered(await departments.change(department_id, ChangeDepartment(changes=changes), asked))

    @post("/{ref:str}/archive", status_code=200, responses=problems(DepartmentUnknown, DepartmentHasMembers))
    async def archive_department(
        request: Asked,
        ref: Ref,
        data: JSONBody[ArchiveDepartmentBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Close it, once nobody belongs to it: nobody can be put into it, and no right given to it, any more."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        department_id = await refs.id("department", ref)
        return answered(await departments.archive(department_id, as_command(data, ArchiveDepartment), asked))

    return Router(
        "/departments",
        route_handlers=[add_department, change_department, archive_department],
        tags=["Departments"],
    )
