"""What a restored database still wants before anything is served from it: a row of `restores` that is not done."""

from typing import Any
from uuid import UUID

from msgspec import Struct
from psycopg import AsyncConnection, Connection

AWAITED = (
    b"select position, epoch, not moved and epoch = current_epoch() from restores where keys_at is null"
    b" order by restored_at desc limit 1"
)
NOT_MOVED = b"update restores set moved = false where keys_at is null"
DONE = b"update restores set keys_at = clock_timestamp() where keys_at is null"


class Awaited(Struct, frozen=True):
    """`position` and `epoch` are the backup's; `to_begin`: a new epoch has yet to be begun."""

    position: int
    epoch: UUID
    to_begin: bool

    def __str__(self) -> str:
        wanted = (
            'a new epoch: `chancery epoch begin --reason "..."`'
            if self.to_begin
            else "the newest keys: `chancery subject-keys restore FILE`"
        )
        return f"the database came out of a backup that ends at {self.position}, and wants {wanted}"


async def awaited(connection: AsyncConnection[Any]) -> Awaited | None:
    row = await (await connection.execute(AWAITED)).fetchone()
    return None if row is None else Awaited(*row)


def standing_in_the_way(connection: Connection[Any]) -> str | None:
    """Why nothing may be served from this database now."""
    row = connection.execute(AWAITED).fetchone()
    return None if row is None else str(Awaited(*row))
