"""The audit log: every event a leaf of the Merkle tree, found by who, what and when, and proved by tiles."""

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from msgspec import Struct, structs
from psycopg import AsyncCursor, sql

from domain.shared import Actor, Metadata, Origin, Recorded, Stored
from projections.audit_tree import Asks, read_tiles, tree_size
from projections.columns import Column, ColumnType
from projections.leaf import STORED_COLUMNS, bundle, leaf, stored_of_row
from projections.lists import Listing
from projections.merkle import HASH, leaf_hash
from projections.packing import Packed, a_bytes, a_int4, a_int8, a_text, a_ts, a_uuid
from projections.projection import Batch
from projections.tiles import WIDTH, Edge, Tiles, edge_of, edge_tiles


def _column(
    kind: ColumnType, path: str, *aliases: str, indexed: bool = False, nullable: bool = False
) -> Column:
    return Column(type=kind, get=attrgetter(path), aliases=aliases, indexed=indexed, nullable=nullable)


COLUMNS = {
    "position": _column(ColumnType.INTEGER, "position", indexed=True),
    "event_id": _column(ColumnType.UUID, "event_id"),
    "stream_id": _column(ColumnType.UUID, "stream_id", "subject", indexed=True),
    "topic": _column(ColumnType.TEXT, "topic", indexed=True),
    "recorded_at": _column(ColumnType.INSTANT, "recorded_at", "time", indexed=True),
    "actor_kind": _column(ColumnType.TEXT, "metadata.actor.kind"),
    "actor_id": _column(ColumnType.UUID, "metadata.actor.id", "actor", indexed=True),
    "session_id": _column(ColumnType.UUID, "metadata.session_id", nullable=True),
    "client_id": _column(ColumnType.UUID, "metadata.client_id", "client", nullable=True),
    "request_id": _column(ColumnType.TEXT, "metadata.request_id", indexed=True),
    "cause": _column(ColumnType.UUID, "metadata.cause", nullable=True),
    "allowed_by": _column(ColumnType.TEXT, "metadata.allowed_by", nullable=True),
}
"""What entries can be filtered by."""

_RELATION = """(
  select *, event_id as id, recorded_at as created_at, recorded_at as updated_at,
    false as archived, position::text::bytea as view from read.audit_entry
) as entry"""


class AuditEntry(Struct, frozen=True, kw_only=True):
    """Who did what, when, from where, in whose right. Erased fields are null; `leaf_hash` never changes."""

    position: int
    event_id: UUID
    topic: str
    stream_id: UUID
    version: int
    recorded_at: datetime
    actor: Actor
    request_id: str
    session_id: UUID | None
    client: UUID | None
    address: str | None
    agent: str | None
    cause: UUID | None
    allowed_by: str | None
    leaf_hash: bytes
    data: Any


class Entry(Stored, frozen=True, kw_only=True):
    """A stored event and the hash of its leaf."""

    leaf_hash: bytes


def shown(entry: Entry, metadata: Metadata, data: Any) -> AuditEntry:
    """An entry for people, from what stands beside it and what it states, both opened."""
    origin = metadata.origin or Origin()
    return AuditEntry(
        position=entry.position,
        event_id=entry.event_id,
        topic=entry.topic,
        stream_id=entry.stream_id,
        version=entry.version,
        recorded_at=entry.recorded_at,
        actor=metadata.actor,
        request_id=metadata.request_id,
        session_id=metadata.session_id,
        client=metadata.client_id,
        address=origin.address,
        agent=origin.agent,
        cause=metadata.cause,
        allowed_by=metadata.allowed_by,
        leaf_hash=entry.leaf_hash,
        data=data,
    )


LISTING = Listing(
    name="audit_log",
    view=AuditEntry,
    columns=COLUMNS,
    order_by="position desc",
    relation=sql.SQL(_RELATION),
)
"""Its rows hold positions alone; who lists entries sets `complete`, since events are opened elsewhere."""

_DDL = """
create table {schema}.audit_entry (
  position    bigint      primary key,
  event_id    uuid        not null,
  stream_id   uuid        not null,
  version     bigint      not null,
  topic       text        collate "C" not null,
  recorded_at timestamptz not null,
  actor_kind  text        collate "C" not null,
  actor_id    uuid        not null,
  session_id  uuid,
  client_id   uuid,
  request_id  text        collate "C" not null,
  cause       uuid,
  allowed_by  text        collate "C",
  leaf_hash   bytea       not null
);
create index on {schema}.audit_entry (stream_id, position);
create index on {schema}.audit_entry (actor_id, position);
create index on {schema}.audit_entry (topic, position);
create index on {schema}.audit_entry (request_id, position);
create index on {schema}.audit_entry (recorded_at, position);
create trigger entries_are_for_ever before update or delete or truncate on {schema}.audit_entry
  for each statement execute function public.refuse_change();

create table {schema}.audit_tile (
  level  int    not null,
  number bigint not null,
  width  int    not null check (octet_length(hashes) = width * 32),
  hashes bytea  not null,
  primary key (level, number)
);
alter table {schema}.audit_tile alter hashes set storage external;
create trigger tiles_only_grow before update on {schema}.audit_tile
  for each row when (new.width <= old.width) execute function public.refuse_change();
create trigger tiles_are_for_ever before delete or truncate on {schema}.audit_tile
  for each statement execute function public.refuse_change();
"""
_ENTRIES = """
insert into {schema}.audit_entry select * from unnest(
  %b::bigint[], %b::uuid[], %b::uuid[], %b::bigint[], %b::text[], %b::timestamptz[], %b::text[],
  %b::uuid[], %b::uuid[], %b::uuid[], %b::text[], %b::uuid[], %b::text[], %b::bytea[])
"""
_TILES = """
insert into {schema}.audit_tile select * from unnest(%b::int[], %b::bigint[], %b::int[], %b::bytea[])
  on conflict (level, number) do update set width = excluded.width, hashes = excluded.hashes
"""
_STORED = ", ".join(f"s.{column}" for column in STORED_COLUMNS.split(", "))


class NotNext(Exception):
    """Events that do not follow the last entry: the log cannot have a hole, nor the same leaf twice."""


class AuditLog:
    """Writes entries and tiles; keeps the tree's right edge in memory as long as the tiles agree with it."""

    name = "audit_log"
    version = 1
    halts = "an entry that is missing would make every proof after it wrong"
    tables = ("audit_entry", "audit_tile")

    def __init__(self) -> None:
        # bounded: by the schemas there are
        self._edges: dict[str, Edge] = {}

    def ddl(self, schema: str) -> str:
        return _DDL.format(schema=schema)

    def takes(self, stored: Stored) -> bool:  # noqa: ARG002 - every event is a leaf
        return True

    async def apply(self, cursor: AsyncCursor[Any], schema: str, batch: Batch) -> None:
        size = await tree_size(cursor, schema)
        if [event.position for event in batch] != list(range(size + 1, size + 1 + len(batch))):
            raise NotNext(f"entry {size + 1} is next, not {batch[0].position} to {batch[-1].position}")
        edge = self._edges.get(schema)
        if edge is None or edge.size != size:
            edge = edge_of(size, await read_tiles(cursor, edge_tiles(size), schema))
        leaves = [leaf_hash(leaf(event)) for event in batch]
        edge, changed = edge.grown(leaves)
        await cursor.execute(
            _ENTRIES.format(schema=schema).encode(), _entry_rows(batch, leaves), prepare=True
        )
        await cursor.execute(_TILES.format(schema=schema).encode(), _tile_rows(changed), prepare=True)
        self._edges[schema] = edge


projection = AuditLog()


def _entry_rows(batch: Batch, leaves: Sequence[bytes]) -> tuple[Packed, ...]:
    metadata = [event.metadata for event in batch if isinstance(event, Recorded)]
    return (
        a_int8(event.position for event in batch),
        a_uuid(event.event_id for event in batch),
        a_uuid(event.stream_id for event in batch),
        a_int8(event.version for event in batch),
        a_text(event.topic for event in batch),
        a_ts(event.recorded_at for event in batch),
        a_text(m.actor.kind for m in metadata),
        a_uuid(m.actor.id for m in metadata),
        a_uuid(m.session_id for m in metadata),
        a_uuid(m.client_id for m in metadata),
        a_text(m.request_id for m in metadata),
        a_uuid(m.cause for m in metadata),
        a_text(m.allowed_by for m in metadata),
        a_bytes(leaves),
    )


def _tile_rows(tiles: Tiles) -> tuple[Packed, ...]:
    return (
        a_int4(at.level for at in tiles),
        a_int8(at.number for at in tiles),
        a_int4(len(row) // HASH for row in tiles.values()),
        a_bytes(list(tiles.values())),
    )


async def stored_events(cursor: Asks, first: int, last: int) -> list[Stored]:
    """The events of these positions, in order, both ends included."""
    query = f"select {_STORED} from stored_events s where notification_id between %s and %s order by 1"
    rows = await cursor.execute(query.encode(), (first, last), prepare=True, binary=True)
    return [stored_of_row(row) for row in await rows.fetchall()]


async def entry_bundle(cursor: Asks, number: int, width: int) -> bytes | None:
    """The leaves under a level 0 tile, as C2SP tlog-tiles serves them."""
    first = number * WIDTH + 1
    events = await stored_events(cursor, first, first + width - 1)
    return bundle(leaf(event) for event in events) if len(events) == width else None


async def entries(cursor: Asks, positions: Sequence[int]) -> list[Entry]:
    """The entries of these positions, in that order; what is not in the tree yet is left out."""
    query = (
        f"select {_STORED}, leaf_hash from unnest(%b::bigint[]) with ordinality as w(position, ord)"
        " join read.audit_entry e using (position) join stored_events s on s.notification_id = position order by ord"
    )
    rows = await cursor.execute(query.encode(), (a_int8(positions),), prepare=True, binary=True)
    return [Entry(**structs.asdict(stored_of_row(row)), leaf_hash=row[8]) for row in await rows.fetchall()]
