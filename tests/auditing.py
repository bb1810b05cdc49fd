"""Events appended by the log's own function, and the audit log built over them as the projector would."""

from collections.abc import Sequence
from uuid import UUID

import psycopg

from domain.shared import SYSTEM, Actor, Event, Metadata, Recorded
from infrastructure.role import Connection
from projections.audit_log import AuditLog, stored_events
from projections.leaf import leaf
from projections.merkle import leaf_hash
from projections.tiles import Edge
from tests.appending import Wish, append
from tests.servers import Addresses

ALICE = UUID(int=7)


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
