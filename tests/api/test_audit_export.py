"""Exports of the log over HTTP: asked for with a proof, made by a job, verified offline by whoever trusts nobody."""

import asyncio
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import httpx
import msgspec
import pytest

from infrastructure.audit.report import Verdict
from infrastructure.audit.verify_file import examined
from infrastructure.bootstrap import clock
from infrastructure.event_store import new_id
from infrastructure.operations import Taken
from infrastructure.personal_data import Wrapping
from infrastructure.postgres import connect
from tests import office as offices
from tests import servers
from tests.api.test_internal import code
from tests.api.test_step_up import age
from workers import operations
from workers.signer import sign_once

pytestmark = pytest.mark.anyio
VERIFIER = Path(__file__).parents[2] / "docs" / "verify" / "verify_export.py"


@pytest.fixture(scope="module")
async def office(cluster, nats_server, object_store):
    """One API for all tests here, with an object store."""
    with servers.database(cluster) as addresses:
        async with offices.opened(addresses, nats_server.url, **object_store.settings) as opened:
            yield opened


async def signed(office) -> int:
    """Everything that is stored is signed; how many entries that are."""
    await office.admin.get("/audit/entries?page_size=1")  # read models follow
    async with await connect(office.addresses.app) as connection:
        await sign_once(connection, Wrapping(bytes(32)), "chancery.example/audit")
    note = (await office.admin.get("/audit/checkpoint")).text
    return int(note.split("\n")[1])


async def requested(client: httpx.AsyncClient, **body) -> str:
    answer = await client.post("/audit/exports", json=body)
    assert answer.status_code == 202, answer.text
    return answer.headers["location"].removeprefix("/api/v1")


async def run(office, path: str) -> None:
    await office.admin.get(path)  # read models follow
    taken = Taken(id=new_id(), kind="export.run", about={"export_id": path.rpartition("/")[2]}, attempt=1)
    await operations.export_run(office.system, taken)


async def made(office, client: httpx.AsyncClient, **body) -> bytes:
    path = await requested(client, **body)
    await run(office, path)
    answer = await client.get(f"{path}/content")
    assert answer.status_code == 200, answer.text
    return answer.content


def entries(content: bytes) -> list[int]:
    """The positions that a file has."""
    return [msgspec.json.decode(line)["i"] + 1 for line in content.splitlines() if line.startswith(b'{"i":')]


def verified(content: bytes) -> Verdict:
    return examined(iter(content.splitlines(keepends=True))).verdict


async def test_the_whole_log_is_asked_for_made_and_verified_offline(office, tmp_path):
    await office.organisation()
    size = await signed(office)
    path = await requested(office.admin)
    waiting = (await office.admin.get(path)).json()
    assert (waiting["state"], waiting["list"], waiting["format"], waiting["content"]) == (
        *("requested", "audit", "ndjson"),
        None,
    )
    assert code(await office.admin.get(f"{path}/content")) == (409, "export.not_ready")
    await run(office, path)
    there = (await office.admin.get(path)).json()
    assert (there["state"], there["true_at"], there["counts"]["rows"]) == ("completed", size, size)
    assert there["content"] == f"/api/v1{path}/content"
    answer = await office.admin.get(f"{path}/content")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert verified(answer.content) is Verdict.OK
    assert entries(answer.content) == list(range(1, size + 1))
    file = tmp_path / "log.ndjson"
    file.write_bytes(answer.content)
    words = [sys.executable, VERIFIER, file]
    ran = await asyncio.to_thread(subprocess.run, words, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


async def test_an_export_is_an_event_itself_with_who_and_what(office):
    await signed(office)
    auditor = await office.user("audit:export", "audit:view")
    path = await requested(auditor.client, **{"from": 1, "to": 2, "topic": ["user"]})
    wanted = f"subject={path.rpartition('/')[2]}"
    [entry] = (await auditor.client.get("/audit/entries", params={"filter": wanted})).json()["data"]
    assert (entry["topic"], entry["actor"]["id"]) == ("export.requested.v1", str(auditor.id))
    assert entry["data"]["selection"] == {"first": 1, "last": 2, "topic": ["user"]}
    await run(office, path)
    found = (await auditor.client.get("/audit/entries", params={"filter": wanted})).json()["data"]
    assert [each["topic"] for each in found] == ["export.completed.v1", "export.requested.v1"]


async def test_a_range_and_what_fits_are_proved_one_by_one(office):
    place = await office.organisation(full_name="Selected")
    size = await signed(office)
    some = await made(office, office.admin, **{"from": 2, "to": 4})
    assert (entries(some), verified(some)) == ([2, 3, 4], Verdict.OK)
    record = place.rpartition("/")[2]
    about = await made(office, office.admin, subject=[record])
    assert (len(entries(about)), verified(about)) == (1, Verdict.OK)
    none = await made(office, office.admin, topic=["organisation.archived"], request_id=["nobody"])
    assert (entries(none), verified(none)) == ([], Verdict.OK)
    late = await made(office, office.admin, **{"from": (clock() - timedelta(hours=1)).isoformat()})
    assert entries(late)[-1] >= size
    assert verified(late) is Verdict.OK


async def test_a_line_taken_away_twice_there_or_in_another_place_is_found(office):
    await signed(office)
    whole = await made(office, office.admin)
    part = await made(office, office.admin, **{"from": 2, "to": 5})
    for content in (whole, part):
        lines = content.splitlines(keepends=True)
        for doctored in (
            [*lines[:2], *lines[3:]],
            [*lines[:2], lines[2], *lines[2:]],
            [lines[0], lines[2], lines[1], *lines[3:]],
        ):
            assert verified(b"".join(doctored)) is Verdict.TAMPERED


@pytest.mark.parametrize(
    "bounds", [{"from": 900_000, "to": 900_001}, {"from": 5, "to": 3}, {"from": "2199-01-01T00:00:00Z"}]
)
async def test_where_there_is_nothing_it_says_so_and_there_is_no_file(office, bounds):
    await signed(office)
    path = await requested(office.admin, **bounds)
    await run(office, path)
    view = (await office.admin.get(path)).json()
    assert (view["state"], view["error"], view["content"]) == ("failed", "export.nothing_there", None)
    assert code(await office.admin.get(f"{path}/content")) == (409, "export.failed")


@pytest.mark.parametrize(
    "body",
    [
        {"from": 0},
        {"from": -1},
        {"to": 2**63},
        {"from": "yesterday"},
        {"from": "2026-01-01"},
        {"from": "2026-01-01T00:00:00"},
        {"from": 1.5},
        {"from": []},
        {"topic": "user"},
        {"topic": [""]},
        {"topic": ["x" * 129]},
        {"topic": ["x"] * 51},
        {"subject": ["nobody"]},
        {"first": 1},
        {"filter": "position>1"},
    ],
)
async def test_what_is_no_selection_is_refused_and_nothing_stored(office, body):
    async with office.nothing_stored():
        assert code(await office.admin.post("/audit/exports", json=body)) == (400, "body.invalid")


async def test_it_takes_the_right_everywhere_and_a_fresh_proof(office):
    nobody = await office.user("audit:view")
    of_one = await office.user("audit:export", scope=("organisation", str(new_id())))
    async with office.nothing_stored():
        for person in (nobody, of_one):
            answer = await person.client.post("/audit/exports", json={})
            assert code(answer) == (403, "forbidden")
            assert answer.json()["required"] == "audit:export"
        assert (await office.stranger.post("/audit/exports", json={})).status_code == 401
    late = await office.user("audit:export")
    age(office, late)
    async with office.nothing_stored():
        assert code(await late.client.post("/audit/exports", json={})) == (401, "step_up_required")
        assert (await late.client.post("/audit/exports?dry_run=true", json={})).status_code == 200


async def test_the_file_is_its_requesters_and_goes_with_his_right(office):
    """A16: whose right is for one organisation, or whose export it is not, learns nothing, not even how much it is."""
    await signed(office)
    auditor, other = await office.user(), await office.user("audit:export")
    right = office.grant(auditor.id, "audit:export")
    path = await requested(auditor.client)
    await run(office, path)
    of_one = await office.user("audit:export", scope=("organisation", str(new_id())))
    for tail in ("", "/content"):
        assert (await other.client.get(f"{path}{tail}")).status_code == 404
        answer = await of_one.client.get(f"{path}{tail}")
        assert code(answer) == (403, "forbidden")
        assert "counts" not in answer.text
        assert (await auditor.client.get(f"{path}{tail}")).status_code == 200
        assert (await office.admin.get(f"{path}{tail}")).status_code == 200
        assert (await auditor.client.get(f"/exports/{path.rpartition('/')[2]}{tail}")).status_code == 404
    office.revoke(right)
    for tail in ("", "/content"):
        assert code(await (await office.signed_in(auditor.email)).get(f"{path}{tail}")) == (403, "forbidden")


async def test_who_lost_the_right_before_the_job_runs_gets_no_file(office):
    await signed(office)
    auditor = await office.user()
    right = office.grant(auditor.id, "audit:export")
    path = await requested(auditor.client)
    office.revoke(right)
    await run(office, path)
    view = (await office.admin.get(path)).json()
    assert (view["state"], view["error"]) == ("failed", "forbidden")


async def test_one_key_is_one_export(office):
    header = {"Idempotency-Key": str(new_id())}
    first = await office.admin.post("/audit/exports", json={"from": 1}, headers=header)
    async with office.nothing_stored():
        again = await office.admin.post("/audit/exports", json={"from": 1}, headers=header)
        other = await office.admin.post("/audit/exports", json={"from": 2}, headers=header)
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert code(other) == (422, "idempotency_key_reused")


async def test_the_file_is_gone_after_a_day(office, monkeypatch):
    await signed(office)
    monkeypatch.setattr("infrastructure.exports.exporting.KEPT_FOR", timedelta(seconds=-1))
    path = await requested(office.admin)
    await run(office, path)
    assert (await office.admin.get(path)).json()["state"] == "expired"
    assert code(await office.admin.get(f"{path}/content")) == (404, "export.expired")


async def test_the_log_is_no_list_of_exports(office):
    async with office.nothing_stored():
        answer = await office.admin.post("/exports", json={"list": "audit", "format": "ndjson"})
        assert code(answer) == (400, "export.list_unknown")


async def test_what_looks_like_a_line_or_a_formula_is_stored_as_it_is_and_breaks_no_line(office):
    names = [
        "=HYPERLINK(0)",
        "two\r\nlines",
        "\x1b[31mred\x1b[0m",
        "line\u2028separator",
        '{"i":0,"leaf":"","hash":""}\n{"block":0}',
    ]
    places = [(await office.organisation(full_name=name)).rpartition("/")[2] for name in names]
    await signed(office)
    content = await made(office, office.admin, subject=places)
    assert verified(content) is Verdict.OK
    lines = content.splitlines()
    assert len(lines) == len(names) + 2, "the head, an entry each, the end"
    for name, place in zip(names, places, strict=True):
        assert (await office.admin.get(f"/organisations/{place}")).json()["full_name"] == name
    async with office.nothing_stored():
        answer = await office.admin.post("/organisations", json={"full_name": "a\x00b"})
        assert code(answer) == (400, "body.malformed")
