"""A service outside is asked within limits, left alone when it fails, and tried again by one call."""

import asyncio

import pytest
from msgspec.json import Decoder

from infrastructure.registers.outside_calls import Breaker, OutsideFailed, OutsideService
from tests.register_server import SLOW, raw, register_server, says

pytestmark = pytest.mark.anyio

NUMBERS = Decoder(list[int])


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def end(breaker, *, well):
    with breaker.call("it"):
        if not well:
            raise OutsideFailed("it", "failed")


def fail(breaker, times=1):
    for _ in range(times):
        with pytest.raises(OutsideFailed):
            end(breaker, well=False)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return Breaker(failures=3, rest=10, clock=clock)


def test_failures_in_a_row_open_it_and_a_success_begins_the_row_anew(breaker):
    fail(breaker, 2)
    end(breaker, well=True)
    fail(breaker, 2)
    assert breaker.state == "closed"
    fail(breaker)
    assert breaker.state == "open"


def test_while_open_nobody_asks_and_everybody_learns_how_long(breaker, clock):
    fail(breaker, 3)
    clock.now += 4
    with pytest.raises(OutsideFailed) as refused, breaker.call("it"):
        pytest.fail("was let through")
    assert refused.value.retry_after == 7


def test_then_one_call_tries_while_the_others_wait(breaker, clock):
    fail(breaker, 3)
    clock.now += 11
    with breaker.call("it"):
        assert breaker.state == "trying"
        fail(breaker)
    assert (breaker.state, breaker.rests) == ("closed", 0)


def test_a_trial_that_fails_opens_it_for_another_rest(breaker, clock):
    fail(breaker, 3)
    clock.now += 11
    fail(breaker)
    assert (breaker.state, breaker.rests) == ("open", 10)


def test_a_trial_that_is_canceled_says_nothing_and_lets_the_next_one_try(breaker, clock):
    fail(breaker, 3)
    clock.now += 11
    with pytest.raises(asyncio.CancelledError), breaker.call("it"):
        raise asyncio.CancelledError
    assert (breaker.state, breaker.rests) == ("open", 0)
    end(breaker, well=True)
    assert breaker.state == "closed"


async def test_what_it_says_is_decoded_and_not_found_is_an_answer():
    async with register_server() as server:
        service = OutsideService("it", server.url + "/")
        server.at["/a"] = lambda query: says([int(query["n"])])
        assert await service.get("/a", {"n": "7"}, NUMBERS) == [7]
        assert await service.get("/b", {}, NUMBERS) is None
        assert service.breaker.state == "closed"
        await service.close()


async def test_a_second_call_shares_the_limit_of_the_first():
    async with register_server() as server:
        service = OutsideService("it", server.url)
        server.always = SLOW
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(OutsideFailed, match="too long"):
            await service.get("/a", {}, NUMBERS, until=began + 0.2)
        assert loop.time() - began < 1
        await service.close()


async def test_what_somebody_looks_for_stands_in_no_message():
    async with register_server() as server:
        service = OutsideService("it", server.url)
        for server.always in (raw(b"", 500), raw(b"x"), b""):
            with pytest.raises(OutsideFailed) as failed:
                await service.get("/a", {"q": "secret"}, NUMBERS)
            assert "secret" not in str(failed.value)
        assert await service.try_get("/a", {}, NUMBERS) is None
        await service.close()
