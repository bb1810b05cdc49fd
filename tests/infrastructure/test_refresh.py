"""Refresh tokens: a lost answer harms nobody, a stolen token is found out, and a forged one changes nothing."""

import asyncio
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest

from application.access import SessionEnded
from application.session import RefreshedTooOften, Reused, Rotated
from domain.session.events import SessionClosed
from infrastructure.event_store import new_id
from infrastructure.lookups import AccountLookup
from infrastructure.personal_data import Wrapping
from infrastructure.postgres import open_pool
from infrastructure.security.callers import SessionCallers
from infrastructure.security.refresh import PREFIX, REPEATS, RefreshTokens, decode, encode
from infrastructure.tasks import end
from tests import people
from tests.store import open_store

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self):
        self.now = datetime.now(UTC)

    def __call__(self):
        return self.now

    def passes(self, **time):
        self.now += timedelta(**time)


@pytest.fixture
async def store(dsn):
    async with open_store(dsn) as (opened, _):
        yield opened


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def refreshes(dsn, clock):
    pool = await open_pool(dsn, size=4)
    yield RefreshTokens(pool, Wrapping(bytes(32)), clock)
    await pool.close()


@pytest.fixture
async def session(store, refreshes):
    """(user, session, first token) of somebody signed in."""
    user, session_id = await people.registered(store), new_id()
    wrapped, token = refreshes.first(session_id)
    await people.signed_in(store, user, session_id=session_id, secret=wrapped)
    return user, session_id, token


def generation(owner_dsn, session_id):
    with psycopg.connect(owner_dsn) as connection:
        return connection.execute(
            "select generation from refreshes where session_id = %s", (session_id,)
        ).fetchone()[0]


async def test_each_token_gets_its_successor(refreshes, session):
    user, session_id, token = session
    seen = {token}
    for number in range(2, 6):
        rotated = await refreshes.rotate(token)
        assert isinstance(rotated, Rotated)
        assert (rotated.user_id, rotated.session_id) == (user, session_id)
        token = rotated.token
        assert decode(token) == (session_id, number)
        assert token not in seen
        seen.add(token)


async def test_fifty_at_once_rotate_once_and_get_the_same_successor_or_are_told_to_wait(
    refreshes, session, owner_dsn
):
    _, session_id, token = session
    answers = await asyncio.gather(*(refreshes.rotate(token) for _ in range(50)), return_exceptions=True)
    served = [answer for answer in answers if isinstance(answer, Rotated)]
    assert len(served) == 1 + REPEATS
    assert {type(answer) for answer in answers if answer not in served} == {RefreshedTooOften}
    assert len({answer.token for answer in served}) == 1
    assert generation(owner_dsn, session_id) == 2
    with pytest.raises(RefreshedTooOften):
        await refreshes.rotate(token)
    third = await refreshes.rotate(served[0].token)
    assert isinstance(third, Rotated), "who waits, or has the answer, goes on"
    assert await refreshes.rotate(served[0].token) == third, "and the next token has repeats of its own"


async def test_a_lost_answer_is_given_again_for_thirty_seconds(refreshes, session, clock):
    _, _, token = session
    first = await refreshes.rotate(token)
    clock.passes(seconds=29)
    assert await refreshes.rotate(token) == first
    clock.passes(seconds=2)
    assert isinstance(await refreshes.rotate(token), Reused)


async def test_an_old_token_ends_the_session_and_its_newest_token_at_once(refreshes, session):
    user, session_id, first = session
    second = (await refreshes.rotate(first)).token
    third = (await refreshes.rotate(second)).token
    found_out = Reused(user_id=user, session_id=session_id)
    assert await refreshes.rotate(first) == found_out, "though it all happened within a second"
    for token in (third, second, first):
        assert await refreshes.rotate(token) == found_out, "until the session itself is closed"


async def test_a_thief_and_the_owner_cannot_both_go_on(refreshes, session, clock):
    _, _, stolen = session
    owners = (await refreshes.rotate(stolen)).token
    clock.passes(minutes=5)
    assert isinstance(await refreshes.rotate(stolen), Reused)
    assert isinstance(await refreshes.rotate(owners), Reused)


async def test_a_forged_token_changes_nothing(refreshes, session, owner_dsn):
    _, session_id, token = session
    raw = urlsafe_b64decode(token.removeprefix(PREFIX) + "==")

    def sealed(body: bytes) -> str:
        """With a checksum that fits, as anybody can make it."""
        return PREFIX + urlsafe_b64encode(body + zlib.crc32(body).to_bytes(4, "big")).decode().rstrip("=")

    assert sealed(raw[:-4]) == token
    ahead = raw[:17] + (2).to_bytes(4, "big")
    for forged in (
        sealed(ahead + raw[21:-4]),
        sealed(raw[:21] + bytes(16)),
        sealed(raw[:21] + raw[21:-5]),
        sealed(b"\x02" + raw[1:-4]),
        sealed(raw[:1] + uuid4().bytes + raw[17:-4]),
        encode(b"another secret", session_id, 1),
        token[:-1] + ("A" if token[-1] != "A" else "B"),
        token + "=", token + "==", token + "\n", " " + token, token.upper(), token.removeprefix(PREFIX),
        "", PREFIX, "rt1_é", "rt1_" + "A" * 10_000, "rt1_A",
    ):  # fmt: skip
        assert await refreshes.rotate(forged) is None
    assert generation(owner_dsn, session_id) == 1
    assert isinstance(await refreshes.rotate(token), Rotated)


async def test_a_token_of_the_future_is_refused_and_ends_nothing(refreshes, session, owner_dsn):
    """As after a restore: the token is real, and the database older than it."""
    _, session_id, token = session
    second = (await refreshes.rotate(token)).token
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        connection.execute("update refreshes set generation = 1")
    third = decode(second)
    assert third == (session_id, 2)
    assert await refreshes.rotate(second) is None
    assert generation(owner_dsn, session_id) == 1


async def test_a_closed_session_gives_no_more_tokens(refreshes, session, store):
    _, session_id, token = session
    await people.append(store, session_id, SessionClosed(reason="signed_out"), expected=1)
    assert await refreshes.rotate(token) is None


async def test_an_expired_session_gives_no_more_tokens(refreshes, session, clock):
    clock.passes(days=1, minutes=1)
    assert await refreshes.rotate(session[2]) is None


async def test_a_session_that_rests_too_long_is_over_and_each_refresh_lets_it_rest_anew(
    refreshes, session, store, clock, owner_dsn
):
    user = session[0]
    session_id = new_id()
    wrapped, token = refreshes.first(session_id)
    await people.signed_in(store, user, session_id=session_id, secret=wrapped, lifetime=timedelta(days=30))
    for _ in range(3):
        clock.passes(days=6, hours=23)
        token = (await refreshes.rotate(token)).token
    clock.passes(days=7, seconds=1)
    assert await refreshes.rotate(token) is None
    await refreshes.let_rest(session_id, timedelta(days=90))
    clock.passes(days=1)
    token = (await refreshes.rotate(token)).token
    clock.passes(days=2)
    assert await refreshes.rotate(token) is None, "refreshed for ever, and over at its absolute end"


@pytest.mark.parametrize(
    "over", ["rotated_at = rotated_at - interval '7 days'", "generation = 0"], ids=["unused", "reused"]
)
async def test_what_the_rotation_knows_every_request_knows(dsn, session, owner_dsn, over):
    """An unused session, or one whose token came back, is over before any event says so."""
    user, session_id, _ = session
    callers, accounts = SessionCallers(dsn), AccountLookup(dsn)
    tasks = [asyncio.create_task(run()) for run in (callers.run, *accounts.runs)]
    try:
        assert (await callers.of_session(session_id, user, fresh=True)).actor.id == user
        assert session_id in await accounts.sessions(user)
        with psycopg.connect(owner_dsn, autocommit=True) as connection:
            connection.execute(f"update refreshes set {over}")
        with pytest.raises(SessionEnded):
            await callers.of_session(session_id, user, fresh=True)
        with pytest.raises(SessionEnded):
            await callers.of_session(session_id, user, fresh=False)
        assert await accounts.sessions(user) == frozenset()
    finally:
        await end(*tasks)


async def test_a_blocked_user_gets_no_more_tokens(refreshes, session, owner_dsn):
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        connection.execute("update principals set state = 'blocked'")
    assert await refreshes.rotate(session[2]) is None


async def test_nothing_that_resembles_a_token_is_stored(refreshes, session, owner_dsn):
    _, _, token = session
    with psycopg.connect(owner_dsn) as connection:
        (secret,) = connection.execute("select secret from refreshes").fetchone()
    assert token.encode() not in secret
    assert urlsafe_b64decode(token.removeprefix(PREFIX) + "==")[21:37] not in secret
