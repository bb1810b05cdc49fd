"""GET of imports: how far they are, what a preview shows, which rows failed."""

import csv
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from io import StringIO
from typing import Any
from uuid import UUID

import msgspec
from litestar import Router, get
from msgspec import Struct, structs

from api.answers import Answer, Page
from api.auth import caller_of
from api.lists import LIST_PARAMETERS, Lists, Wanted
from api.problems import NotFound
from api.queries.file import disposition
from api.queries.past import Past
from api.queries.records import Asked, Clock, Found, IfNoneMatch, MinPosition, Read, Records
from api.queries.records import Progress as Positions
from api.refs import Ref, id_of
from application.access import ANYTHING, Caller, may, require
from infrastructure.exports.format import harmless
from infrastructure.imports.file import FailedRow
from infrastructure.imports.progress import ImportProgress, Problem
from infrastructure.imports.progress import Progress as Kept
from projections.imports import LISTING, Import

RUN = "import:run"
CSV = (b"content-type", b"text/csv; charset=utf-8")


class Progress(Struct, frozen=True, kw_only=True):
    """In rows; `total` is null while nobody knows it."""

    processed: int
    total: int | None


class ImportView(Import, frozen=True, kw_only=True):
    """`columns`: column of the file to the field it is taken for. `sample`: up to 20 rows as they would be written.
    `problems`: the first 100; row 0 stands for the file as a whole. `progress` is of the step the import is at, or
    was when it stopped; while it is applied, `counts` are of the rows dealt with so far."""

    columns: Mapping[str, str]
    sample: Sequence[Mapping[str, Any]]
    problems: Sequence[Problem]
    progress: Progress


class _Completed(Struct, frozen=True):
    """Implements Found."""

    version: int
    view: bytes
    position: int


class WithProgress:
    """Implements Read: the record, and how far the job is."""

    def __init__(self, read: Read, kept: ImportProgress) -> None:
        self._read, self._kept = read, kept
        self.name = read.name

    async def __call__(self, record_id: UUID) -> Found:
        found = await self._read(record_id)
        if not found.version:
            return found
        shown = complete(_decode(found.view), await self._kept.of(record_id))
        return _Completed(found.version, msgspec.json.encode(shown), found.position)


_decode = msgspec.json.Decoder(Import).decode


def complete(view: Import, kept: Kept | None) -> ImportView:
    """The record and what the job has written down, which may be a step ahead of each other."""
    kept = kept or Kept(counts=view.counts)
    progress, counts = Progress(processed=kept.processed, total=kept.total), kept.counts
    if view.state == "applying" and kept.step == "reading":
        progress, counts = Progress(processed=0, total=None), view.counts
    elif view.state in ("previewed", "applied"):
        counts = view.counts
    problems = list(kept.problems)
    if view.error is not None and view.detail is not None:
        problems.insert(0, Problem(row=0, pointer="/file", code=view.error, detail=view.detail))
    told: dict[str, Any] = structs.asdict(view) | {
        "counts": counts,
        "encoding": view.encoding or kept.encoding,
        "format": view.format or kept.format,
    }
    return ImportView(
        **told,
        columns=kept.columns,
        sample=kept.sample,
        problems=problems,
        progress=progress,
    )


class ImportSight:
    """Implements Sight: whoever may run imports sees them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def sees(self, caller: Caller, record: bytes) -> bool:  # noqa: ARG002 - all or none
        return may(caller, RUN, ANYTHING, self._clock()) is not None

    def hidden(self, caller: Caller, record_id: UUID) -> frozenset[str]:  # noqa: ARG002 - the same for all
        return frozenset()


class Table(Answer[bytes]):
    """A CSV that is read page by page while it is sent."""

    def __init__(self, name: str, header: Sequence[str], pages: AsyncIterator[list[FailedRow]]) -> None:
        super().__init__(200, b"")
        self.fields = [
            CSV,
            (b"content-disposition", disposition(name).encode()),
            (b"cache-control", b"no-store"),
        ]
        self._header, self._pages = header, pages

    async def write(self, send: Callable[[Any], Awaitable[None]]) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": self.fields})
        head = _lines([[*self._header, "row", "reason"]])
        await send({"type": "http.response.body", "body": b"\xef\xbb\xbf" + head, "more_body": True})
        async for page in self._pages:
            lines = _lines([_fitting(each, len(self._header)) for each in page])
            await send({"type": "http.response.body", "body": lines, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _fitting(failed: FailedRow, columns: int) -> list[str]:
    """What stands too far right is given up, so that the reason stands below its heading."""
    cells = [*failed.cells[:columns], *[""] * (columns - len(failed.cells))]
    reason = "; ".join(f"{each.pointer}: {each.detail}" for each in failed.problems)
    return [*cells, str(failed.row), reason]


def _lines(rows: list[list[str]]) -> bytes:
    """RFC 4180; what a spreadsheet would compute is made text."""
    written = StringIO()
    csv.writer(written).writerows([harmless(cell) for cell in row] for row in rows)
    return written.getvalue().encode()


def routes(
    read: Read, positions: Positions, past: Past, kept: ImportProgress, lists: Lists, clock: Clock
) -> Router:
    records = Records(WithProgress(read, kept), positions, past, ImportSight(clock))

    @get("/", dependencies=LIST_PARAMETERS)
    async def imports(request: Asked, wanted: Wanted, at_least: MinPosition = None) -> Answer[Page[Import]]:
        """The imports there were, newest first."""
        require(caller_of(request), RUN, clock())
        return await lists.page(request, LISTING, wanted, at_least=at_least)

    @get("/{ref:str}")
    async def one_import(
        request: Asked, ref: Ref, at_least: MinPosition = None, if_none_match: IfNoneMatch = None
    ) -> Answer[ImportView]:
        """One import: its preview, and how far it is."""
        return await records.one(request, id_of(ref), at_least=at_least, if_none_match=if_none_match)

    @get("/{ref:str}/failed-rows", media_type="text/csv")
    async def failed_rows(request: Asked, ref: Ref, at_least: MinPosition = None) -> Answer[bytes]:
        """The rows that were left out, as they stand in the file, each with its number and why: a CSV."""
        import_id = id_of(ref)
        await records.one(request, import_id, at_least=at_least, if_none_match=None)
        found = await kept.of(import_id)
        if found is None:
            raise NotFound("Nothing is kept of its rows any more.")
        return Table(f"failed-rows-{import_id}.csv", found.header, kept.failed_rows(import_id))

    return Router("/imports", route_handlers=[imports, one_import, failed_rows])
