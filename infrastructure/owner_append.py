"""Events that the owner of the database appends in a transaction of his own, through `append` like anybody's."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from domain.shared import SYSTEM, Actor, Event, Metadata
from infrastructure.append_call import CALL, Item, packed
from infrastructure.event_codec import EventCodec
from infrastructure.event_store import new_id
from infrastructure.guards import Guards


def by_system(
    codec: EventCodec, guards: Guards, stream_id: UUID, version: int, event: Event, request_id: str
) -> Item:
    """One event without personal fields, after `version` of its stream."""
    metadata = Metadata(actor=Actor(kind="system", id=SYSTEM), request_id=request_id)
    changes = guards.changes(stream_id, (event,), first=version == 0)
    return Item(
        stream_id=stream_id,
        expected=version,
        actor_id=SYSTEM,
        event_ids=(new_id(),),
        topics=(event.TOPIC,),
        states=(codec.encode(event, stream_id, version + 1, {}),),
        metas=(codec.encode_metadata(metadata, stream_id, version + 1, {}),),
        session=None,
        grant_id=None,
        key=None,
        claims=changes.claims,
        rows=changes.rows,
        conditions=(),
        subjects=(),
        writes=frozenset(),
        reads=frozenset(),
    )


async def append(connection: AsyncConnection[Any], batch: Sequence[Item]) -> None:
    """In the connection's transaction. Raises AssertionError when one is refused."""
    cursor = connection.cursor(binary=True)
    await cursor.execute(CALL, packed(batch, again=False))
    answer = await cursor.fetchone()
    if answer is None or answer[2] is not None:
        raise AssertionError(f"append refused the owner: {answer}")
