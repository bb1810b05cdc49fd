"""Servers go away while people work: commands wait or are told to come back, and nothing is lost or done twice."""

import asyncio
from collections import Counter
from uuid import uuid4

import psycopg
import pytest

from api import readiness
from tests.serving import ADMIN, PASSWORD

pytestmark = pytest.mark.anyio

CALLERS, COMMANDS, CUTS = 16, 12, 6


@pytest.fixture
def cut(office):
    """Ends every connection to this database but the one that asks."""
    with psycopg.connect(office.addresses.admin, autocommit=True) as admin:
        yield (
            lambda: (
                admin.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where datname = current_database() and pid <> pg_backend_pid()"
                ).rowcount
            )
        )


async def test_commands_go_on_while_nats_is_away(office, nats_server):
    nats_server.kill()
    try:
        place = await office.organisation()
        for answer in await asyncio.gather(
            *(office.admin.patch(place, json={"region_code": str(n)}) for n in range(8)),
        ):
            assert answer.status_code == 200
        newest = {"X-Min-Position": str(await office.head())}
        assert (await office.admin.get(place, headers=newest)).json()["version"] == 9
    finally:
        nats_server.start()


async def test_connections_cut_under_load_lose_nothing_and_double_nothing(office, cut):
    before, told = await office.head(), Counter()
    kept: dict[str, str] = {}

    async def work(caller: int) -> None:
        for number in range(COMMANDS):
            name, key = f"{caller} {number}", {"Idempotency-Key": uuid4().hex}
            while True:
                answer = await office.admin.post("/organisations", json={"full_name": name}, headers=key)
                told[answer.status_code] += 1
                if answer.status_code == 201:
                    break
                assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), answer.text
                assert answer.headers["retry-after"] == "1"
            kept[name] = answer.json()["id"]
            shown = await office.admin.get("/me")
            assert shown.status_code == 200 or (shown.status_code, shown.headers["retry-after"]) == (503, "1")

    async def cutting() -> None:
        done = 0
        while done < CUTS:
            goal = len(kept) + CALLERS
            while len(kept) < goal and any(not each.done() for each in working):
                await asyncio.wait(working, timeout=0.01)
            assert cut() > 0
            done += 1

    office.transport.follows = False
    try:
        working = [asyncio.create_task(work(caller)) for caller in range(CALLERS)]
        await asyncio.gather(cutting(), *working)
    finally:
        office.transport.follows = True
    assert len(kept) == CALLERS * COMMANDS == told[201]
    assert await office.head() == before + CALLERS * COMMANDS
    office.owner = psycopg.connect(office.addresses.owner, autocommit=True)
    with office.owner as owner:
        stored = owner.execute(
            "select originator_id::text, originator_version from stored_events where notification_id > %s",
            (before,),
        ).fetchall()
    assert sorted(stored) == sorted((each, 1) for each in kept.values())


@pytest.fixture
def shut(office, cut):
    """Shuts the database for everybody, and opens it again."""
    name = psycopg.conninfo.conninfo_to_dict(office.addresses.admin)["dbname"]
    beside = psycopg.conninfo.make_conninfo(office.addresses.admin, dbname="template1")
    with psycopg.connect(beside, autocommit=True) as admin:

        def allow(how: str) -> None:
            admin.execute(f"alter database {name} allow_connections {how}")

        def close() -> None:
            allow("false")
            cut()

        yield close, lambda: allow("true")
        allow("true")


async def test_a_database_that_stays_away_is_told_in_time_and_comes_back_by_itself(office, shut, monkeypatch):
    close, reopen = shut
    (await office.admin.get("/me")).raise_for_status()  # whose table is there then
    monkeypatch.setattr(office.system.store._writer, "_patience", 0.3)
    monkeypatch.setattr(readiness, "STALE", 0.2)
    monkeypatch.setattr(office.system.pool, "timeout", 0.3)
    place, before = await office.organisation(), await office.head()
    office.transport.follows = False
    key, beyond = {"Idempotency-Key": uuid4().hex}, {"X-Min-Position": str(before + 1)}
    close()
    try:
        refused = await asyncio.gather(
            office.admin.get(place),
            office.admin.get(f"{place}/history"),
            office.admin.get("/organisations", headers=beyond),
            office.admin.post("/organisations", json={"full_name": "Later"}, headers=key),
            office.admin.patch(place, json={"short_name": "A"}),
            office.admin.patch(place, json={}),
            office.stranger.post("/auth/login", json={"login": ADMIN, "password": PASSWORD}),
        )
        ready = await office.stranger.get("http://testserver/readyz")
    finally:
        reopen()
    for answer in refused:
        assert (answer.status_code, answer.headers.get("retry-after")) == (503, "1"), answer.text
        assert answer.json()["code"] == "unavailable"
        assert "FATAL" not in answer.text
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    assert (await office.stranger.get("http://testserver/healthz")).status_code == 200

    async with asyncio.timeout(10):
        for ask in (
            lambda: office.admin.post("/organisations", json={"full_name": "Later"}, headers=key),
            lambda: office.admin.get(f"{place}/history"),
            lambda: office.admin.get("/me"),
        ):
            while (answer := await ask()).status_code == 503:
                await office.system.positions.beyond(10**18, seconds=0.05)
            assert answer.status_code in (200, 201)
    office.transport.follows = True
    assert await office.head() == before + 1
