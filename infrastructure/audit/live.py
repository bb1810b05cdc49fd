"""Whether the database still is what was signed: events against leaves, entries, tiles and every recent checkpoint."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

from psycopg import AsyncConnection

from infrastructure.audit.export import DatabaseSource, NothingToExport, export_lines
from infrastructure.audit.report import Finding, Report, Verdict
from infrastructure.audit.signed_note import Note, Verifier
from infrastructure.audit.verify import Examiner
from projections.audit_log import stored_events
from projections.audit_tree import read_tiles, span_hashes, tree_size
from projections.leaf import leaf
from projections.merkle import HASH, Span, leaf_hash, perfect_hash
from projections.tiles import WIDTH, TileAt, tile_path

RECENT = 1_000
"""Checkpoints whose roots are computed again, the newest ones."""
_STEP = 20_000
_DIFFERENT = """
select position from (
  select coalesce(e.position, s.notification_id) as position from
    (select * from read.audit_entry where position between %(first)s and %(last)s) e
    full join (select * from stored_events where notification_id between %(first)s and %(last)s) s
    on s.notification_id = e.position
  left join read.audit_tile t on t.level = 0 and t.number = (coalesce(e.position, s.notification_id) - 1) / 256
  where (e.event_id, e.stream_id, e.version, e.topic, e.recorded_at)
      is distinct from (s.event_id, s.originator_id, s.originator_version, s.topic, s.recorded_at)
    or e.leaf_hash is distinct from substring(t.hashes from ((e.position - 1) %% 256 * 32 + 1)::int for 32)
) different order by position limit 100
"""


async def verify_database(
    connection: AsyncConnection[Any], trusted: Iterable[Verifier] = (), kept: Note | None = None
) -> Report:
    """As an export would be verified, and besides: entries, upper tiles, and the checkpoints signed before."""
    examiner = Examiner(trusted, kept)
    try:
        async for lines in export_lines(DatabaseSource(connection)):
            for line in lines.splitlines(keepends=True):
                examiner.take(line)
        async for finding in _beside(connection):
            examiner.note(finding)
    except NothingToExport as reason:
        examiner.note(Finding(verdict=Verdict.INCOMPLETE, detail=str(reason)))
    return examiner.report()


async def changed_events(
    connection: AsyncConnection[Any], after: int, blocks: int = 8
) -> tuple[list[int], int]:
    """Positions of stored events that are not what the tree holds, from the block of `after` on; the last compared."""
    first = after // WIDTH
    numbers = range(first, first + blocks)
    tiles = await read_tiles(connection, [TileAt(0, number) for number in numbers])
    row = b"".join(tiles.get(TileAt(0, number), b"") for number in numbers)
    begin, end = first * WIDTH + 1, first * WIDTH + len(row) // HASH
    found = {event.position: leaf_hash(leaf(event)) for event in await stored_events(connection, begin, end)}
    held = {begin + at // HASH: row[at : at + HASH] for at in range(0, len(row), HASH)}
    return [position for position, expected in held.items() if found.get(position) != expected], end


async def _beside(connection: AsyncConnection[Any]) -> AsyncIterator[Finding]:
    size = await tree_size(connection)
    async for position in _different_entries(connection, size):
        detail = "the entry shown is not the event stored, or not the leaf in the tree"
        yield Finding(verdict=Verdict.TAMPERED, detail=detail, position=position)
    async for at in wrong_tiles(connection, size):
        detail = f"tile {at.level}/{tile_path(at.number)} is not made of the tiles below"
        yield Finding(verdict=Verdict.TAMPERED, detail=detail)
    async for signed in wrong_checkpoints(connection, size):
        yield Finding(verdict=Verdict.TAMPERED, detail=f"the checkpoint of {signed} entries has another root")


async def _different_entries(connection: AsyncConnection[Any], size: int) -> AsyncIterator[int]:
    for first in range(1, size + 1, _STEP):
        places = {"first": first, "last": min(first + _STEP - 1, size)}
        rows = await connection.execute(_DIFFERENT.encode(), places)
        for (position,) in await rows.fetchall():
            yield position


async def wrong_tiles(connection: AsyncConnection[Any], size: int) -> AsyncIterator[TileAt]:
    """Upper tiles that hold another hash than that over the tile below; level 0 is compared with the events."""
    level, whole = 1, size >> 16
    while whole:
        for number in range(whole):
            at = TileAt(level + 1, number // WIDTH)
            tiles = await read_tiles(connection, [TileAt(level, number), at])
            held = tiles.get(at, b"")[number % WIDTH * HASH :][:HASH]
            if perfect_hash(tiles.get(TileAt(level, number), b"")) != held:
                yield at
        level, whole = level + 1, whole >> 8


async def wrong_checkpoints(connection: AsyncConnection[Any], size: int) -> AsyncIterator[int]:
    query = (
        "select size, root from audit.checkpoints where epoch = current_epoch() order by size desc limit %s"
    )
    for signed, root in await (await connection.execute(query, (RECENT,))).fetchall():
        if signed > size or await span_hashes(connection, [Span(0, signed)]) != [bytes(root)]:
            yield signed
