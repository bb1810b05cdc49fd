"""What can happen to an export of a list: somebody asks for it, and a job has it ready or cannot have it."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from msgspec import Struct

from domain.shared import Event, Personal

CSV, NDJSON, XLSX = "csv", "ndjson", "xlsx"
AUDIT = "audit"
"""Stands for a list where the log itself is taken out."""


class AuditSelection(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What of the log: from position or instant `first` to `last`; of that what fits every filter, with any value."""

    first: int | datetime | None = None
    last: int | datetime | None = None
    topic: tuple[str, ...] = ()
    subject: tuple[UUID, ...] = ()
    actor: tuple[UUID, ...] = ()
    request: tuple[str, ...] = ()
    allowed_by: tuple[str, ...] = ()


class ExportRequested(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Who takes which records out. What he typed may name people, so it is sealed under his own key.

    `requested_as`: `user` or `client`. Empty `fields`: all of them. `selection`: of the log alone.
    """

    TOPIC: ClassVar[str] = "export.requested.v1"
    SUBJECT: ClassVar[str | None] = "requested_by"

    list: str
    format: str
    requested_by: UUID
    requested_as: str
    filter: Personal[str] = None
    order_by: str | None = None
    fields: tuple[str, ...] = ()
    show_archived: bool = False
    selection: AuditSelection | None = None


class ExportCompleted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """`true_at`: the position of the log that its `rows` are true at. `object_id` names the file until `expires_at`.

    `sight` stands for what the requester could view of the list just then.
    """

    TOPIC: ClassVar[str] = "export.completed.v1"

    rows: int
    true_at: int
    size: int
    sha256: str
    object_id: UUID
    sight: str
    expires_at: datetime


class ExportFailed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """`error` is the code of why, `detail` for people."""

    TOPIC: ClassVar[str] = "export.failed.v1"

    error: str
    detail: str


ExportEvent = ExportRequested | ExportCompleted | ExportFailed
