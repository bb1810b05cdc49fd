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
MEANT = ("global", "own")
"""Scope types that mean the same everywhere: the first is always there, the second has no meaning elsewhere."""


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
            scope_types=tuple(sorted(set(command.scope_types))),
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
    if wrong := [at for at, scope_type in enumerate(command.scope_types) if scope_type in MEANT]:
        detail = "`global` is always there, and `own` means records that are kept here."
        raise ModuleInvalid(
            detail,
            errors=tuple(
                FieldError(pointer=f"/scope_types/{at}", code="reserved", detail=detail) for at in wrong
            ),
        )
    return NOTHING_ELSE
