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
from infrastructure.exports.format import CONTENT_TYPES
from infrastructure.exports.lists import ExportedLists
from projections.conditions import where
from projections.export import LISTING, Export

PATH = "/api/v1/exports"
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
    requested_by: UUID
    counts: Counts | None
    true_at: int | None
    sha256: str | None
    content: str | None
    expires_at: datetime | None
    error: str | None
    detail: str | None


def routes(
    read: Read, progress: Progress, contents: Contents, offered: ExportedLists, lists: Lists, clock: Clock
) -> Router:
    def shown(one: Export) -> ExportView:
        over = one.expires_at is not None and one.expires_at <= clock()
        known: dict[str, Any] = {
            name: getattr(one, name) for name in ExportView.__struct_fields__ if hasattr(one, name)
        }
        if over:
            known["state"] = "expired"
        return ExportView(
            **known,
            counts=None if one.rows is None or one.size is None else Counts(rows=one.rows, bytes=one.size),
            content=f"{PATH}/{one.id}/content" if one.state == "completed" and not over else None,
        )

    async def found(request: Asked, ref: Ref, at_least: str | None) -> tuple[Export, Found]:
        if (position := min_position(at_least)) is not None:
            await progress.reached(read.name, position)
        record = await read(id_of(ref))
        if not record.version:
            raise NotFound
        one = _export.decode(record.view)
        caller = caller_of(request)
        if caller.actor.id != one.requested_by and caller.role != "admin":
            raise NotFound
        return one, record

    async def complete(rows: Sequence[bytes]) -> Sequence[bytes]:
        return [answers.encode(shown(_export.decode(row))) for row in rows]

    listing = structs.replace(LISTING, view=ExportView, complete=complete)

    @get("/", dependencies=LIST_PARAMETERS)
    async def own_exports(
        request: Asked, wanted: Wanted, at_least: MinPosition = None
    ) -> Answer[Page[ExportView]]:
        """The exports you asked for, newest first."""
        own = where("{column} = %s", "requested_by", caller_of(request).actor.id)
        return await lists.page(request, listing, wanted, at_least=at_least, scope=own)

    @get("/{ref:str}")
    async def export(
        request: Asked, ref: Ref, at_least: MinPosition = None, if_none_match: IfNoneMatch = None
    ) -> Answer[ExportView]:
        """How far it is; when it is there, where its file is and at which position its rows are true."""
        one, record = await found(request, ref, at_least)
        return answers.record(answers.encode(shown(one)), one.version, record.position, if_none_match)

    @get(
        "/{ref:str}/content",
        media_type="*/*",
        responses=problems(ExportNotReady, ExportHasFailed, ExportExpired),
    )
    async def export_content(request: Asked, ref: Ref, at_least: MinPosition = None) -> Answer[bytes]:
        """The file, for as long as you may view what you could view when it was made."""
        one, record = await found(request, ref, at_least)
        state = shown(one).state
        if state != "completed":
            raise {"requested": ExportNotReady, "failed": ExportHasFailed}.get(state, ExportExpired)
        offered.require_same(one.list, one.sight or "", caller_of(request))
        name = f"{one.list}-{one.created_at:%Y-%m-%d}.{one.format}"
        headers: list[Header] = [
            (b"content-type", CONTENT_TYPES[one.format].encode()),
            (b"content-length", b"%d" % (one.size or 0)),
            (b"content-disposition", disposition(name).encode()),
            (b"cache-control", b"no-store"),
            (b"x-projection-position", b"%d" % record.position),
        ]
        return Download(contents, one.object_id, headers)

    return Router("/exports", route_handlers=[own_exports, export, export_content])
