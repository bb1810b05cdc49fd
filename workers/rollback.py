"""What a rebuild kept aside, put back into use: the read model as it was before, which then catches up by itself."""

from functools import partial

import structlog
from msgspec import Struct

from infrastructure.event_log import EventLog
from infrastructure.role import Connection
from projections.projection import Projection
from workers import checkpoint
from workers.checkpoint import Checkpoint
from workers.places import KEPT, LIVE, NEXT, Refused, alone, drop, insist, move

log = structlog.get_logger()


class RolledBack(Struct, frozen=True, kw_only=True):
    """`at`: where the one in use goes on from; `aside`: what was in use until now."""

    at: Checkpoint
    aside: Checkpoint | None


async def rollback(url: str, events: EventLog, projection: Projection) -> RolledBack:
    """In one transaction: queries see the one or the other. What was in use is kept aside. Raises Refused, Busy."""
    async with alone(url, projection) as connection:
        await drop(connection, projection, NEXT)
        done = await insist(projection, partial(_back, connection, events, projection))
        log.warning("projection.rolled_back", projection=projection.name, position=done.at.position)
        return done


async def _back(connection: Connection, events: EventLog, projection: Projection) -> RolledBack:
    name = projection.name
    async with connection.transaction():
        await connection.execute("set local synchronous_commit = on")
        await connection.execute(
            "select from projections where name = %s and place = %s for update", (name, LIVE)
        )
        kept = await checkpoint.load(connection, name, KEPT)
        if kept is None:
            raise Refused(f"nothing of {name} is kept aside")
        if kept.version != projection.version:
            raise Refused(
                f"version {kept.version} of {name} is kept aside, this program has version {projection.version}:"
                " install the release that built it first"
            )
        if kept.position > await events.head():
            raise Refused(f"what is kept aside of {name} knows events that the log has no more")
        live = await checkpoint.load(connection, name, LIVE)
        await move(connection, projection, LIVE, NEXT)
        await move(connection, projection, KEPT, LIVE)
        await move(connection, projection, NEXT, KEPT)
        return RolledBack(at=kept, aside=live)
