"""Passwords: who is right gets in, nobody learns who exists, and many at once wait in line or are told to come back."""

import asyncio
import threading
import time
from statistics import mean
from uuid import uuid4

import psycopg
import pytest
from argon2 import PasswordHasher

from infrastructure.bounded import Bounded, Busy
from infrastructure.postgres import open_pool
from infrastructure.security.passwords import COMMON, PasswordHashes, Passwords, policy_of
from infrastructure.settings import Settings
from tests.common_passwords import listed

pytestmark = pytest.mark.anyio


@pytest.fixture
def passwords():
    made = Passwords()
    yield made
    made.close()


async def test_the_right_password_is_known_again_and_a_wrong_one_is_not(passwords):
    stored = await passwords.hash("correct horse battery")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await passwords.verify(stored, "correct horse battery")
    assert not await passwords.verify(stored, "correct horse batterz")
    assert await passwords.hash("correct horse battery") != stored, "each has a salt of its own"


async def test_the_same_letters_from_another_keyboard_are_the_same_password(passwords):
    stored = await passwords.hash("ﬁn de siècle")
    assert await passwords.verify(stored, "fin de sie\u0300cle")


async def test_length_and_nul_count_to_the_last_byte(passwords):
    stored = await passwords.hash("🐎" * 255 + "\0a")
    assert await passwords.verify(stored, "🐎" * 255 + "\0a")
    assert not await passwords.verify(stored, "🐎" * 255 + "\0b")


async def test_nobody_is_refused_as_late_as_somebody(passwords):
    stored = await passwords.hash("correct horse battery")
    took: dict[str | None, list[float]] = {stored: [], None: []}
    for _ in range(12):
        for login, times in took.items():
            begun = time.process_time()
            assert not await passwords.verify(login, "wrong")
            times.append(time.process_time() - begun)
    somebody, nobody = (mean(sorted(each)[:8]) for each in took.values())
    assert abs(somebody - nobody) < 0.5 * somebody


async def test_a_hash_of_other_parameters_is_to_be_made_again(passwords):
    assert not passwords.needs_rehash(await passwords.hash("x"))
    assert passwords.needs_rehash(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("x"))


async def test_a_flood_of_sign_ins_is_bounded_and_leaves_the_loop_free(passwords):
    flood = [asyncio.ensure_future(passwords.verify(None, "x")) for _ in range(100)]
    latest, ticked = 0.0, time.perf_counter()
    while not all(each.done() for each in flood):
        await asyncio.sleep(0.001)
        latest, ticked = max(latest, time.perf_counter() - ticked), time.perf_counter()
    answers = await asyncio.gather(*flood, return_exceptions=True)
    assert sum(answer is False for answer in answers) == 18, "two work, sixteen wait"
    assert sum(isinstance(answer, Busy) and answer.retry_after == 1 for answer in answers) == 82
    assert latest < 0.25
    assert await passwords.verify(None, "x") is False, "and then there is room again"


async def test_a_caller_who_gave_up_frees_the_queue_but_not_the_thread():
    run, go = Bounded("test", threads=1, waiting=1), threading.Event()
    started = threading.Event()

    def work():
        started.set()
        go.wait(10)

    running, waiting = asyncio.ensure_future(run(work)), asyncio.ensure_future(run(work))
    await asyncio.to_thread(started.wait, 10)
    with pytest.raises(Busy):
        await run(work)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    with pytest.raises(Busy):
        await run(work)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    last = asyncio.ensure_future(run(threading.get_ident))
    go.set()
    assert await last != threading.get_ident()
    run.close()


def test_the_common_passwords_are_what_the_recipe_makes():
    assert COMMON.read_text(encoding="utf-8").splitlines() == listed()
    policy = policy_of(Settings())
    assert sum(len(each) >= policy.min_length for each in policy.common) > 20_000
    assert {
        "password1234",
        "qwertyuiopasdf",
        "123456789012",
        "motdepasse2024",
        "йцукенгшщзхъ",
    } <= policy.common


async def test_a_hash_made_anew_does_not_undo_a_change(dsn, owner_dsn):
    user, pool = uuid4(), await open_pool(dsn, size=1)
    hashes = PasswordHashes(pool)
    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        owner.execute("insert into credentials (user_id, password_hash) values (%s, 'old')", (user,))
        before = owner.execute("select changed_at from credentials").fetchone()
        await hashes.replace(user, "older", "lost")
        assert owner.execute("select password_hash from credentials").fetchone() == ("old",)
        await hashes.replace(user, "old", "new")
        assert owner.execute("select password_hash from credentials").fetchone() == ("new",)
        assert owner.execute("select changed_at from credentials").fetchone() == before
    await pool.close()
