"""What can happen to a module of another system, whose rights are kept here."""

from typing import ClassVar
from uuid import UUID, uuid5

from msgspec import Struct

from domain.shared import Event

_MODULES = UUID("0abb3237-b962-4812-8104-028202308787")
"""The namespace of module ids (RFC 9562 5.5). It never changes: a module's stream is found by it."""


def module_id(name: str) -> UUID:
    """One stream per module, whoever registers it."""
    return uuid5(_MODULES, name)


class Details(Struct, frozen=True, kw_only=True):
    """What can be granted in the other system: its module's actions, in which kinds of scope."""

    module: str
    actions: tuple[str, ...]
    scope_types: tuple[str, ...]


class ModuleRegistered(Details, Event, frozen=True, kw_only=True):
    TOPIC: ClassVar[str] = "module.registered.v1"


class ModuleChanged(Details, Event, frozen=True, kw_only=True):
    """The whole stands here as it is now; grants of an action that is gone stay as they are."""

    TOPIC: ClassVar[str] = "module.changed.v1"


ModuleEvent = ModuleRegistered | ModuleChanged
