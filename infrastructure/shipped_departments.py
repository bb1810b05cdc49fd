"""Departments that come with the product, and their rights: made once, and from then on the administrator's."""

import tomllib
from collections.abc import Collection, Iterator
from uuid import UUID

import msgspec
import structlog
from msgspec import Struct

from application.access import system as itself
from application.context import Context
from domain.department.aggregate import DepartmentCustomIdTaken, DepartmentNameTaken
from domain.department.commands import AddDepartment
from domain.department.events import shipped_id
from domain.department.guards import OPEN
from domain.grant.events import Grant, Subject
from infrastructure.bootstrap import System
from infrastructure.shipped import DATA

REASON = "comes with the product"
BY_ITSELF = Context(caller=itself(), request_id="shipped-departments")

_log = structlog.get_logger("shipped")


class ShippedDepartment(Struct, frozen=True, forbid_unknown_fields=True):
    """`everywhere`: rights in `global/*`; `own`: in `own/*`, for the records that a member answers for."""

    custom_id: str
    name: str
    description: str
    everywhere: tuple[str, ...]
    own: tuple[str, ...]

    @property
    def id(self) -> UUID:
        return shipped_id(self.custom_id)

    def grants(self) -> Iterator[Grant]:
        for scope_type, rights in (("global", self.everywhere), ("own", self.own)):
            for right in rights:
                module, _, action = right.partition(":")
                yield Grant(
                    subject=Subject(type="department", id=self.id),
                    scope_type=scope_type,
                    scope_id="*",
                    module=module,
                    action=action,
                    reason=REASON,
                )


def shipped_departments() -> list[ShippedDepartment]:
    text = (DATA / "departments.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text)["department"], list[ShippedDepartment])


async def ship_departments(system: System) -> None:
    """Makes what was never made. What was renamed, archived or revoked since has a past, and is left as it is."""
    departments = shipped_departments()
    wanted = [department.id for department in departments]
    wanted += [grant.stream_id for department in departments for grant in department.grants()]
    made = await _with_a_past(system, wanted)
    for department in departments:
        if department.id not in made and not await _made(system, department):
            continue
        if await system.claims.owner(OPEN, str(department.id)) is None:
            continue
        for grant in department.grants():
            if grant.stream_id not in made:
                await system.grants.give(grant, BY_ITSELF)


async def _made(system: System, department: ShippedDepartment) -> bool:
    """False: somebody has a department of that name, which is left alone."""
    command = AddDepartment(
        name=department.name, custom_id=department.custom_id, description=department.description
    )
    try:
        await system.departments.add(command, BY_ITSELF, department_id=department.id)
    except (DepartmentNameTaken, DepartmentCustomIdTaken):
        _log.info("department.not_shipped", custom_id=department.custom_id)
        return False
    return True


async def _with_a_past(system: System, streams: Collection[UUID]) -> set[UUID]:
    async with system.pool.connection() as connection:
        rows = await connection.execute(
            "select originator_id from stored_events where originator_id = any(%s) and originator_version = 1",
            (list(streams),),
        )
        return {stream for (stream,) in await rows.fetchall()}
