"""The tree in the database: its tiles, what is computed from them, and the newest signed checkpoint."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from psycopg import AsyncConnection, AsyncCursor

from projections.merkle import HASH, Span, consistency_spans, inclusion_spans
from projections.packing import a_int4, a_int8
from projections.proofs import Proof
from projections.tiles import WIDTH, TileAt, hashes, wanted

Asks = AsyncConnection[Any] | AsyncCursor[Any]


class SignedCheckpoint(NamedTuple):
    size: int
    note: str


async def tree_begun(cursor: Asks, schema: str = "read") -> bool:
    """Whether the projection has made its tables."""
    row = await (
        await cursor.execute("select to_regclass(%s) is not null", (f"{schema}.audit_tile",))
    ).fetchone()
    return bool(row and row[0])


async def tree_size(cursor: Asks, schema: str = "read") -> int:
    """How many entries have their leaf in the tree."""
    last = f"select number * {WIDTH} + width from {schema}.audit_tile where level = 0 order by number desc limit 1"
    row = await (await cursor.execute(last.encode(), prepare=True)).fetchone()
    return int(row[0]) if row else 0


async def read_tiles(cursor: Asks, at: Iterable[TileAt], schema: str = "read") -> dict[TileAt, bytes]:
    """Those of the tiles that there are, each as wide as it is by now."""
    levels, numbers = zip(*at, strict=True) if (at := tuple(at)) else ((), ())
    query = (
        f"select t.level, t.number, t.hashes from unnest(%b::int[], %b::bigint[]) as w(level, number)"
        f" join {schema}.audit_tile t using (level, number)"
    )
    rows = await cursor.execute(query.encode(), (a_int4(levels), a_int8(numbers)), prepare=True, binary=True)
    return {TileAt(level, number): row for level, number, row in await rows.fetchall()}


async def span_hashes(cursor: Asks, spans: Sequence[Span], schema: str = "read") -> list[bytes]:
    """The hash of each span of the tree. Raises KeyError when the tree does not reach so far."""
    return hashes(spans, await read_tiles(cursor, wanted(spans), schema))


async def tile(cursor: Asks, at: TileAt, width: int) -> bytes | None:
    """A tile as C2SP tlog-tiles serves it; a partial one is cut to any width it has reached."""
    row = (await read_tiles(cursor, [at])).get(at, b"")[: width * HASH]
    return row if len(row) == width * HASH else None


async def signed_checkpoint(cursor: Asks) -> SignedCheckpoint | None:
    """The newest of this epoch; None before the first."""
    query = (
        b"select size, note from audit.checkpoints where epoch = current_epoch() and note is not null"
        b" order by size desc limit 1"
    )
    row = await (await cursor.execute(query, prepare=True)).fetchone()
    return SignedCheckpoint(*row) if row else None


async def inclusion_proof(cursor: Asks, position: int) -> Proof | None:
    """That the entry is in the tree of the newest checkpoint; None when that does not cover it."""
    signed = await signed_checkpoint(cursor)
    if signed is None or not 1 <= position <= signed.size:
        return None
    path = await span_hashes(cursor, inclusion_spans(position - 1, signed.size))
    return Proof(index=position - 1, path=tuple(path), checkpoint=signed.note)


async def first_proof(cursor: Asks, position: int) -> Proof | None:
    """That the entry is in the tree of the first checkpoint that covers it, so for ever the same; None before that."""
    query = (
        b"select size, note from audit.checkpoints where epoch = current_epoch() and note is not null and size >= %s"
        b" order by size limit 1"
    )
    row = await (await cursor.execute(query, (position,), prepare=True)).fetchone()
    if row is None:
        return None
    first = SignedCheckpoint(*row)
    path = await span_hashes(cursor, inclusion_spans(position - 1, first.size))
    return Proof(index=position - 1, path=tuple(path), checkpoint=first.note)


async def consistency_proof(cursor: Asks, old: int, new: int) -> list[bytes] | None:
    """That the first `old` entries are the beginning of the first `new`; None when there are fewer."""
    if not 0 <= old <= new <= await tree_size(cursor):
        return None
    return await span_hashes(cursor, consistency_spans(old, new))
