"""Limits of requests: exact over many processes, whole again after the minute, and never none."""

import asyncio
import sys
import time
from contextlib import asynccontextmanager

import psycopg
import pytest
import structlog
from structlog.testing import capture_logs

from infrastructure.security import rate_limit as module
from infrastructure.security.rate_limit import Limiter

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def limiting(dsn):
    limiter = Limiter(dsn)
    task = asyncio.create_task(limiter.run())
    try:
        yield limiter
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture
async def limiter(dsn):
    async with limiting(dsn) as made:
        yield made


async def granted(limiter, key, quota, times, lease=1):
    answers = await asyncio.gather(*(limiter.take(key, quota, lease=lease) for _ in range(times)))
    return answers.count(None)


def over(owner_dsn):
    """The minute has passed."""
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        connection.execute("update rate_limits set ends_at = now() - interval '1 microsecond'")


PROCESS = """
import asyncio, sys
from infrastructure.security.rate_limit import Limiter
async def main():
    limiter = Limiter(sys.argv[1])
    task = asyncio.create_task(limiter.run())
    answers = await asyncio.gather(*(limiter.take("k7", 100) for _ in range(250)))
    print(answers.count(None), min(each for each in answers if each is not None))
asyncio.run(main())
"""


async def test_four_processes_never_grant_more_than_the_limit(dsn, owner_dsn):
    """K7: a thousand calls at once, a hundred a minute; exactly whole again afterwards."""
    for _ in range(2):
        running = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-c", PROCESS, dsn, stdout=asyncio.subprocess.PIPE
            )
            for _ in range(4)
        ]
        said = [(await each.communicate())[0].split() for each in running]
        assert sum(int(count) for count, _ in said) == 100
        assert all(0 < float(seconds) <= 60 for _, seconds in said)
        over(owner_dsn)


async def test_a_window_ends_a_minute_after_its_first_request(limiter, dsn, owner_dsn):
    assert await granted(limiter, "one", 5, 9) == 5
    refused = await limiter.take("one", 5)
    assert 59 < refused <= 60
    assert await granted(limiter, "two", 5, 9) == 5, "each key has its own"
    over(owner_dsn)
    async with limiting(dsn) as other:
        assert await granted(other, "one", 5, 9) == 5


async def test_a_full_window_is_not_asked_for_again(limiter, owner_dsn):
    assert await granted(limiter, "one", 1, 2) == 1
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        connection.execute("delete from rate_limits")
    assert await limiter.take("one", 1) is not None, "it is known here until it ends"
    assert await limiter.take("one", 2) is None, "another quota is another question"


async def test_leases_are_spent_in_memory_and_never_exceed_the_quota(dsn, owner_dsn):
    async with limiting(dsn) as one, limiting(dsn) as two:
        assert await one.take("a", 100, lease=10) is None
        assert sum(one.spend("a") for _ in range(20)) == 9
        assert await two.take("a", 100, lease=10) is None
        with psycopg.connect(owner_dsn) as connection:
            assert connection.execute("select used from rate_limits").fetchone() == (20,)
        total = (
            1
            + 9
            + 1
            + await granted(one, "a", 100, 200, lease=10)
            + await granted(two, "a", 100, 200, lease=10)
        )
        assert total <= 100
        assert total >= 90, "at most what another process still holds is lost"


async def test_a_lease_ends_with_its_window(limiter, monkeypatch):
    assert await limiter.take("a", 100, lease=10) is None
    now = time.monotonic()
    monkeypatch.setattr(module.time, "monotonic", lambda: now + 61)
    assert not limiter.spend("a")


async def test_without_its_table_a_process_counts_alone_and_says_so_once(limiter, owner_dsn, monkeypatch):
    """K8: no limit is never the answer, and neither is an error."""
    assert await granted(limiter, "one", 5, 2) == 2
    with psycopg.connect(owner_dsn, autocommit=True) as connection, capture_logs() as lines:
        monkeypatch.setattr(module, "_log", structlog.get_logger())  # its own may have been used before
        connection.execute("alter table rate_limits rename to gone")
        assert await granted(limiter, "one", 5, 9) == 3, "what was used before still counts"
        assert await granted(limiter, "two", 5, 9) == 5
        assert [line["log_level"] for line in lines] == ["error"]
        connection.execute("alter table gone rename to rate_limits")
        limiter._alone_until = 1e-9
        assert await granted(limiter, "three", 5, 9) == 5
        assert len(lines) == 2, "and once when they are counted together again"


async def test_a_slow_database_is_not_waited_for(limiter, owner_dsn):
    with psycopg.connect(owner_dsn) as connection:
        connection.execute("lock table rate_limits in access exclusive mode")
        began = time.monotonic()
        assert await granted(limiter, "one", 5, 9) == 5
        assert time.monotonic() - began < 2, "when the statement would have given up"
        limiter._alone_until = asked_again = time.monotonic() + 60
        assert await granted(limiter, "two", 5, 9) == 5
        assert limiter._alone_until == asked_again, "meanwhile it is not asked"


async def test_many_keys_at_once_wait_for_nobody_in_a_circle(dsn):
    async with limiting(dsn) as one, limiting(dsn) as two:
        keys = [f"key {number}" for number in range(200)]
        counts = await asyncio.gather(
            *(
                granted(limiter, key, 3, 2)
                for limiter, order in ((one, keys), (two, keys[::-1]))
                for key in order
            )
        )
        assert sum(counts) == 3 * len(keys)
        assert one._alone_until == two._alone_until == 0


async def test_windows_long_over_are_swept(limiter, owner_dsn):
    await limiter.take("old", 5)
    over(owner_dsn)
    limiter._swept -= module.SWEEP_SECONDS + 1
    await limiter.take("new", 5)
    with psycopg.connect(owner_dsn) as connection:
        assert connection.execute("select key from rate_limits").fetchall() == [("new",)]


async def test_memory_is_bounded(limiter, monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED", 3)
    for number in range(10):
        await limiter.take(str(number), 5)
    assert len(limiter._windows) == 3
