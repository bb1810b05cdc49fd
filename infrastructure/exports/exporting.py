"""Makes an export: reads a list through a cursor, as one moment has it, while its file flows to the object store."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from msgspec import structs
from psycopg import AsyncConnection

from application.access import AccessError, Caller, require
from application.export import Exports, Wanted
from domain.export.aggregate import Requested
from domain.export.commands import CompleteExport
from domain.export.events import AUDIT, CSV, NDJSON, AuditSelection, ExportRequested
from domain.shared import Actor, DomainError
from infrastructure.audit.export import NothingToExport
from infrastructure.audit.exporting import pieces, settled
from infrastructure.event_store import new_id
from infrastructure.exports.format import CsvWriting, NdjsonWriting, Writing, paths_of
from infrastructure.exports.lists import ExportedLists, Reading
from infrastructure.exports.xlsx import TooManyRows, XlsxWriting
from infrastructure.object_store import ObjectStore
from infrastructure.postgres import connect
from infrastructure.security.actors import Actors
from projections.conditions import ListRefused
from projections.lists import Listing, shown

AT_ONCE = 500
"""Records fetched and written together."""
KEPT_FOR = timedelta(hours=24)
"""How long the file may be downloaded; no claim holds it, so the sweep of strays removes it then."""
PATIENT = "-c lock_timeout=2s -c statement_timeout=60s -c idle_in_transaction_session_timeout=60s -c jit=off"
"""A sort of a whole list takes a while, and so may the object store between two fetches."""

EXPORT_LOG = "audit:export"

Completed = Callable[[Listing], Listing]


@dataclass(kw_only=True)
class Made:
    """What is known of the file when all of it has flowed by."""

    rows: int = 0
    true_at: int = 0
    size: int = 0
    digest: Any = field(default_factory=sha256)


class Exporter:
    """`completed` adds to a listing what its read model does not hold."""

    def __init__(
        self,
        exports: Exports,
        offered: ExportedLists,
        actors: Actors,
        objects: ObjectStore,
        url: str,
        clock: Callable[[], datetime],
        completed: Completed = lambda listing: listing,
    ) -> None:
        self._exports, self._offered, self._actors = exports, offered, actors
        self._objects, self._url, self._clock, self._completed = objects, url, clock, completed

    async def run(self, export_id: UUID, *, last: bool) -> None:
        """One attempt; each writes a file of its own, and the first that is whole counts. `last`: there is no other.

        Raises what the object store and the database raise, to be tried again.
        """
        state = await self._exports.state(export_id)
        if not isinstance(state, Requested):
            return
        try:
            await self._make(export_id, state.about)
        except (ListRefused, DomainError, AccessError, RequesterGone, TooManyRows) as refusal:
            await self._exports.fail(export_id, refusal.code, str(refusal))
        except NothingToExport as reason:
            await self._exports.fail(export_id, "export.nothing_there", str(reason))
        except Exception:
            if last:
                detail = "It could not be made, however often we tried. Export it again."
                await self._exports.fail(export_id, "export.given_up", detail)
            raise

    async def _make(self, export_id: UUID, about: ExportRequested) -> None:
        began, object_id, made = self._clock(), new_id(), Made()
        if about.list == AUDIT:
            require(await self._requester(about), EXPORT_LOG, began)
            sight, content = "", self._log(about.selection or AuditSelection(), made)
        else:
            reading = await self._allowed(about)
            sight, content = reading.sight, self._list(reading, about.format, made)
        await self._objects.store(object_id, _counted(content, made))
        command = CompleteExport(
            rows=made.rows,
            true_at=made.true_at,
            size=made.size,
            sha256=made.digest.hexdigest(),
            object_id=object_id,
            sight=sight,
            expires_at=began + KEPT_FOR,
        )
        if not await self._exports.complete(export_id, command):
            await self._objects.discard(object_id)

    async def _requester(self, about: ExportRequested) -> Caller:
        """Raises RequesterGone."""
        caller = await self._actors.caller(Actor(kind=about.requested_as, id=about.requested_by))
        if caller is None:
            raise RequesterGone("Whoever asked for it may not act any more.")
        return caller

    async def _allowed(self, about: ExportRequested) -> Reading:
        """What the requester may view now. Raises RequesterGone, Forbidden, ExportListUnknown, ListRefused."""
        caller = await self._requester(about)
        names = Wanted.__struct_fields__
        reading = self._offered.reading(Wanted(**{name: getattr(about, name) for name in names}), caller)
        self._offered.require(reading, caller)
        return structs.replace(reading, listing=self._completed(reading.listing))

    async def _list(self, reading: Reading, form: str, made: Made) -> AsyncIterator[bytes]:
        writing = _writing(reading, form)
        async with await connect(self._url, options=PATIENT, name="chancery export") as connection:
            async for chunk in _chunks(connection, reading, writing, made):
                yield chunk

    async def _log(self, wanted: AuditSelection, made: Made) -> AsyncIterator[bytes]:
        async with await connect(self._url, options=PATIENT, name="chancery export") as connection:
            order = await settled(connection, wanted)
            made.true_at = order.head.size
            async for piece in pieces(connection, order):
                made.rows += piece.entries
                yield piece.lines


class RequesterGone(Exception):
    """Whoever asked for the export was blocked, deactivated, disabled or erased before it was made."""

    code = "export.requester_gone"


async def _counted(content: AsyncIterator[bytes], made: Made) -> AsyncIterator[bytes]:
    async for chunk in content:
        made.size += len(chunk)
        made.digest.update(chunk)
        yield chunk


def _writing(reading: Reading, form: str) -> Writing:
    if form == NDJSON:
        return NdjsonWriting()
    paths = paths_of(reading.listing.view, reading.members)
    return CsvWriting(paths) if form == CSV else XlsxWriting(paths)


_POSITION = b"select position from projections where name = %s and place = 'read'"


async def _chunks(
    connection: AsyncConnection[Any], reading: Reading, writing: Writing, made: Made
) -> AsyncIterator[bytes]:
    """In one snapshot: a read model moves its position in the transaction of its rows."""
    rows, listing = reading.rows, reading.listing
    async with connection.transaction():
        await connection.execute(b"set transaction isolation level repeatable read read only")
        at = await (await connection.execute(_POSITION, (listing.name,))).fetchone()
        made.true_at = at[0] if at else 0
        yield writing.head()
        async with connection.cursor(name="export") as cursor:
            await cursor.execute(rows.sql.as_bytes(None), rows.parameters)
            while found := await cursor.fetchmany(AT_ONCE):
                made.rows += len(found)
                yield writing.rows(await shown(listing, [row[0] for row in found], reading.members))
        yield writing.tail()
