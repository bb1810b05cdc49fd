"""Whoever asks with a key leaves a trace, also where he only reads; and waits for it never."""

import asyncio
from uuid import UUID

import pytest

from tests.serving import keep_key_uses
from tests.waiting import until

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", autouse=True)
async def keeping(office):
    keep_key_uses(office.system)


@pytest.fixture
async def client(office):
    """An API client, and the headers it asks with."""
    made = (await office.admin.post("/api-clients", json={"name": "A reader"})).raise_for_status().json()
    headers = {"X-Client-Key": made["client_key"], "X-API-Key": made["api_key"]}
    return made["id"], headers | {"User-Agent": "reader/1.0", "X-Request-Id": "first-one"}


async def uses(office, client_id) -> list[dict]:
    wanted = {"filter": f"actor={client_id} AND topic=key_use.noted.v1"}
    return (await office.admin.get("/audit/entries", params=wanted)).json()["data"]


async def test_a_program_that_only_reads_is_in_the_log_with_its_key_and_from_where(office, client):
    client_id, headers = client
    assert (await office.stranger.get("/me/permissions/snapshot", headers=headers)).status_code == 200
    await until(lambda: uses(office, client_id))
    (entry,) = await uses(office, client_id)
    assert entry["actor"] == {"kind": "client", "id": client_id}
    assert (entry["client"], entry["request_id"], entry["agent"]) == (client_id, "first-one", "reader/1.0")
    assert entry["address"]
    assert entry["allowed_by"] == f"key:{entry['data']['key_id']}"
    assert entry["data"]["routes"] == {"GET /api/v1/me/permissions/snapshot": 1}
    shown = (await office.admin.get(f"/api-clients/{client_id}")).json()
    assert [each["key_id"] for each in shown["keys"]] == [entry["data"]["key_id"]]
    assert headers["X-API-Key"] not in str(entry)
    stored = office.owner.execute(
        "select convert_from(metadata, 'utf8') from stored_events where notification_id = %s",
        (entry["position"],),
    ).fetchone()[0]
    assert "reader/1.0" not in stored
    assert entry["address"] not in stored


async def test_nobody_waits_for_it_and_a_query_writes_nothing(office, client, monkeypatch):
    client_id, headers = client
    journal, goes_on = office.system.key_uses._journal, asyncio.Event()
    append = journal._execute

    async def held_up(*told, **more):
        await goes_on.wait()
        return await append(*told, **more)

    monkeypatch.setattr(journal, "_execute", held_up)
    async with office.nothing_stored():
        answers = await asyncio.gather(
            *(office.stranger.get("/me/permissions/snapshot", headers=headers) for _ in range(20))
        )
    assert {answer.status_code for answer in answers} == {200}
    goes_on.set()
    await until(lambda: uses(office, client_id))
    (entry,) = await uses(office, client_id)
    later = [
        tally.routes.total()
        for used, tally in office.system.key_uses._tallies.items()
        if used.client_id == UUID(client_id)
    ]
    assert entry["data"]["requests"] + sum(later) == 20


async def test_a_use_that_was_refused_is_none(office, client):
    client_id, headers = client
    (
        await office.admin.patch(f"/api-clients/{client_id}", json={"allowed_ips": ["192.0.2.1"]})
    ).raise_for_status()
    assert (await office.stranger.get("/me/permissions/snapshot", headers=headers)).status_code == 403
    assert UUID(client_id) not in {each.client_id for each in office.system.key_uses._tallies}
    assert await uses(office, client_id) == []
