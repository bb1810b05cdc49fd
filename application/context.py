"""One request as the application sees it, and the answers that come from its conditions rather than from a rule."""

from typing import ClassVar
from uuid import UUID

from msgspec import Struct

from application.access import Caller
from application.ports import Key
from domain.shared import DomainError, Event, Kind, Origin


class Context(Struct, frozen=True, kw_only=True):
    """One request: who asks, from where, and under which conditions."""

    caller: Caller
    request_id: str
    origin: Origin | None = None
    cause: UUID | None = None
    if_match: int | None = None
    key: Key | None = None
    dry_run: bool = False


class DryRun(Struct, frozen=True):
    """The events a command would append."""

    events: tuple[Event, ...]


class KeyReused(DomainError):
    """The Idempotency-Key was used before for something else."""

    code: ClassVar[str] = "idempotency_key_reused"
    kind: ClassVar[Kind] = Kind.INVALID


class VersionMismatch(Exception):
    """If-Match named another version than `current`."""

    def __init__(self, current: int) -> None:
        super().__init__(f"current version {current}")
        self.current = current


class TooBusy(Exception):
    """The record changes faster than this command could be decided."""
