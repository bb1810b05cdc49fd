"""A log to follow, a projection that shows every mistake, and the workers in one process."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from uuid import UUID, uuid4

import psycopg
from psycopg import AsyncConnection

from domain.organisation.events import OrganisationAdded, OrganisationChanged
from domain.shared import Actor, Metadata
from infrastructure.event_codec import EventCodec
from infrastructure.event_log import EventLog
from infrastructure.logging import configure
from infrastructure.nats import APPENDED, Nats
from infrastructure.personal_data import Vault, Wrapping
from infrastructure.positions import Positions
from infrastructure.postgres import connect, open_pool
from infrastructure.settings import Settings
from infrastructure.tasks import end
from tests import servers
from tests.waiting import met, until
from workers.feed import Feed
from workers.projector import Projector
from workers.relay import Relay

configure(
    Settings(), "tests"
)  # structlog's own tracebacks print every local variable, and take a second each
META = EventCodec().encode_metadata(
    Metadata(actor=Actor(kind="user", id=UUID(int=7)), request_id="test"), UUID(int=1), 1, {}
)


class Tally:
    """Counts events by stream: neither skipping nor repeating one goes unseen. `poison` is a position it fails at."""

    name = "tally"
    version = 1
    tables = ("tally",)
    poison: int | None = None

    def ddl(self, schema):
        return f"create table {schema}.tally (stream_id uuid primary key, seen int not null, last bigint not null)"

    def takes(self, stored):
        return True

    async def apply(self, cursor, schema, batch):
        for recorded in batch:
            if recorded.position == self.poison:
                raise ValueError("poisoned")
        await cursor.execute(
            f"insert into {schema}.tally as t"
            " select s, count(*), max(p) from unnest(%s::uuid[], %s::bigint[]) as u(s, p) group by s"
            " on conflict (stream_id) do update set seen = t.seen + excluded.seen, last = excluded.last",
            ([each.stream_id for each in batch], [each.position for each in batch]),
        )


class Workers:
    """The engine's parts over one database and one NATS server, as `chancery work` puts them together."""

    def __init__(
        self, dsn: str, nats: Nats, publisher: Nats, log: EventLog, connection: AsyncConnection
    ) -> None:
        self.dsn, self.nats, self.publisher, self.log, self.connection = dsn, nats, publisher, log, connection
        self.positions = Positions(dsn)
        nats.on(APPENDED, self.positions.ring)
        self.tasks: list[asyncio.Task] = []

    def start(self, run: Awaitable[None]) -> asyncio.Task:
        self.tasks.append(asyncio.create_task(run))
        return self.tasks[-1]

    def relay(self) -> asyncio.Task:
        return self.start(Relay(self.log, self.positions, self.publisher).run(self.dsn))

    def projector(self, projection, **options) -> Feed:
        feed = Feed(self.log, self.positions, self.nats)
        self.start(Projector(projection, self.log, feed, self.nats, **options).run(self.dsn))
        return feed

    async def stop(self, task: asyncio.Task) -> None:
        self.tasks.remove(task)
        await end(task)

    async def until(self, reached: Callable[[], object], seconds: float = 60) -> None:
        """Wait for a condition; a worker that died meanwhile is the test's failure."""

        async def reached_with_all_alive() -> bool:
            if await met(reached):
                return True
            for task in self.tasks:
                if task.done():
                    await task
            return False

        await until(reached_with_all_alive, seconds)

    async def one(self, query: str, *parameters: object):
        return await (await self.connection.execute(query, parameters)).fetchone()

    async def position(self, name: str = "tally") -> int:
        row = await self.one("select position from projections where name = %s and place = 'read'", name)
        return row[0] if row else 0

    async def caught_up(self, name: str = "tally") -> bool:
        return await self.position(name) == await self.log.head()

    async def tally_is_right(self) -> bool:
        """Every event counted once, and the checkpoint says the same."""
        (wrong,) = await self.one(
            "select count(*) from (select originator_id, count(*), max(notification_id)"
            " from stored_events group by 1 except select * from read.tally) as differing"
        )
        (count, position, head) = await self.one(
            "select count, position, (select max(notification_id) from stored_events)"
            " from projections where name = 'tally' and place = 'read'"
        )
        return wrong == 0 and count == position == head

    async def stream_ends_at(self) -> int:
        return (await self.nats.stream.stream_info("EVENTS")).state.last_seq


@contextlib.asynccontextmanager
async def workers(dsn: str, server: servers.Nats) -> AsyncGenerator[Workers]:
    pool = await open_pool(dsn, size=8)
    connection = await connect(dsn)
    log = EventLog(pool, EventCodec(), Vault(pool, Wrapping(bytes(32))))
    nats, publisher = Nats(server.url, "test"), Nats(server.relay_url, "test relay")
    made = Workers(dsn, nats, publisher, log, connection)
    async with nats, publisher:
        made.start(made.positions.run())
        try:
            yield made
        finally:
            await end(*made.tasks)
            await connection.close()
            await pool.close()


def append(dsn: str, count: int, streams: list[UUID] | None = None) -> list[UUID]:
    """That many events, spread over the streams, each stream's first one an addition."""
    codec = EventCodec()
    streams = streams or [uuid4() for _ in range(10)]
    with psycopg.connect(dsn, autocommit=True) as connection:
        query = "select originator_id, max(originator_version) from stored_events group by 1"
        versions = dict(connection.execute(query).fetchall())
        for start in range(0, count, 1000):
            rows = []
            for number in range(start, min(count, start + 1000)):
                stream = streams[number % len(streams)]
                versions[stream] = versions.get(stream, 0) + 1
                added = OrganisationAdded(full_name=f"Society {number}")
                event = added if versions[stream] == 1 else OrganisationChanged(short_name=f"S{number}")
                rows.append((stream, versions[stream], event.TOPIC, codec.encode(event, stream, 1, {})))
            columns = [list(column) for column in zip(*rows, strict=True)]
            connection.execute(
                "select append_as_given(%s::uuid[], %s::bigint[], %s::text[], %s::bytea[], %s::bytea)",
                (*columns, META),
            )
    return streams
