"""GET of exports, by whoever asked for them, and of what is in their files."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import Router, get
from msgspec import Struct, structs

from api import answers
from api.answers import Answer, Header, Page
from api.auth import caller_of
from api.conditions import min_position
from api.lists import LIST_PARAMETERS, Lists, Wanted
from api.openapi import problems
from api.problems import NotFound, Problem
from api.queries.file import Contents, Download, disposition
from api.queries.records import Asked, Clock, Found, IfNoneMatch, MinPosition, Progress, Read
from api.refs import Ref, id_of
from application.access import require
from domain.export.events import AUDIT, AuditSelection
from infrastructure.exports.format import CONTENT_TYPES
from infrastructure.exports.lists import ExportedLists
from projections.conditions import where
from projections.export import LISTING, Export

PATH = "/api/v1/exports"
AUDIT_PATH = "/api/v1/audit/exports"
_export = msgspec.json.Decoder(Export)


class ExportNotReady(Problem):
    """A job is still writing this export; ask for it again in a moment, until its state is `completed`."""

    code, status = "export.not_ready", 409


class ExportHasFailed(Problem):
    """There is no file: `error` and `detail` of the export say why."""

    code, status = "export.failed", 409


class ExportExpired(Problem):
    """Its file was removed, 24 hours after it was made. Export the list again."""

    code, status = "export.expired", 404


FILE_PROBLEMS = problems(ExportNotReady, ExportHasFailed, ExportExpired)


class Counts(Struct, frozen=True, kw_only=True):
    rows: int
    bytes: int


class ExportView(Struct, frozen=True, kw_only=True):
    """An export: `requested`, `completed`, `failed`, or `expired` when its file is gone.

    `true_at`: the position of the log at which its rows are the list. `content`: where the file is to be had.
    """

    id: UUID
    version: int
    position: int
    state: str
    created_at: datetime
    updated_at: datetime
    list: str
    format: str
    filter: str | None
    order_by: str | None
    fields: tuple[str, ...]
    show_archived: bool
    selection: AuditSelection | None
    requested_by: UUID
    counts: Counts | None
    true_at: int | None
    sha256: str | None
    content: str | None
    expires_at: datetime | None
    error: str | None
    detail: str | None


class OwnExports:
    """Exports as their requesters see them: of lists, and of the log."""

    def __init__(self, read: Read, progress: Progress, contents: Contents, clock: Clock) -> None:
        self._read, self._progress, self._contents, self._clock = read, progress, contents, clock

    def shown(self, one: Export) -> ExportView:
        over = one.expires_at is not None and one.expires_at <= self._clock()
        known: dict[str, Any] = {
            name: getattr(one, name) for name in ExportView.__struct_fields__ if hasattr(one, name)
        }
        if over:
            known["state"] = "expired"
        path = AUDIT_PATH if one.list == AUDIT else PATH
        return ExportView(
            **known,
            counts=None if one.rows is None or one.size is None else Counts(rows=one.rows, bytes=one.size),
            content=f"{path}/{one.id}/content" if one.state == "completed" and not over else None,
        )

    async def found(
        self, request: Asked, ref: Ref, at_least: str | None, *, of_log: bool = False
    ) -> tuple[Export, Found]:
        """His own; an administrator's also those of others. Raises NotFound."""
        if (position := min_position(at_least)) is not None:
            await self._progress.reached(self._read.name, position)
        record = await self._read(id_of(ref))
        if not record.version:
            raise NotFound
        one = _export.decode(record.view)
        caller = caller_of(request)
        if (caller.actor.id != one.requested_by and caller.role != "admin") or (one.list == AUDIT) != of_log:
            raise NotFound
        return one, record

    def file(self, one: Export, record: Found) -> Answer[bytes]:
        """Raises ExportNotReady, ExportHasFailed, ExportExpired."""
        state = self.shown(one).state
        if state != "completed":
            raise {"requested": ExportNotReady, "failed": ExportHasFailed}.get(state, ExportExpired)
        name = f"{one.list}-{one.created_at:%Y-%m-%d}.{one.format}"
        headers: list[Header] = [
            (b"content-type", CONTENT_TYPES[one.format].encode()),
            (b"content-length", b"%d" % (one.size or 0)),
            (b"content-disposition", disposition(name).encode()),
            (b"cache-control", b"no-store"),
            (b"x-projection-position", b"%d" % record.position),
        ]
        return Download(self._contents, one.object_id, headers)


def routes(own: OwnExports, offered: ExportedLists, lists: Lists) -> Router:
    async def complete(rows: Sequence[bytes]) -> Sequence[bytes]:
        return [answers.encode(own.shown(_export.decode(row))) for row in rows]

    listing = structs.replace(LISTING, view=ExportView, complete=complete)

    @get("/", dependencies=LIST_PARAMETERS)
    async def own_exports(
        request: Asked, wanted: Wanted, at_least: MinPosition = None
    ) -> Answer[Page[ExportView]]:
        """The exports you asked for, newest first."""
        mine = where("{column} = %s", "requested_by", caller_of(request).actor.id)
        return await lists.page(request, listing, wanted, at_least=at_least, scope=mine)

    @get("/{ref:str}")
    async def export(
        request: Asked, ref: Ref, at_least: MinPosition = None, if_none_match: IfNoneMatch = None
    ) -> Answer[ExportView]:
        """How far it is; when it is there, where its file is and at which position its rows are true."""
        one, record = await own.found(request, ref, at_least)
        return answers.record(answers.encode(own.shown(one)), one.version, record.position, if_none_match)

    @get("/{ref:str}/content", media_type="*/*", responses=FILE_PROBLEMS)
    async def export_content(request: Asked, ref: Ref, at_least: MinPosition = None) -> Answer[bytes]:
        """The file, for as long as you may view what you could view when it was made."""
        one, record = await own.found(request, ref, at_least)
        file = own.file(one, record)
        offered.require_same(one.list, one.sight or "", caller_of(request))
        return file

    return Router("/exports", route_handlers=[own_exports, export, export_content])


def audit_routes(own: OwnExports, clock: Clock) -> Router:
    """For whoever holds `audit:export`, when he asks and when he fetches."""

    @get("/{ref:str}")
    async def audit_export(
        request: Asked, ref: Ref, at_least: MinPosition = None, if_none_match: IfNoneMatch = None
    ) -> Answer[ExportView]:
        """How far it is; when it is there, where its file is and how many entries were signed then (`true_at`)."""
        require(caller_of(request), "audit:export", clock())
        one, record = await own.found(request, ref, at_least, of_log=True)
        return answers.record(answers.encode(own.shown(one)), one.version, record.position, if_none_match)

    @get("/{ref:str}/content", media_type="*/*", responses=FILE_PROBLEMS)
    async def audit_export_content(request: Asked, ref: Ref, at_least: MinPosition = None) -> Answer[bytes]:
        """The file: NDJSON that `chancery audit verify` and docs/verify/verify_export.py check offline."""
        require(caller_of(request), "audit:export", clock())
        one, record = await own.found(request, ref, at_least, of_log=True)
        return own.file(one, record)

    return Router("/audit/exports", route_handlers=[audit_export, audit_export_content])
