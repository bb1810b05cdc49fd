"""PostgreSQL connections: how they are opened, what they may wait for, and the numbers of the advisory locks."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from typing import Any, Generic, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from infrastructure.release import named
from projections.packing import Packed, PackedDumper

MIGRATE, APPEND, RELAY, SIGNER, REACTOR, SWEEPER, PROJECTOR = 4241, 4242, 4243, 4244, 4245, 4246, 4250
EGRUL, KEYS, TILES = 4260, 4247, 4248
"""Advisory locks; PROJECTOR takes the projection's name as its second key."""

TIMEOUTS = "-c lock_timeout=2s -c statement_timeout=5s -c idle_in_transaction_session_timeout=5s -c jit=off"
PROBES = "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
"""For connections whose statements are all index probes: a generic plan made while a table was empty stays good."""

WAITING = 1_000
"""Who may wait for a connection of a pool, 5 seconds each; one more is told at once (psycopg_pool.TooManyRequests)."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


async def prepare(connection: AsyncConnection[Any]) -> None:
    connection.adapters.register_dumper(Packed, PackedDumper)


async def connect(
    url: str, *, options: str = f"{TIMEOUTS} {PROBES}", name: str = "chancery"
) -> AsyncConnection[Any]:
    """One dedicated autocommit connection."""
    connection = await AsyncConnection.connect(
        url, autocommit=True, options=options, application_name=named(name), connect_timeout=5
    )
    await prepare(connection)
    return connection


async def open_pool(
    url: str, *, size: int, options: str = TIMEOUTS, name: str = "chancery"
) -> AsyncConnectionPool[Any]:
    """A pool of autocommit connections that are checked before they are lent."""

    async def check(connection: AsyncConnection[Any]) -> None:
        """Where one is dead the others are too: they are all replaced now, not one by one with a longer wait each."""
        try:
            await AsyncConnectionPool.check_connection(connection)
        except psycopg.Error:
            await pool.drain()
            raise

    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        url,
        min_size=1,
        max_size=size,
        timeout=5,
        max_waiting=WAITING,
        max_lifetime=1800,
        reconnect_timeout=1,  # who asks next makes it try again; its own waits double for as long as an outage lasts
        open=False,
        configure=prepare,
        check=check,
        kwargs={
            "autocommit": True,
            "options": options,
            "application_name": named(name),
            "connect_timeout": 5,
        },
    )
    await pool.open(wait=False)
    return pool


LOST = (psycopg.OperationalError, psycopg.InterfaceError)
"""What a connection that is gone raises, or a server that cannot answer now."""


class Unavailable(Exception):
    """The database cannot answer now; the caller should come again."""


class GroupRead(Generic[K, V]):
    """Look-ups by key, coalesced: all that wait when the last statement returns go into the next one.

    The answer is never older than the question: a key asked for now is read by a statement that starts later.
    """

    def __init__(
        self,
        url: str,
        read: Callable[[AsyncConnection[Any], list[K]], Awaitable[Mapping[K, V]]],
        *,
        name: str,
        at_most: int = 512,
    ) -> None:
        self._url, self._read, self._name, self._at_most = url, read, name, at_most
        # bounded: one key of each request in flight
        self._waiting: dict[K, asyncio.Future[V | None]] = {}
        self._wake: asyncio.Future[None] | None = None
        self._connection: AsyncConnection[Any] | None = None

    async def __call__(self, key: K) -> V | None:
        future = self._waiting.get(key)
        if future is None:
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
            if self._wake is not None and not self._wake.done():
                self._wake.set_result(None)
        return await asyncio.shield(future)

    async def run(self) -> None:
        """Answers for ever; a lost connection fails the batch that met it with Unavailable and is opened again."""
        try:
            while True:
                if not self._waiting:
                    self._wake = asyncio.get_running_loop().create_future()
                    await self._wake
                    self._wake = None
                batch = dict(list(self._waiting.items())[: self._at_most])
                for key in batch:
                    del self._waiting[key]
                await self._answer(batch)
        finally:
            await self._drop()

    async def _answer(self, batch: dict[K, asyncio.Future[V | None]]) -> None:
        try:
            found = await self._found(list(batch))
        except (
            *LOST,
            psycopg.errors.UndefinedTable,
        ) as problem:  # no table: its projector has not made it yet
            await self._drop()
            _fail(batch.values(), Unavailable(str(problem)))
            return
        except psycopg.Error as problem:
            await self._drop()
            _fail(batch.values(), problem)
            return
        for key, future in batch.items():
            if not future.done():
                future.set_result(found.get(key))

    async def _found(self, keys: list[K]) -> Mapping[K, V]:
        """Looks twice when a connection that was good has gone: the server may be there again."""
        if self._connection is not None and not self._connection.closed:
            try:
                return await self._read(self._connection, keys)
            except LOST:
                await self._drop()
        self._connection = await connect(self._url, name=self._name)
        return await self._read(self._connection, keys)

    async def _drop(self) -> None:
        if self._connection is not None:
            await self._connection.close()
        self._connection = None


def _fail(futures: Iterable[asyncio.Future[Any]], problem: Exception) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(problem)
