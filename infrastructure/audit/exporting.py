"""The log, or a part of it, as a stream of bytes for a job: what `chancery audit export` writes, made by the server."""

from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any, NamedTuple

from msgspec import structs
from psycopg import AsyncConnection

from domain.export.events import AuditSelection
from infrastructure.audit.export import DatabaseSource, Order, export_lines
from infrastructure.audit.form import End, written
from infrastructure.audit.selected import Asked, first_line, selected_lines, settle
from infrastructure.audit.selection import Selection


class Piece(NamedTuple):
    """Some lines, and how many entries are among them."""

    lines: bytes
    entries: int


async def settled(connection: AsyncConnection[Any], wanted: AuditSelection) -> Order:
    """What is to be written of the log as it is signed now. Raises NothingToExport."""
    filters = {name: value for name, value in structs.asdict(wanted).items() if name not in ("first", "last")}
    asked = Asked(filters=Selection(**filters), first=wanted.first, last=wanted.last)
    return await settle(DatabaseSource(connection), asked)


async def pieces(connection: AsyncConnection[Any], order: Order) -> AsyncIterator[Piece]:
    """The file, piece by piece. It holds no snapshot: what is signed does not change. Raises NothingToExport."""
    source = DatabaseSource(connection)
    if order.selection is None:
        async for lines in export_lines(source, order):
            yield Piece(lines, lines.count(b'{"i":'))
        return
    digest, entries = sha256(), 0
    head = first_line(order, order.selection)
    digest.update(head)
    yield Piece(head, 0)
    async for _, lines in selected_lines(source, order):
        found = lines.count(b"\n")
        entries += found
        digest.update(lines)
        yield Piece(lines, found)
    yield Piece(written(End(entries=entries, sha256=digest.hexdigest())), 0)
