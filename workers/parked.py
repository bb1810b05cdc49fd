"""Streams set aside for one read model: which, since when, and how much of them waits."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from infrastructure.role import Connection

OF = b"""
select k.stream_id, k.position, k.event_id, k.failure, k.parked_at,
  (select count(*) from stored_events e where e.originator_id = k.stream_id
    and e.notification_id >= k.position and e.notification_id <= p.position)
from parked_streams k join projections p on p.name = k.projection and p.place = k.place
where k.projection = %s and k.place = %s order by k.position
"""


class Parked(Struct, frozen=True, kw_only=True):
    """A stream that waits from the event at `position` on, which could not be applied.

    `waiting`: its events from there as far as the read model has come.
    """

    stream_id: UUID
    position: int
    event_id: UUID
    failure: str
    parked_at: datetime | None = None
    waiting: int = 0


async def parked(connection: Connection, name: str, place: str) -> list[Parked]:
    """In the order of their first events that wait."""
    rows = await connection.execute(OF, (name, place))
    return [
        Parked(
            stream_id=row[0],
            position=row[1],
            event_id=row[2],
            failure=row[3],
            parked_at=row[4],
            waiting=row[5],
        )
        for row in await rows.fetchall()
    ]


async def keep(connection: Connection, name: str, place: str, waiting: Parked) -> None:
    """Set the stream aside; whoever drives that read model notices before he writes again."""
    async with connection.transaction():
        await connection.execute(
            "insert into parked_streams (projection, place, stream_id, position, event_id, failure)"
            " values (%s, %s, %s, %s, %s, %s)",
            (name, place, waiting.stream_id, waiting.position, waiting.event_id, waiting.failure),
        )
        await connection.execute(
            "update projections set fence = gen_random_uuid(), failure = null, failed_at = null, failed_event = null"
            " where name = %s and place = %s",
            (name, place),
        )


async def release(connection: Connection, name: str, place: str, stream_id: UUID) -> None:
    """The stream waits no more: in the transaction that applies what waited."""
    await connection.execute(
        "delete from parked_streams where projection = %s and place = %s and stream_id = %s",
        (name, place, stream_id),
    )
    await connection.execute(
        "update projections set fence = gen_random_uuid() where name = %s and place = %s", (name, place)
    )
