"""Uses of keys on the real log: the first at once, then once a minute; a flood is counted, and nothing is lost."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from application.execute import Execute
from application.key_use import EVERY, NOTED_A_SECOND, OF_ONE_COUNT, TOLD_APART, KeyUses, Used
from domain.key_use.events import KeyUseNoted, KeyUsesCounted
from domain.shared import Origin
from infrastructure.event_store import new_id
from infrastructure.postgres import Unavailable
from infrastructure.security.callers import SessionCallers
from tests.store import open_store

pytestmark = pytest.mark.anyio
ONE, OTHER = UUID(int=7), UUID(int=8)
ROUTE = "GET /api/v1/organisations"


class Log:
    """`uses` writes to it when told to; `now` is the time."""

    def __init__(self, dsn, store):
        self.now = datetime(2026, 5, 3, 12, tzinfo=UTC)
        self.store, self.execute = store, Execute(store, SessionCallers(dsn), lambda: self.now)
        self.uses = KeyUses(self.execute, new_id, lambda *_: None)

    def use(self, client=ONE, *, key="k1", agent="curl", route=ROUTE, request="r"):
        self.uses.note(
            Used(client_id=client, key_id=key, origin=Origin(address="10.0.0.7", agent=agent)), route, request
        )

    async def told(self):
        """All that was written so far."""
        log = self.store._log
        return await log.open(await log.read(0, 5_000))


@pytest.fixture
async def log(dsn):
    async with open_store(dsn) as (store, _):
        yield Log(dsn, store)


async def test_the_first_use_is_noted_at_once_with_who_and_from_where(log):
    log.use(request="r1")
    await log.uses.write()
    (noted,) = await log.told()
    assert noted.event == KeyUseNoted(
        client_id=ONE, key_id="k1", since=log.now, until=log.now, requests=1, routes={ROUTE: 1}
    )
    assert (noted.metadata.actor.kind, noted.metadata.actor.id, noted.metadata.client_id) == (
        "client",
        ONE,
        ONE,
    )
    assert (noted.metadata.allowed_by, noted.metadata.request_id) == ("key:k1", "r1")
    assert noted.metadata.origin == Origin(address="10.0.0.7", agent="curl")
    assert b"10.0.0.7" not in noted.meta
    assert b"curl" not in noted.meta


async def test_a_use_that_goes_on_is_noted_once_a_minute_with_how_often(log):
    log.use()
    await log.uses.write()
    began = log.now
    for second in range(1, 60):
        log.now = began + timedelta(seconds=second)
        log.use(request=f"r{second}")
        log.use(route="POST /api/v1/organisations")
        await log.uses.write()
    assert len(await log.told()) == 1
    log.now = began + EVERY
    await log.uses.write()
    _, noted = await log.told()
    assert noted.event.routes == {ROUTE: 59, "POST /api/v1/organisations": 59}
    assert noted.event.requests == 118
    assert (noted.event.since, noted.event.until) == (
        began + timedelta(seconds=1),
        began + timedelta(seconds=59),
    )
    assert noted.metadata.request_id == "r1"


async def test_what_is_used_no_more_is_noted_no_more_and_forgotten(log):
    log.use()
    await log.uses.write()
    log.now += EVERY
    await log.uses.write()
    assert len(await log.told()) == 1
    assert log.uses._tallies == {}


async def test_another_key_or_place_or_client_is_noted_by_itself(log):
    for changed in ({}, {"key": "k2"}, {"agent": "wget"}, {"client": OTHER}):
        log.use(**changed)
    await log.uses.write()
    found = {
        (each.event.client_id, each.event.key_id, each.metadata.origin.agent) for each in await log.told()
    }
    assert found == {(ONE, "k1", "curl"), (ONE, "k2", "curl"), (ONE, "k1", "wget"), (OTHER, "k1", "curl")}


async def test_ten_a_second_are_noted_and_the_rest_is_one_count(log):
    for number in range(NOTED_A_SECOND + 5):
        log.use(agent=f"agent {number}")
        log.use(agent=f"agent {number}")
    log.use(OTHER)
    await log.uses.write()
    *noted, counted = [each.event for each in await log.told()]
    assert [type(each) for each in noted] == [KeyUseNoted] * NOTED_A_SECOND
    assert counted.counts == {str(ONE): 10, str(OTHER): 1}
    assert isinstance(counted, KeyUsesCounted)
    await log.uses.write()
    assert len(await log.told()) == NOTED_A_SECOND + 1


async def test_whoever_changes_his_name_with_each_request_takes_no_memory(log):
    for number in range(TOLD_APART + 50):
        log.use(agent=f"agent {number}")
    assert len(log.uses._tallies) == TOLD_APART
    await log.uses.write()
    told = Counter()
    for each in await log.told():
        told[type(each.event)] += 1
        told["requests"] += (
            each.event.requests if isinstance(each.event, KeyUseNoted) else each.event.counts[str(ONE)]
        )
    assert told == {KeyUseNoted: NOTED_A_SECOND, KeyUsesCounted: 1, "requests": TOLD_APART + 50}


async def test_a_count_of_however_many_clients_is_never_too_large(log):
    clients = [UUID(int=number) for number in range(1, TOLD_APART + OF_ONE_COUNT + 300)]
    for client in clients:
        log.use(client)
    for _ in range(3):
        await log.uses.write()
    counted = Counter()
    for each in await log.told():
        counted.update(each.event.counts if isinstance(each.event, KeyUsesCounted) else {})
    assert counted.total() == len(clients) - NOTED_A_SECOND


async def test_what_comes_while_it_is_written_and_what_could_not_be_is_written_later(log, monkeypatch):
    append, journal = log.execute, log.uses._journal

    async def away(*_told, **_more):
        log.use(request="r2")
        raise Unavailable

    log.use(request="r1")
    monkeypatch.setattr(journal, "_execute", away)
    with pytest.raises(Unavailable):
        await log.uses.write()

    async def slow(*told, **more):
        log.use(request="r3")
        return await append(*told, **more)

    monkeypatch.setattr(journal, "_execute", slow)
    await log.uses.write()
    monkeypatch.setattr(journal, "_execute", append)
    log.now += EVERY
    await log.uses.write()
    assert [each.event.requests for each in await log.told()] == [2, 1]
