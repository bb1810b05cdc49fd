"""What one may ask of an import, and what the worker who does it reports."""

from uuid import UUID

from domain.imports.events import Counts
from domain.shared import Actor, Command


class StartImport(Command, frozen=True, kw_only=True):
    kind: str
    mode: str
    name: str
    size: int
    sha256: str
    object_id: UUID
    encoding: str | None = None
    columns: dict[str, str] | None = None


class PreviewImport(Command, frozen=True, kw_only=True):
    """The file has been read."""

    format: str
    encoding: str
    total: int
    counts: Counts


class ApplyImport(Command, frozen=True, kw_only=True):
    applied_by: Actor


class FinishImport(Command, frozen=True, kw_only=True):
    """Every row has been dealt with."""

    counts: Counts


class CancelImport(Command, frozen=True, kw_only=True):
    pass


class FailImport(Command, frozen=True, kw_only=True):
    """It cannot go on."""

    error: str
    detail: str


ImportCommand = StartImport | PreviewImport | ApplyImport | FinishImport | CancelImport | FailImport
