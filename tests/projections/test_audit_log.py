"""The audit log's tables: entries and tiles follow the events, prove them, and only grow."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.shared import Stored
from infrastructure.postgres import connect
from infrastructure.role import Connection
from projections.audit_log import AuditLog, NotNext, entries, entry_bundle
from projections.audit_tree import consistency_proof, inclusion_proof, span_hashes, tile, tree_size
from projections.leaf import leaf, leaf_bound, unbundle
from projections.merkle import Span, leaf_hash, verify_consistency, verify_inclusion
from projections.tiles import TileAt
from tests.auditing import ALICE, follow, happen, recorded, true_root

pytestmark = pytest.mark.anyio


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[Connection]:
    async with await connect(dsn) as opened:
        await opened.execute(AuditLog().ddl("read").encode())
        yield opened


async def root(connection: Connection, size: int, schema: str = "read") -> bytes:
    return (await span_hashes(connection, [Span(0, size)], schema))[0]


async def sign(connection: Connection, size: int) -> None:
    await connection.execute(
        "insert into audit.checkpoints (size, root, note) values (%s, %s, 'the note')",
        (size, await root(connection, size)),
    )


async def test_every_event_becomes_an_entry_and_a_leaf(dsn: str, connection: Connection) -> None:
    happen(dsn, 700)
    await follow(connection, AuditLog(), [1, 254, 1, 1, 443])
    assert await tree_size(connection) == 700
    for size in (1, 255, 256, 257, 512, 513, 700):
        assert await root(connection, size) == await true_root(connection, size)
    [(count, hashes)] = await (
        await connection.execute(
            "select count(*), count(distinct leaf_hash) from read.audit_entry where actor_id = %s", (ALICE,)
        )
    ).fetchall()
    assert (count, hashes) == (700, 700)


async def test_another_worker_goes_on_where_the_first_stopped(dsn: str, connection: Connection) -> None:
    happen(dsn, 600)
    first, second = AuditLog(), AuditLog()
    await follow(connection, first, [300])
    await follow(connection, second, [100], done=300)
    await follow(connection, first, [200], done=400)
    assert await root(connection, 600) == await true_root(connection, 600)


async def test_a_batch_that_was_rolled_back_leaves_no_trace(dsn: str, connection: Connection) -> None:
    happen(dsn, 300)
    projection = AuditLog()
    await follow(connection, projection, [100])
    async with connection.transaction(force_rollback=True), connection.cursor() as cursor:
        await projection.apply(cursor, "read", await recorded(connection, 101, 300))
    await follow(connection, projection, [50, 150], done=100)
    assert await root(connection, 300) == await true_root(connection, 300)


async def test_a_hole_or_a_repetition_is_refused(dsn: str, connection: Connection) -> None:
    happen(dsn, 10)
    projection = AuditLog()
    await follow(connection, projection, [5])
    for first in (5, 7):
        with pytest.raises(NotNext, match="entry 6 is next"):
            await follow(connection, projection, [2], done=first - 1)


async def test_a_rebuild_beside_gives_the_same_tree(dsn: str, connection: Connection) -> None:
    happen(dsn, 520)
    projection = AuditLog()
    await follow(connection, projection, [1, 519])
    await connection.execute(projection.ddl("read_next").encode())
    await follow(connection, projection, [260, 260], schema="read_next")
    assert await root(connection, 520) == await root(connection, 520, "read_next")
    for table in AuditLog.tables:
        difference = f"select * from read.{table} except select * from read_next.{table}".encode()
        assert await (await connection.execute(difference)).fetchall() == []


async def test_nobody_edits_entries_or_finished_tiles(dsn: str, connection: Connection) -> None:
    happen(dsn, 300)
    await follow(connection, AuditLog(), [300])
    for statement in (
        b"update read.audit_entry set allowed_by = 'me' where position = 5",
        b"delete from read.audit_entry where position = 5",
        b"truncate read.audit_entry",
        b"update read.audit_tile set hashes = hashes where level = 0",
        b"delete from read.audit_tile",
        b"truncate read.audit_tile",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
            await connection.execute(statement)


async def test_an_entry_is_proved_against_the_newest_checkpoint(dsn: str, connection: Connection) -> None:
    happen(dsn, 400)
    await follow(connection, AuditLog(), [400])
    assert await inclusion_proof(connection, 1) is None
    await sign(connection, 300)
    signed = await root(connection, 300)
    for position in (1, 256, 257, 300):
        proof = await inclusion_proof(connection, position)
        [entry] = await entries(connection, [position])
        assert proof is not None
        assert (proof.index, proof.checkpoint) == (position - 1, "the note")
        assert verify_inclusion(entry.leaf_hash, proof.index, 300, signed, proof.path)
    assert await inclusion_proof(connection, 301) is None
    assert await inclusion_proof(connection, 0) is None


async def test_one_size_of_the_log_continues_another(dsn: str, connection: Connection) -> None:
    happen(dsn, 300)
    await follow(connection, AuditLog(), [300])
    roots = {size: await root(connection, size) for size in (0, 1, 255, 256, 300)}
    for old, new in ((0, 300), (1, 256), (255, 300), (256, 300), (300, 300)):
        proof = await consistency_proof(connection, old, new)
        assert proof is not None
        assert verify_consistency(old, new, roots[old], roots[new], proof)
    assert await consistency_proof(connection, 2, 301) is None
    assert await consistency_proof(connection, 2, 1) is None


async def test_tiles_and_bundles_are_served_at_any_width_reached(dsn: str, connection: Connection) -> None:
    happen(dsn, 300)
    await follow(connection, AuditLog(), [300])
    whole = await tile(connection, TileAt(0, 0), 256)
    assert whole is not None
    assert await tile(connection, TileAt(0, 0), 3) == whole[:96]
    assert len(await tile(connection, TileAt(0, 1), 44) or b"") == 44 * 32
    assert len(await tile(connection, TileAt(1, 0), 1) or b"") == 32
    assert await tile(connection, TileAt(0, 1), 45) is None
    assert await tile(connection, TileAt(0, 2), 1) is None
    data = await entry_bundle(connection, 0, 256)
    assert data is not None
    assert b"".join(leaf_hash(each) for each in unbundle(data)) == whole
    assert await entry_bundle(connection, 1, 45) is None


async def test_entries_come_in_the_order_asked_with_their_leaf_hash(dsn: str, connection: Connection) -> None:
    stream = uuid4()
    happen(dsn, 3)
    happen(dsn, 4, stream)
    await follow(connection, AuditLog(), [6])
    found = await entries(connection, [6, 2, 4, 7])
    assert [(entry.position, entry.stream_id == stream) for entry in found] == [
        (6, True),
        (2, False),
        (4, True),
    ]
    assert all(leaf_hash(leaf(entry)) == entry.leaf_hash for entry in found)


def test_a_leaf_is_one_array_of_what_is_stored() -> None:
    """The exact bytes: they are hashed, so they may never change."""
    event = Stored(
        position=42,
        event_id=UUID("01981f5e-0000-7000-8000-000000000001"),
        stream_id=UUID("01981f5e-0000-7000-8000-000000000002"),
        version=3,
        topic="grant.given.v1",
        recorded_at=datetime(2026, 11, 20, 12, 30, 0, 123456, tzinfo=UTC),
        meta=b'{"actor":["user"]}',
        state=b'{"module":"contract"}',
    )
    expected = (
        b'[42,"01981f5e-0000-7000-8000-000000000001","01981f5e-0000-7000-8000-000000000002",3,"grant.given.v1",'
        b'1795177800123456,"eyJhY3RvciI6WyJ1c2VyIl19","eyJtb2R1bGUiOiJjb250cmFjdCJ9"]'
    )
    assert leaf(event) == expected
    assert leaf_hash(expected).hex() == "9623051c731f3a7b92d952094b4f36e9d038548848339f7d8a4531ddc37bfb40"


instants = st.integers(0, 253_370_764_800_000_000).map(
    lambda instant: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant)
)


@given(st.integers(1, 2**63 - 1), st.text(), instants, st.binary(max_size=400), st.binary(max_size=400))
def test_a_leaf_is_never_larger_than_foretold(
    position: int, topic: str, at: datetime, meta: bytes, state: bytes
) -> None:
    try:
        topic.encode()
    except UnicodeEncodeError:
        return
    event = Stored(
        position=position,
        event_id=uuid4(),
        stream_id=uuid4(),
        version=position,
        topic=topic,
        recorded_at=at,
        meta=meta,
        state=state,
    )
    made = leaf(event)
    assert len(made) <= leaf_bound(topic, len(meta), len(state)) <= len(made) + 60
    assert msgspec.json.decode(made)[5] == (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        microseconds=1
    )
