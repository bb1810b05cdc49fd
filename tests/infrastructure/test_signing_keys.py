"""Signing keys over their life: rotated under load without a refusal, thrown out everywhere within a second."""

import asyncio
import json
import time
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest

from application.signing_key import Schedule
from domain.signing_key.aggregate import SigningKeyUnknown, signing_key_id
from infrastructure import guard_check
from infrastructure.postgres import Unavailable
from infrastructure.security.signing_keys import KeyRing
from infrastructure.security.strict_jwt import InvalidToken
from infrastructure.tasks import end
from tests.signing import Clock, signing_keys, tokens_of
from tests.store import WRAPPING, open_store
from tests.waiting import until

pytestmark = pytest.mark.anyio
ISSUER = "https://chancery.example"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def keys(dsn, clock):
    async with signing_keys(dsn, clock) as opened:
        await opened.ensure()
        yield opened


@asynccontextmanager
async def process(dsn):
    """Another process, looking at the keys as it does."""
    tokens = await tokens_of(dsn, ISSUER)
    watching = asyncio.create_task(tokens.ring.run())
    try:
        yield tokens
    finally:
        await end(watching)


def issue(tokens):
    return tokens.issue(uuid4(), uuid4(), datetime.now(UTC))


def published(tokens):
    return [key["kid"] for key in json.loads(tokens.ring.jwks)["keys"]]


async def topics(dsn, kid):
    async with open_store(dsn) as (_, log):
        return [stored.topic.split(".")[1] for stored in await log.stream(signing_key_id(kid))]


async def seen(tokens, kid):
    """Until this process signs with that key; an honest one notices within a second."""
    began = time.monotonic()
    await until(lambda: tokens.ring.signer[0] == kid, 5)
    assert time.monotonic() - began < 1.5  # a second, and what a loaded machine adds


async def test_processes_that_start_at_once_agree_on_the_first_key(dsn, clock):
    async with AsyncExitStack() as stack:
        starting = [await stack.enter_async_context(signing_keys(dsn, clock)) for _ in range(4)]
        await asyncio.gather(*(each.ensure() for each in starting))
    (kid,) = published(await tokens_of(dsn, ISSUER))
    assert await topics(dsn, kid) == ["added", "activated"]


async def test_without_a_key_nothing_is_signed_and_that_is_said_to_be_for_now(dsn):
    ring = KeyRing(dsn, WRAPPING)
    await ring.look()
    assert ring.jwks == b'{"keys":[]}'
    with pytest.raises(Unavailable):
        _ = ring.signer
    await ring.close()


async def test_a_key_waits_then_signs_then_verifies_and_then_is_gone(dsn, keys, clock):
    async with process(dsn) as tokens:
        (old,) = published(tokens)
        signed_by_old = issue(tokens)
        await keys.advance()
        new = await keys.add()
        assert await keys.add() == new, "one waits already"
        await until(lambda: published(tokens) == [old, new], 5)
        assert tokens.ring.signer[0] == old

        clock.passes(minutes=9, seconds=59)
        await keys.advance()
        assert await topics(dsn, new) == ["added"]
        clock.passes(seconds=1)
        await keys.advance()
        await seen(tokens, new)
        assert published(tokens) == [old, new]
        assert tokens.verify(signed_by_old)
        assert tokens.verify(issue(tokens))

        clock.passes(minutes=11, seconds=59)
        await keys.advance()
        assert await topics(dsn, old) == ["added", "activated", "superseded"]
        clock.passes(seconds=1)
        await keys.advance()
        await until(lambda: published(tokens) == [new], 5)
        with pytest.raises(InvalidToken):
            tokens.verify(signed_by_old)
    assert await topics(dsn, old) == ["added", "activated", "superseded", "retired"]
    with psycopg.connect(dsn) as connection:
        kept = connection.execute("select kid from signing_keys").fetchall()
    assert kept == [(new,)], "the private half of a retired key is deleted"


async def test_age_alone_brings_a_successor(dsn, keys, clock):
    (old,) = published(await tokens_of(dsn, ISSUER))
    clock.passes(days=89, hours=23)
    await keys.advance()
    assert published(await tokens_of(dsn, ISSUER)) == [old]
    clock.passes(hours=1)
    await keys.advance()
    await keys.advance()
    before, new = published(await tokens_of(dsn, ISSUER))
    assert before == old
    clock.passes(minutes=10)
    await keys.advance()
    assert (await tokens_of(dsn, ISSUER)).ring.signer[0] == new


async def test_two_who_hold_the_role_at_once_do_everything_once(dsn, keys, clock):
    async with signing_keys(dsn, clock) as other:
        new = await keys.add()
        clock.passes(minutes=10)
        await asyncio.gather(*(each.advance() for each in (keys, other) * 5))
    (old,) = set(published(await tokens_of(dsn, ISSUER))) - {new}
    assert await topics(dsn, old) == ["added", "activated", "superseded"]
    assert await topics(dsn, new) == ["added", "activated"]


async def test_rotating_under_load_refuses_no_honest_token(dsn, clock):
    """Four processes that learn of it at different times issue and verify each other's tokens all the while."""
    schedule = Schedule(published=timedelta(0), verifies=timedelta(minutes=12))
    async with AsyncExitStack() as stack:
        keys = await stack.enter_async_context(signing_keys(dsn, clock, schedule))
        await keys.ensure()
        processes = [await stack.enter_async_context(process(dsn)) for _ in range(4)]
        done = asyncio.Event()
        verified = 0

        async def honest(number):
            nonlocal verified
            while not done.is_set():
                token = issue(processes[number % 4])
                for other in processes:
                    assert other.verify(token)
                    verified += 1
                await asyncio.sleep(0)

        callers = [asyncio.create_task(honest(number)) for number in range(8)]
        for _ in range(3):
            kid = await keys.add()
            await until(lambda kid=kid: all(kid in published(each) for each in processes), 5)
            await keys.advance()
            await until(lambda kid=kid: all(each.ring.signer[0] == kid for each in processes), 5)
        done.set()
        await asyncio.gather(*callers)
    assert verified > 1_000


async def test_a_compromised_key_is_believed_nowhere_within_a_second_and_another_one_signs(dsn, keys):
    async with process(dsn) as one, process(dsn) as other:
        stolen = issue(one)
        kid = one.ring.signer[0]
        assert other.verify(stolen), "and remembered"
        began = time.monotonic()
        successor = await keys.compromise(kid, "seen in a log")
        await until(lambda: published(one) == published(other) == [successor], 5)
        assert time.monotonic() - began < 1.5
        for each in (one, other):
            with pytest.raises(InvalidToken):
                each.verify(stolen)
        assert other.verify(issue(one)), "who refreshes goes on"
    assert await topics(dsn, kid) == ["added", "activated", "compromised"]
    with psycopg.connect(dsn) as connection:
        assert connection.execute("select kid from signing_keys").fetchall() == [(successor,)]
    async with open_store(dsn) as (_, log):
        events = await log.open(await log.stream(signing_key_id(kid)))
    assert events[-1].event.reason == "seen in a log"
    assert events[0].event.public_jwk.keys() == {"crv", "kty", "x", "y"}, "and nothing of the private half"


async def test_a_waiting_key_takes_over_from_a_compromised_one_and_may_itself_be_thrown_out(dsn, keys):
    (first,) = published(await tokens_of(dsn, ISSUER))
    waiting = await keys.add()
    assert await keys.compromise(first, "stolen") == waiting
    assert await keys.compromise(await keys.add(), "stolen, too") is None
    assert published(await tokens_of(dsn, ISSUER)) == [waiting]
    assert await keys.compromise(first, "again") is None
    with pytest.raises(SigningKeyUnknown):
        await keys.compromise("nobody's", "?")


async def test_the_states_are_what_the_log_says(dsn, keys, clock):
    new = await keys.add()
    clock.passes(minutes=10)
    await keys.advance()
    await keys.compromise(new, "stolen")
    assert await guard_check.verify(dsn, WRAPPING) == []
