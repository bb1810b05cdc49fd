"""How many requests a minute: windows that all processes share, counted by one statement.

A window begins with the first request that finds none open and ends a minute later; then the whole quota is there
again. So a limit is never exceeded within a window, however many processes ask at once. When the table cannot be asked
in time a process counts by itself until it can: a limit never becomes none, and nobody is refused for our trouble.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import structlog
from msgspec import Struct
from psycopg import AsyncConnection

from infrastructure.postgres import connect

WINDOW = 60
"""Seconds."""
PATIENCE = 0.5
"""Seconds that a request waits for the shared count before its process counts alone."""
ALONE = 1.0
"""Seconds until the shared count is asked for again."""
REMEMBERED = 20_000
SWEEP_SECONDS = 600.0

_log = structlog.get_logger("rate_limit")

# What is granted is judged against the row as it is under its lock; `excluded` carries what was asked. In the order of
# keys, so that statements never wait for each other in a circle.
_TAKE = f"""
insert into rate_limits as r (key, quota, used, granted, ends_at)
  select x.key, x.quota, least(x.wanted, x.quota), least(x.wanted, x.quota), now() + interval '{WINDOW} seconds'
  from unnest(%s::text[], %s::int[], %s::int[]) as x(key, quota, wanted) order by x.key
on conflict (key) do update set
  quota = excluded.quota,
  granted = case when r.ends_at <= now() then excluded.granted
    else greatest(0, least(excluded.granted, excluded.quota - r.used)) end,
  used = case when r.ends_at <= now() then excluded.granted
    else r.used + greatest(0, least(excluded.granted, excluded.quota - r.used)) end,
  ends_at = case when r.ends_at <= now() then excluded.ends_at else r.ends_at end
returning key, granted, used, extract(epoch from ends_at - clock_timestamp())::float8
""".encode()


Key = UUID | str
"""What is counted: a user or client by its id, a stranger by the address."""


class Window(Struct):
    """What this process knows of one key's window. `left` was granted to it and is not spent yet.

    `ends` in seconds of the monotonic clock, never later than the window itself; `used` by all processes.
    """

    ends: float = 0.0
    left: int = 0
    used: int = 0


class _Wish(Struct):
    """What waits for the next statement: `callers` of one key."""

    quota: int
    lease: int
    answered: asyncio.Future[None]
    callers: int = 0

    @property
    def wanted(self) -> int:
        return max(self.lease, self.callers)


class Limiter:
    """Its `run` must be at work."""

    def __init__(self, url: str) -> None:
        self._url = url
        # bounded: by REMEMBERED callers, the one unused for longest goes
        self._windows: OrderedDict[Key, Window] = OrderedDict()
        # bounded: one of each request in flight
        self._waiting: dict[Key, _Wish] = {}
        self._wake = asyncio.Event()
        self._connection: AsyncConnection[Any] | None = None
        self._alone_until = 0.0
        self._swept = time.monotonic()

    def spend(self, key: Key) -> bool:
        """Takes one that was granted before. False: there is none, so ask `take`."""
        window = self._windows.get(key)
        if window is None or window.left <= 0 or window.ends <= time.monotonic():
            return False
        window.left -= 1
        return True

    def left(self, key: Key, quota: int) -> tuple[int, float]:
        """How many requests it has at least, as far as this process has heard, and in how many seconds all again."""
        window, now = self._windows.get(key), time.monotonic()
        if window is None or window.ends <= now:
            return quota, float(WINDOW)
        return max(0, quota - window.used + window.left), window.ends - now

    async def take(self, key: Key, quota: int, *, lease: int = 1) -> float | None:
        """One request of `quota` a minute. None: granted; else refused, with the seconds until there are more.

        `lease`: how many to have granted at once, for `spend` later. What a process does not spend is lost.
        """
        while not self.spend(key):
            window = self._windows.get(key)
            now = time.monotonic()
            if window is not None and window.used >= quota and window.ends > now:
                return window.ends - now
            await self._ask(key, quota, lease)
        return None

    async def _ask(self, key: Key, quota: int, lease: int) -> None:
        wish = self._waiting.get(key)
        if wish is None:
            wish = self._waiting[key] = _Wish(quota, lease, asyncio.get_running_loop().create_future())
            self._wake.set()
        wish.callers += 1
        await asyncio.shield(wish.answered)

    async def run(self) -> None:
        """Answers for ever: all that wait when the last statement returns go into the next one."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                wishes, self._waiting = self._waiting, {}
                await self._answer(wishes)
                for wish in wishes.values():
                    wish.answered.set_result(None)
        finally:
            await self._drop()

    async def _answer(self, wishes: Mapping[Key, _Wish]) -> None:
        now = time.monotonic()
        if now < self._alone_until:
            self._count_alone(wishes, now)
            return
        asking = asyncio.create_task(self._asked(wishes))
        await asyncio.wait({asking}, timeout=PATIENCE)
        if (
            not asking.done()
        ):  # it is not waited for: taking back a statement may last longer than the statement
            asking.cancel()
            self._connection = None
        if not asking.done() or asking.exception() is not None:
            problem = asking.exception() if asking.done() else TimeoutError(f"no answer in {PATIENCE} s")
            self._leave(problem)
            self._count_alone(wishes, now)
            return
        if self._alone_until:
            _log.warning("requests are counted together again")
            self._alone_until = 0.0
        for key, (granted, used, seconds) in asking.result().items():
            self._grant(key, granted, used, now + seconds, now)

    def _leave(self, problem: BaseException | None) -> None:
        if not self._alone_until:
            _log.error("requests are counted by each process alone", problem=str(problem))
        self._alone_until = time.monotonic() + ALONE

    def _count_alone(self, wishes: Mapping[Key, _Wish], now: float) -> None:
        """From what all had used when they were last heard of."""
        for key, wish in wishes.items():
            known = self._windows.get(key)
            used, ends = (known.used, known.ends) if known and known.ends > now else (0, now + WINDOW)
            granted = max(0, min(wish.wanted, wish.quota - used))
            self._grant(key, granted, used + granted, ends, now)

    def _grant(self, key: Key, granted: int, used: int, ends: float, now: float) -> None:
        window = self._windows.get(key)
        if window is None or window.ends <= now:
            window = self._windows[key] = Window()
            self._windows.move_to_end(key)
        window.left += granted
        window.used, window.ends = used, ends
        if len(self._windows) > REMEMBERED:
            self._windows.popitem(last=False)

    async def _asked(self, wishes: Mapping[Key, _Wish]) -> dict[Key, tuple[int, int, float]]:
        """By key: how many are granted now, how many all have used, and in how many seconds the window ends."""
        connection, self._connection = self._connection, None
        if connection is None or connection.closed:
            connection = await connect(self._url, name="chancery rate limits")
        try:
            by_name = {str(key): key for key in wishes}
            columns = [list(by_name), [w.quota for w in wishes.values()], [w.wanted for w in wishes.values()]]
            cursor = await connection.execute(_TAKE, columns, prepare=True)
            found = {
                by_name[name]: (granted, used, seconds)
                for name, granted, used, seconds in await cursor.fetchall()
            }
            await self._sweep(connection)
        except BaseException:
            await connection.close()
            raise
        self._connection = connection
        return found

    async def _sweep(self, connection: AsyncConnection[Any]) -> None:
        """Windows long over: strangers leave one per address."""
        if (now := time.monotonic()) - self._swept > SWEEP_SECONDS:
            self._swept = now
            await connection.execute(b"delete from rate_limits where ends_at < now()")

    async def _drop(self) -> None:
        if self._connection is not None:
            await self._connection.close()
