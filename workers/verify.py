"""Whether a read model took in every event once: its checkpoint against the log."""

from msgspec import Struct

from infrastructure.postgres import connect
from workers import checkpoint
from workers.checkpoint import Checkpoint, running
from workers.parked import parked
from workers.places import LIVE, OPTIONS


class Verified(Struct, frozen=True, kw_only=True):
    """What the checkpoint says and what the store says, of the events up to its position."""

    at: Checkpoint
    count: int
    digest: bytes
    waiting: int
    """Events that were passed, and counted, but wait with their parked streams."""

    @property
    def right(self) -> bool:
        return (self.at.count, self.at.digest) == (self.count, self.digest)


async def verify(url: str, name: str) -> Verified | None:
    """Whether the checkpoint's count and digest are those of the store's events; None without a checkpoint."""
    async with await connect(url, options=OPTIONS, name="chancery verify") as connection:
        at = await checkpoint.load(connection, name, LIVE)
        if at is None:
            return None
        count, digest = 0, b""
        cursor = connection.cursor(binary=True)
        for start in range(0, at.position, 50_000):
            await cursor.execute(
                "select event_id from stored_events where notification_id > %s and notification_id <= %s"
                " order by notification_id",
                (start, min(start + 50_000, at.position)),
            )
            ids = [event_id for (event_id,) in await cursor.fetchall()]
            count, digest = count + len(ids), running(digest, ids)
        waiting = sum(each.waiting for each in await parked(connection, name, LIVE))
        return Verified(at=at, count=count, digest=digest, waiting=waiting)
