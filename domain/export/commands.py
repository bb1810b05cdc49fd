"""What one may ask of an export, and what the worker who makes it reports."""

from datetime import datetime
from uuid import UUID

from domain.export.events import AuditSelection
from domain.shared import Command


class RequestExport(Command, frozen=True, kw_only=True):
    list: str
    format: str
    requested_by: UUID
    requested_as: str
    filter: str | None = None
    order_by: str | None = None
    fields: tuple[str, ...] = ()
    show_archived: bool = False
    selection: AuditSelection | None = None


class CompleteExport(Command, frozen=True, kw_only=True):
    """The file is whole."""

    rows: int
    true_at: int
    size: int
    sha256: str
    object_id: UUID
    sight: str
    expires_at: datetime


class FailExport(Command, frozen=True, kw_only=True):
    """It cannot be had."""

    error: str
    detail: str


ExportCommand = RequestExport | CompleteExport | FailExport
