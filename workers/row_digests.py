"""What a read model holds, as a digest of each of its tables: two builds of it at one position have the same."""

from msgspec import Struct

from infrastructure.role import Connection
from projections.projection import Projection
from projections.projection import Rows as RecordRows
from workers import checkpoint
from workers.checkpoint import Checkpoint


class Rows(Struct, frozen=True, kw_only=True):
    """A table's content: how many rows, and a sha256 over the sha256 of each row's text, in the order of these.

    `views` stands instead where records are compared by what is shown of them: the sha256 over the sha256 of each one's
    id and view, ordered by id. It takes a sixth of the time, and is the same for whoever replays without a database.
    """

    table: str
    count: int
    sha256: str = ""
    views: str | None = None


class Comparison(Struct, frozen=True, kw_only=True):
    """Two builds of one read model at one position."""

    position: int
    same_events: bool
    live: tuple[Rows, ...]
    built: tuple[Rows, ...]

    @property
    def equal(self) -> bool:
        return self.same_events and self.live == self.built


async def snapshot(
    connection: Connection, projection: Projection, place: str, *, shown: bool = False
) -> tuple[Checkpoint, tuple[Rows, ...]]:
    """Checkpoint and rows at one instant, while others go on writing; one statement for each table.

    `shown`: of records only what is shown of them.
    """
    async with connection.transaction():
        await connection.execute("set transaction isolation level repeatable read, read only")
        await connection.execute("set local timezone = 'UTC'")
        await connection.execute("set local datestyle = 'ISO'")
        at = await checkpoint.load(connection, projection.name, place)
        if at is None:
            raise LookupError(f"{projection.name} has no checkpoint in {place}")
        records = projection.name if shown and isinstance(projection, RecordRows) else None
        rows = [await _rows(connection, place, table, shown=table == records) for table in projection.tables]
        return at, tuple(rows)


async def _rows(connection: Connection, place: str, table: str, *, shown: bool) -> Rows:
    row_hash, order = (
        ("sha256(uuid_send(id) || view)", "id") if shown else ("sha256(convert_to(t::text, 'UTF8'))", "null")
    )
    query = (
        "select count(*), encode(sha256(coalesce(string_agg(h, null order by o, h), '')), 'hex')"  # noqa: S608 - our names
        f" from (select {row_hash} as h, {order} as o from {place}.{table} t) as hashed"
    )
    row = await (await connection.execute(query.encode())).fetchone()
    count, digest = row or (0, "")
    return (
        Rows(table=table, count=count, views=digest)
        if shown
        else Rows(table=table, count=count, sha256=digest)
    )
