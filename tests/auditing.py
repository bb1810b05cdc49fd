"""Events appended by the log's own function, and the audit log built over them as the projector would."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg

from domain.shared import SYSTEM, Actor, Event, Metadata, Recorded, Stored
from infrastructure.audit.signed_note import Signer, sign
from infrastructure.event_codec import EventCodec
from infrastructure.role import Connection
from projections.audit_log import AuditLog, stored_events
from projections.leaf import leaf
from projections.merkle import HASH, leaf_hash
from projections.proofs import Checkpoint
from projections.tiles import WIDTH, Edge, TileAt
from tests.appending import Wish, append
from tests.servers import Addresses

ALICE = UUID(int=7)
BEGAN = datetime(2026, 3, 1, tzinfo=UTC)


class Done(Event, frozen=True, kw_only=True):
    TOPIC = "thing.done.v1"


def happen(dsn: str, count: int, stream: UUID | None = None) -> None:
    """So many events, on one new stream."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        append(connection, Wish(events=count) if stream is None else Wish(stream=stream, events=count))


async def recorded(connection: Connection, first: int, last: int) -> list[Recorded[Event]]:
    """The stored events, each by ALICE in a request of its own."""
    return [
        Recorded(
            position=each.position,
            event_id=each.event_id,
            stream_id=each.stream_id,
            version=each.version,
            topic=each.topic,
            recorded_at=each.recorded_at,
            meta=each.meta,
            state=each.state,
            event=Done(),
            metadata=Metadata(
                actor=Actor(kind="user", id=ALICE), request_id=f"r{each.position}", cause=SYSTEM
            ),
        )
        for each in await stored_events(connection, first, last)
    ]


async def follow(
    connection: Connection, projection: AuditLog, batches: Sequence[int], schema: str = "read", done: int = 0
) -> None:
    """Apply batches of these sizes, each in a transaction."""
    for count in batches:
        events = await recorded(connection, done + 1, done + count)
        async with connection.transaction(), connection.cursor() as cursor:
            await projection.apply(cursor, schema, events)
        done += count


async def true_root(connection: Connection, size: int) -> bytes:
    """The root computed from the events alone."""
    events = await stored_events(connection, 1, size)
    return Edge().grown([leaf_hash(leaf(event)) for event in events])[0].root()


def superuser(database: Addresses, *statements: str) -> None:
    """What only somebody with power over the server can do: no trigger and no constraint stops it."""
    with psycopg.connect(database.admin, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        for statement in statements:
            connection.execute(statement.encode())


class LogInMemory:
    """A log that was signed, as a source for exports: its events, its tree, its checkpoints, and no database."""

    def __init__(self, signer: Signer, leaves: Sequence[bytes]) -> None:
        self.signer, self.entries = signer, list(leaves)
        self.hashes = [leaf_hash(leaf) for leaf in self.entries]
        self.tiles = Edge().grown(self.hashes)[1]
        self.note = self.signed(len(leaves))
        self.served = 0
        self.fails_at: int | None = None
        """The tile of entries that cannot be had, just now."""

    def signed(self, size: int) -> str:
        """The checkpoint over the first `size` entries."""
        root = Edge().grown(self.hashes[:size])[0].root()
        name = self.signer.verifier.name
        return str(sign(Checkpoint(origin=name, size=size, root=root).text(), [self.signer]))

    async def checkpoint(self) -> str:
        return self.note

    async def keys(self) -> tuple[str, ...]:
        return (self.signer.verifier.vkey(),)

    async def tile(self, at: TileAt, width: int) -> bytes:
        return self.tiles[at][: width * HASH]

    async def leaves(self, number: int, width: int) -> list[tuple[int, bytes]]:
        if number == self.fails_at:
            raise ConnectionResetError("the line is dead")
        self.served += 1
        first = number * WIDTH
        return list(enumerate(self.entries[first : first + width], first))


def happened(events: Iterable[Event], actors: Sequence[UUID], streams: Sequence[UUID]) -> list[bytes]:
    """Leaves of these events, a second after the other; actors, streams and requests take turns."""
    codec, leaves, versions = EventCodec(), list[bytes](), Counter[UUID]()
    for index, event in enumerate(events):
        stream, actor = streams[index % len(streams)], actors[index % len(actors)]
        versions[stream] += 1
        metadata = Metadata(
            actor=Actor(kind="user", id=actor), request_id=f"r{index % 11}", allowed_by=f"role:{index % 3}"
        )
        stored = Stored(
            position=index + 1,
            event_id=UUID(int=index + 1),
            stream_id=stream,
            version=versions[stream],
            topic=event.TOPIC,
            recorded_at=BEGAN + timedelta(seconds=index),
            meta=codec.encode_metadata(metadata, stream, versions[stream], {}),
            state=codec.encode(event, stream, versions[stream], {}),
        )
        leaves.append(leaf(stored))
    return leaves
