"""Operations: asked for once, under one lease at a time, closed by the attempt that holds it, never lost."""

import asyncio
from datetime import timedelta

import psycopg
import pytest

from infrastructure.operations import MOST_ATTEMPTS, Operations, Taken, ask
from infrastructure.postgres import open_pool

pytestmark = pytest.mark.anyio


@pytest.fixture
async def operations(dsn):
    async with await open_pool(dsn, size=4) as pool:
        yield Operations(pool)


def age(owner_dsn, **columns):
    """Make time pass for every operation."""
    settings = ", ".join(f"{name} = {name} - interval '{hours} hours'" for name, hours in columns.items())
    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        owner.execute(f"update operations set {settings}")


def state(owner_dsn):
    with psycopg.connect(owner_dsn) as owner:
        return owner.execute("select state, attempt, last_error from operations").fetchone()


async def test_an_occasion_asks_once(operations):
    assert await operations.ask("file.recheck", {"id": "1"}, occasion="event 1")
    assert not await operations.ask("file.recheck", {"id": "1"}, occasion="event 1")
    assert len(await operations.due()) == 1


async def test_what_nobody_took_is_offered_again_so_a_flushed_broker_loses_nothing(operations, owner_dsn):
    await operations.ask("file.recheck", {})
    (offered,) = await operations.due()
    assert await operations.due() == []
    age(owner_dsn, offered_at=1)
    assert await operations.due() == [offered]


async def test_twenty_workers_take_it_once(operations):
    await operations.ask("file.recheck", {"file": "f"})
    (operation_id,) = await operations.due()
    taken = [
        each for each in await asyncio.gather(*(operations.take(operation_id) for _ in range(20))) if each
    ]
    assert taken == [Taken(id=operation_id, kind="file.recheck", about={"file": "f"}, attempt=1)]


async def test_what_is_done_is_not_offered_again(operations, owner_dsn):
    await operations.ask("file.recheck", {})
    (operation_id,) = await operations.due()
    taken = await operations.take(operation_id)
    assert await operations.done(taken)
    age(owner_dsn, offered_at=1)
    assert (await operations.due(), await operations.take(operation_id)) == ([], None)
    assert state(owner_dsn) == ("done", 1, None)


async def test_a_silent_attempt_is_replaced_and_its_word_counts_no_more(operations, owner_dsn):
    await operations.ask("file.recheck", {})
    (operation_id,) = await operations.due()
    frozen = await operations.take(operation_id)
    age(owner_dsn, leased_until=1, offered_at=1)
    assert await operations.due() == [operation_id]
    second = await operations.take(operation_id)
    assert second.attempt == 2
    assert not await operations.renew(frozen)
    assert not await operations.done(frozen)
    assert await operations.renew(second)
    assert await operations.done(second)


async def test_a_failure_is_tried_again_later_and_given_up_visibly(operations, owner_dsn):
    await operations.ask("file.recheck", {})
    (operation_id,) = await operations.due()
    for attempt in range(1, MOST_ATTEMPTS + 1):
        taken = await operations.take(operation_id)
        assert taken.attempt == attempt
        await operations.failed(taken, "S3 is away")
        assert await operations.take(operation_id) is None
        age(owner_dsn, run_at=2)
    assert state(owner_dsn) == ("failed", MOST_ATTEMPTS, "S3 is away")
    assert await operations.due() == []


async def test_what_is_asked_for_after_a_while_is_not_due_before(operations, owner_dsn):
    await operations.ask("mail.send", {})
    async with operations._pool.connection() as connection:
        await ask(connection, "mail.send", {}, after=timedelta(minutes=30))
    assert len(await operations.due()) == 1
    age(owner_dsn, run_at=1)
    assert len(await operations.due()) == 1


async def test_what_was_handed_over_stays_so_for_every_later_attempt_unless_it_is_handed_back(
    operations, owner_dsn
):
    await operations.ask("mail.send", {})
    (operation_id,) = await operations.due()
    first = await operations.take(operation_id)
    assert await operations.hand_over(first)
    age(owner_dsn, leased_until=1)
    second = await operations.take(operation_id)
    assert (first.handed_over, second.handed_over) == (False, True)
    assert not await operations.hand_over(first)
    await operations.hand_back(first)
    await operations.hand_back(second)
    age(owner_dsn, leased_until=1)
    assert not (await operations.take(operation_id)).handed_over


async def test_what_is_hopeless_is_given_up_at_once(operations, owner_dsn):
    await operations.ask("mail.send", {})
    (operation_id,) = await operations.due()
    assert await operations.failed(await operations.take(operation_id), "never", most=0)
    assert state(owner_dsn) == ("failed", 1, "never")
