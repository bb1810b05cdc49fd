"""One history or another: what keeps a copy of the log from being taken for the log after a restore."""

from typing import Any
from uuid import UUID

from psycopg import AsyncConnection


class EpochMismatch(Exception):
    """A stream or a checkpoint holds events that the store does not have: the store was set back to an earlier point.

    Nothing may be published or applied until an operator has begun a new epoch.
    """


async def current(connection: AsyncConnection[Any]) -> UUID:
    """The epoch of the store."""
    row = await (
        await connection.execute("select epoch from epochs order by begun_at desc limit 1")
    ).fetchone()
    if row is None:
        raise LookupError("the store has no epoch: has it been migrated?")
    epoch: UUID = row[0]
    return epoch
