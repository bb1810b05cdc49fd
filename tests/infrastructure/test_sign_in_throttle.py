"""Sign-in protection at its table: who waits how long, exactly, however many ask at once, in however many processes."""

import asyncio
from collections import Counter
from uuid import uuid4

import psycopg
import pytest

from application.proof import Throttled
from infrastructure.bounded import Busy
from infrastructure.personal_data import Wrapping
from infrastructure.postgres import open_pool
from infrastructure.security import sign_in_throttle
from infrastructure.security.sign_in_throttle import SignInThrottle, network
from infrastructure.tasks import end
from tests.waiting import until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def process(dsn):
    """Makes throttles as other processes have them: with a pool of their own."""
    pools, tasks = [], []

    async def made():
        pools.append(await open_pool(dsn, size=8))
        throttle = SignInThrottle(dsn, pools[-1], Wrapping(bytes(32)).blind)
        tasks.append(asyncio.ensure_future(throttle.run()))
        return throttle

    yield made
    await end(*tasks)
    for pool in pools:
        await pool.close()


@pytest.fixture
async def throttle(process):
    return await process()


@pytest.fixture
def rows(owner_dsn):
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        yield lambda sql, *values: connection.execute(sql, values)


async def guess(throttle, login="a", address=None, device_id=None, *, right=False):
    async with throttle.trial(login, address, device_id) as settle:
        settle(right)


async def refused(throttle, login="a", address=None, device_id=None) -> int:
    """The seconds one is told to wait."""
    with pytest.raises(Throttled) as error:
        await guess(throttle, login, address, device_id)
    return error.value.retry_after


async def test_after_five_failures_in_a_row_the_wait_doubles_up_to_a_quarter_of_an_hour(throttle, rows):
    for _ in range(5):
        await guess(throttle)
    waits = []
    for _ in range(13):
        waits.append(await refused(throttle))
        rows("update sign_in_failures set opens_at = now()")
        await guess(throttle)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]


async def test_who_is_told_to_wait_is_not_counted(throttle, rows):
    for _ in range(5):
        await guess(throttle)
    before = rows("select * from sign_in_failures").fetchall()
    assert {await refused(throttle) for _ in range(20)} == {1}
    assert rows("select * from sign_in_failures").fetchall() == before


async def test_a_right_password_starts_the_count_again(throttle, rows):
    for _ in range(3):
        for _ in range(4):
            await guess(throttle)
        await guess(throttle, right=True)
    assert rows("select count(*) from sign_in_failures").fetchone() == (0,)


async def test_one_login_does_not_close_another(throttle):
    for _ in range(5):
        await guess(throttle, "a")
    await guess(throttle, "b")
    assert await refused(throttle, "a")


async def test_guesses_at_once_from_several_processes_are_counted_exactly(process):
    throttles = [await process() for _ in range(4)]
    verified = 0

    async def one(throttle):
        nonlocal verified
        async with throttle.trial("a", None, None) as settle:
            verified += 1
            await asyncio.sleep(0)
            settle(False)

    answers = await asyncio.gather(*(one(throttles[n % 4]) for n in range(40)), return_exceptions=True)
    assert verified == 5
    assert Counter(type(answer) for answer in answers) == {type(None): 5, Throttled: 35}


async def test_at_five_failures_one_guess_gets_through_however_many_come_at_once(process, rows):
    throttles = [await process() for _ in range(3)]
    for _ in range(5):
        await guess(throttles[0])
    rows("update sign_in_failures set opens_at = now()")
    answers = await asyncio.gather(*(guess(throttles[n % 3]) for n in range(10)), return_exceptions=True)
    assert Counter(type(answer) for answer in answers) == {type(None): 1, Throttled: 9}
    assert rows("select failures, pending from sign_in_failures").fetchone() == (6, 0)


async def test_right_passwords_at_once_are_no_attack(process, rows):
    throttles = [await process() for _ in range(2)]
    await asyncio.gather(
        *(guess(throttles[n % 2], address="192.0.2.7", right=True) for n in range(60)),
    )
    assert rows("select count(*) from sign_in_failures").fetchone() == (0,)


async def test_too_many_that_wait_for_the_verdict_are_told_to_come_back(throttle, rows, monkeypatch):
    monkeypatch.setattr(sign_in_throttle, "PATIENCE", 0.1)
    go = asyncio.Event()

    async def slow():
        async with throttle.trial("a", None, None) as settle:
            await go.wait()
            settle(True)

    slows = [asyncio.ensure_future(slow()) for _ in range(5)]
    await until(lambda: rows("select pending from sign_in_failures").fetchone() == (5,))
    with pytest.raises(Busy):
        await guess(throttle)
    monkeypatch.setattr(sign_in_throttle, "AT_ONCE", 5)
    with pytest.raises(Busy):
        await guess(throttle)
    go.set()
    await asyncio.gather(*slows)
    await guess(throttle)


async def test_what_could_not_be_verified_does_not_count(throttle, rows):
    for _ in range(9):
        with pytest.raises(Busy):
            async with throttle.trial("a", "192.0.2.7", None):
                raise Busy("passwords")
    assert rows("select count(*) from sign_in_failures").fetchone() == (0,)


async def test_who_hangs_up_before_the_verdict_has_guessed(throttle):
    for _ in range(5):
        started = asyncio.Event()

        async def gone(started=started):
            async with throttle.trial("a", None, None):
                started.set()
                await asyncio.Event().wait()

        task = asyncio.ensure_future(gone())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await refused(throttle) == 1


async def test_who_died_before_the_verdict_has_guessed(throttle, rows):
    await guess(throttle)
    rows("update sign_in_failures set pending = 4, touched_at = now() - interval '16 seconds'")
    await guess(throttle)
    assert rows("select failures, pending from sign_in_failures").fetchone() == (6, 0)


async def test_a_network_is_closed_after_a_hundred_failures_for_a_minute_at_most(throttle, rows):
    for n in range(99):
        await guess(throttle, f"login {n}", "192.0.2.7")
    rows("update sign_in_failures set failures = 100 where kind = 'network'")
    await guess(throttle, "login 99", "192.0.2.8")
    assert await refused(throttle, "another", "192.0.2.99") in (1, 2)
    await guess(throttle, "another", "198.51.100.7")
    rows("update sign_in_failures set failures = 150, opens_at = now() where kind = 'network'")
    await guess(throttle, "login 1", "192.0.2.7")
    assert await refused(throttle, "another", "192.0.2.7") == 60


async def test_a_network_forgets_a_failure_every_five_seconds_and_none_for_a_right_password(throttle, rows):
    await guess(throttle, "a", "192.0.2.7")
    rows(
        "update sign_in_failures set failures = 99, touched_at = now() - interval '50 s' where kind = 'network'"
    )
    await guess(throttle, "a", "192.0.2.7", right=True)
    (failures,) = rows("select failures from sign_in_failures").fetchone()
    assert 88 < failures <= 89


async def test_a_known_device_is_counted_alone(throttle):
    for n in range(100):
        await guess(throttle, "a" if n < 5 else str(n), "192.0.2.7")
    assert await refused(throttle, "a", "192.0.2.7")
    device = uuid4()
    for _ in range(5):
        await guess(throttle, "a", "192.0.2.7", device)
    assert await refused(throttle, "a", "192.0.2.7", device) == 1


async def test_what_is_kept_names_nobody(throttle, rows):
    await guess(throttle, "anna@example.org", "192.0.2.7")
    kept = str(rows("select * from sign_in_failures").fetchall())
    assert "anna" not in kept
    assert "192.0.2" not in kept


async def test_the_table_clears_itself_while_it_is_used(throttle, rows):
    rows(
        "insert into sign_in_failures (kind, key, failures, opens_at, touched_at, forget_at)"
        " select 'login', n::text, 1, now(), now(), now() - interval '1 s' from generate_series(1, 50) n"
    )
    for n in range(20):
        await guess(throttle, f"sprayed {n}", f"10.{n}.0.1")
    assert rows("select count(*) from sign_in_failures where forget_at < now()").fetchone() == (0,)
    assert rows("select count(*) from sign_in_failures").fetchone() == (40,)


async def test_a_login_under_attack_is_remembered_for_a_day_any_other_for_an_hour(throttle, rows):
    for _ in range(5):
        await guess(throttle, "a")
    await guess(throttle, "b")
    kept = rows("select extract(epoch from forget_at - now()) / 3600 from sign_in_failures order by failures")
    assert [round(hours) for (hours,) in kept] == [1, 24]


@pytest.mark.parametrize(
    ("address", "bucket"),
    [
        ("192.0.2.7", "192.0.2.0/24"),
        ("::ffff:192.0.2.7", "192.0.2.0/24"),
        ("2001:db8:1:2ff::7", "2001:db8:1:200::/56"),
        ("testclient", "testclient"),
    ],
)
def test_neighbours_count_as_one(address, bucket):
    assert network(address) == bucket
