"""Several processes fight over one log while their connections are cut; then the log is asked what is true of it."""

import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from itertools import groupby, pairwise
from multiprocessing import get_context

import msgspec
import psycopg
import pytest

from domain.organisation.events import Management, OrganisationAdded
from infrastructure import guard_check
from tests import contender, proxy
from tests.contender import Told
from tests.store import WRAPPING, open_store

pytestmark = pytest.mark.anyio

PROCESSES = 3
SEED = int(os.environ.get("TESTS_SEED", "7"))


@pytest.fixture
def fought(dsn):
    """What every process was told, and the cuts."""
    told: list[Told] = []
    with (
        proxy.cutting(dsn, share=0.1, seed=SEED) as cut,
        ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as processes,
    ):
        running = [processes.submit(contender.contend, f"{SEED}.{n}", cut.url, dsn) for n in range(PROCESSES)]
        for each in running:
            told += each.result(60)
    return told, cut.cuts


async def test_a_fought_over_log_stays_true(fought, dsn):
    told, cuts = fought
    answers = Counter(each.answer for each in told)
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "select notification_id, originator_id, originator_version, metadata, recorded_at "
            "from stored_events order by notification_id"
        ).fetchall()
        receipts = connection.execute("select key, stream_id, version, position from receipts").fetchall()

    # The fight was one: every kind of answer and of cut took place, and no outcome stayed unknown.
    kinds = {"Accepted", "Replayed", "VersionConflict", "ClaimTaken", "Moved", "TooLarge"}
    assert answers.keys() == kinds
    assert cuts.keys() == {proxy.UNSENT, proxy.UNANSWERED, proxy.COMMITTED}

    assert [position for position, *_ in rows] == list(range(1, len(rows) + 1)), "positions are dense"
    assert all(a[4] <= b[4] for a, b in pairwise(rows)), "time never goes back"
    accepted = {each.request_id: each for each in told if each.answer == "Accepted"}
    stored: dict = {}
    versions: dict = {}
    for request, group in groupby(rows, key=lambda row: msgspec.json.decode(row[3])["request_id"]):
        assert request in accepted, "nothing else is in the log"
        assert request not in stored, "the events of one command stand together, once"
        stored[request] = [(stream, version, position) for position, stream, version, *_ in group]
        for stream, version in accepted[request].reads:
            assert versions.get(stream, 0) == version, "what a command relied on was so when it was stored"
        for stream, version, _ in stored[request]:
            assert version == versions.get(stream, 0) + 1, "versions are dense in each stream"
            versions[stream] = version
    assert stored.keys() == accepted.keys(), "what was accepted is in the log"
    for request, events in stored.items():
        each = accepted[request]
        assert len(events) == each.events
        assert events[-1] == (each.stream_id, each.version, each.position)

    keyed = {each.key: each for each in accepted.values() if each.key is not None}
    assert len(keyed) == sum(each.key is not None for each in accepted.values()), "a key is accepted once"
    assert sorted(receipts) == sorted((k, e.stream_id, e.version, e.position) for k, e in keyed.items())

    async with open_store(dsn) as (_, log):
        opened = await log.open(await log.read(0, len(rows)))
        names = [each.event.management for each in opened if isinstance(each.event, OrganisationAdded)]
        assert set(names) == {None, Management(name="Anna")}, "what was sealed opens"

    assert await guard_check.verify(dsn, WRAPPING) == [], "guards equal what the log says"
