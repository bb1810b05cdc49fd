"""The audit log over HTTP: entries for those who may, hashes for everybody, and proofs that hold on their own."""

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
import pytest

from infrastructure.audit.export import HttpSource, export_lines
from infrastructure.audit.proof import check
from infrastructure.audit.report import Verdict
from infrastructure.audit.signed_note import parse_vkey
from infrastructure.audit.verify import Examiner
from infrastructure.personal_data import Wrapping
from projections.leaf import unbundle
from projections.merkle import verify_consistency
from workers import signer

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(client: httpx.AsyncClient, dsn: str) -> AsyncIterator[httpx.AsyncClient]:
    """Signed in as the administrator, with a signer at work and three organisations."""
    task = asyncio.create_task(signer.run(dsn, Wrapping(bytes(32)), "chancery.example/audit"))
    try:
        for name in ("Alpha", "Beta", "Gamma"):
            (await client.post("/organisations", json={"full_name": name})).raise_for_status()
        yield client
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def added(client: httpx.AsyncClient, name: str) -> int:
    return int((await client.post("/organisations", json={"full_name": name})).headers["x-event-position"])


async def test_an_entry_says_who_did_what_from_where_in_whose_right(client):
    position = await added(client, "Delta")
    answer = await client.get(f"/audit/entries/{position}", headers={"X-Min-Position": str(position)})
    entry = answer.json()
    assert (entry["position"], entry["topic"], entry["version"]) == (position, "organisation.added.v1", 1)
    assert (entry["actor"]["kind"], entry["allowed_by"]) == ("user", "role:admin")
    assert entry["address"]
    assert entry["data"]["full_name"] == "Delta"
    assert len(b64decode(entry["leaf_hash"])) == 32
    assert int(answer.headers["x-projection-position"]) >= position


async def test_entries_are_found_by_what_people_ask_for(client):
    position = await added(client, "Delta")
    newest = {"X-Min-Position": str(position)}
    entry = (await client.get(f"/audit/entries/{position}", headers=newest)).json()
    for asked in (
        f"subject={entry['stream_id']}",
        f"request_id={entry['request_id']}",
        f"position={position}",
        f"actor={entry['actor']['id']} AND topic=organisation.added.v1 AND position>={position}",
    ):
        found = (await client.get("/audit/entries", params={"filter": asked}, headers=newest)).json()
        assert [each["position"] for each in found["data"]] == [position], asked
    names, token = [], None
    while token is not None or not names:
        params = {"page_size": 3, "fields": "position,topic"} | ({"page_token": token} if token else {})
        page = (await client.get("/audit/entries", params=params, headers=newest)).json()
        names += page["data"]
        token = page["next_page_token"]
    assert [each["position"] for each in names] == list(range(position, 0, -1))
    assert set(names[0]) == {"position", "topic"}


async def test_a_fresh_entry_is_proved_offline(client):
    position = await added(client, "Delta")
    answer = await client.get(f"/audit/entries/{position}/proof")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    bundle = await client.get(f"/audit/tile/entries/000.p/{position}")
    leaf = unbundle(bundle.content)[-1]
    [key] = (await client.get("/audit/keys")).json()["data"]
    head = check(answer.text, leaf, [parse_vkey(key["vkey"])])
    assert (head.origin, head.size >= position) == ("chancery.example/audit", True)


async def test_one_size_is_proved_to_continue_another(client):
    position = await added(client, "Delta")
    answer = await client.get(
        "/audit/consistency", params={"from": 2, "to": position}, headers={"X-Min-Position": str(position)}
    )
    found = answer.json()
    roots = [b64decode(found[name]) for name in ("from_root", "to_root")]
    assert verify_consistency(2, position, *roots, [b64decode(part) for part in found["proof"]])
    assert (await client.get("/audit/consistency", params={"from": 9, "to": 2})).status_code == 404
    assert (await client.get("/audit/consistency", params={"from": -1, "to": 2})).status_code == 400


async def test_a_whole_log_is_verified_through_the_server(client):
    position = await added(client, "Delta")
    await client.get(f"/audit/entries/{position}/proof")
    examiner = Examiner()
    client.base_url = client.base_url.join("audit/")
    async for lines in export_lines(HttpSource(client)):
        for line in lines.splitlines(keepends=True):
            examiner.take(line)
    report = examiner.report()
    assert (report.verdict, report.findings) == (Verdict.OK, ())
    assert report.entries >= position


async def test_hashes_are_open_and_entries_are_not(client):
    position = await added(client, "Delta")
    await client.get(f"/audit/entries/{position}/proof")
    del client.headers["authorization"]
    checkpoint = await client.get("/audit/checkpoint")
    assert checkpoint.headers["content-type"] == "text/plain; charset=utf-8"
    tile = await client.get(f"/audit/tile/0/000.p/{position}")
    assert (tile.status_code, len(tile.content)) == (200, position * 32)
    assert tile.headers["content-type"] == "application/octet-stream"
    assert "immutable" in tile.headers["cache-control"]
    assert (await client.get("/audit/keys")).status_code == 200
    for closed in (
        "entries",
        "entries/1",
        "entries/1/proof",
        "consistency?from=1&to=2",
        "tile/entries/000.p/1",
    ):
        assert (await client.get(f"/audit/{closed}")).status_code == 401, closed


ABSENT = """
    tile/0/000 tile/0/0 tile/00/000.p/1 tile/0/000.p/256 tile/64/000 tile/x/000 tile/entries/999
    entries/0 entries/999999 entries/x entries/99999999999999999999 entries/0/proof entries/99999/proof
"""


async def test_what_is_not_there_is_404(client):
    answers = {path: (await client.get(f"/audit/{path}")).status_code for path in ABSENT.split()}
    assert answers == dict.fromkeys(answers, 404)
