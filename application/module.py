"""Modules of other systems: registered by an administrator, so that rights to them can be granted."""

from functools import partial
from typing import ClassVar

from msgspec import structs

from application.access import Need
from application.catalogue import ACTIONS
from application.context import Context, DryRun
from application.execute import Execute
from application.ports import NOTHING_ELSE, Answer, Reliance
from domain.module.aggregate import MODULE
from domain.module.commands import RegisterModule
from domain.module.events import ModuleRegistered, module_id
from domain.shared import DomainError, FieldError, Kind

REGISTER = Need(right="module:register")
ALWAYS = "global"
"""The scope type that every module has, said or not."""
HERE = "own"
"""The scope type that means records kept here, and nothing elsewhere."""


class ModuleIsOwn(DomainError):
    """This is a module of Chancery itself; its actions are what they are."""

    code: ClassVar[str] = "module.own"
    kind: ClassVar[Kind] = Kind.CONFLICT


class ModuleInvalid(DomainError):
    """A scope type that other systems' modules cannot have."""

    code: ClassVar[str] = "module.invalid"
    kind: ClassVar[Kind] = Kind.INVALID


class Modules:
    def __init__(self, execute: Execute) -> None:
        self._execute = execute

    async def register(self, command: RegisterModule, context: Context) -> Answer | DryRun:
        """Again with other lists: changed. Raises ModuleIsOwn, ModuleInvalid."""
        command = structs.replace(
            command,
            actions=tuple(sorted(set(command.actions))),
            scope_types=tuple(sorted({*command.scope_types} - {ALWAYS})),
        )
        return await self._execute(
            MODULE,
            module_id(command.module),
            command,
            context,
            REGISTER,
            upsert=True,
            made=lambda events: any(isinstance(event, ModuleRegistered) for event in events),
            relies=partial(_possible, command),
        )


async def _possible(command: RegisterModule) -> Reliance:
    if command.module in ACTIONS:
        raise ModuleIsOwn(f"`{command.module}` is a module of Chancery itself.")
    if HERE in command.scope_types:
        detail = "`own` means records that are kept here."
        wrong = FieldError(pointer="/scope_types", code="reserved", detail=detail)
        raise ModuleInvalid(detail, errors=(wrong,))
    return NOTHING_ELSE
