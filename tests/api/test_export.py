"""Exports over HTTP: what one may view of a list, as one moment has it, in a file; made by the job that follows."""

import csv
import hashlib
import os
import re
import signal
import sys
import zipfile
from contextlib import asynccontextmanager
from io import BytesIO, StringIO
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from application.reactions import RUN_EXPORT_WHEN_REQUESTED
from domain.export.events import ExportRequested
from infrastructure.embedded.children import Child, end, wait_until
from infrastructure.event_store import new_id
from infrastructure.exports.lists import listings
from infrastructure.object_parts import StoreUnavailable
from infrastructure.operations import MOST_ATTEMPTS, Taken
from infrastructure.settings import environment
from tests import office as offices
from tests import servers
from tests.api.test_internal import client_of, code
from tests.waiting import until
from workers import operations

pytestmark = pytest.mark.anyio
VIEW = "organisation:view"
EXPORTER = Path(__file__).parents[1] / "exporter.py"


@pytest.fixture(scope="module")
async def office(cluster, nats_server, object_store):
    """One API for all tests here, with an object store."""
    with servers.database(cluster) as addresses:
        async with offices.opened(addresses, nats_server.url, **object_store.settings) as opened:
            yield opened


async def requested(client, form="csv", **body):
    """The path of a new export."""
    answer = await client.post("/exports", json={"list": "organisations", "format": form, **body})
    assert answer.status_code == 202, answer.text
    return answer.headers["location"].removeprefix("/api/v1")


def taken(path, attempt=1):
    about = {"export_id": path.rpartition("/")[2]}
    return Taken(id=new_id(), kind="export.run", about=about, attempt=attempt)


async def made(office, client, form="csv", **body):
    """The path of an export whose job has run."""
    path = await requested(client, form, **body)
    await client.get(path)  # read models follow
    await operations.export_run(office.system, taken(path))
    return path


async def content(client, path):
    answer = await client.get(f"{path}/content")
    assert answer.status_code == 200, answer.text
    return answer.content


def table(data):
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(StringIO(data.decode("utf-8-sig"), newline="")))


async def test_an_export_is_asked_for_made_and_downloaded(office):
    await office.organisation(full_name="Экспорт один", identifiers={"inn": "7707083893"})
    await office.organisation(full_name="Экспорт два")
    path = await requested(office.admin, filter='name:"экспорт"', order_by="full_name")
    before = (await office.admin.get(path)).json()
    assert (before["state"], before["counts"], before["content"]) == ("requested", None, None)
    assert code(await office.admin.get(f"{path}/content")) == (409, "export.not_ready")
    await operations.export_run(office.system, taken(path))
    shown = (await office.admin.get(path)).json()
    data = await content(office.admin, path)
    assert shown["state"] == "completed"
    assert shown["counts"] == {"rows": 2, "bytes": len(data)}
    assert shown["sha256"] == hashlib.sha256(data).hexdigest()
    assert shown["content"] == f"/api/v1{path}/content"
    assert [row["full_name"] for row in table(data)] == ["Экспорт два", "Экспорт один"]
    assert [row["identifiers.inn"] for row in table(data)] == ["", "7707083893"]
    assert data.count(b"\r\n") == 3


async def test_who_took_what_out_is_in_the_log(office):
    clerk = await office.user(VIEW)
    path = await made(office, clerk.client, filter="region=55", fields="id,full_name")
    events = await office.system.recorded(UUID(path.rpartition("/")[2]))
    assert [each.topic for each in events] == ["export.requested.v1", "export.completed.v1"]
    asked = events[0].event
    assert (asked.list, asked.format, asked.filter, asked.fields) == (
        "organisations",
        "csv",
        "region=55",
        ("id", "full_name"),
    )
    assert events[0].metadata.actor.id == asked.requested_by == clerk.id
    assert events[0].metadata.allowed_by
    assert events[1].event.rows == 0
    assert b"region=55" not in events[0].state, "what one types is sealed under one's own key"


def test_a_job_follows_from_the_request():
    event = ExportRequested(list="users", format="csv", requested_by=UUID(int=1), requested_as="user")
    recorded = type("Recorded", (), {"event": event, "stream_id": UUID(int=2)})
    (effect,) = RUN_EXPORT_WHEN_REQUESTED.then(recorded)
    assert (effect.kind, effect.about) == ("export.run", {"export_id": str(UUID(int=2))})
    assert operations.named(effect.kind) is operations.export_run


async def test_ndjson_is_the_list_line_by_line(office):
    for number in range(3):
        await office.organisation(full_name=f"Ligne {number}", headcount_band="01")
    asked = {"filter": "name:ligne", "order_by": "full_name desc"}
    path = await made(office, office.admin, "ndjson", **asked)
    page = await office.admin.get("/organisations", params=asked)
    lines = (await content(office.admin, path)).splitlines()
    assert [msgspec.json.decode(line) for line in lines] == page.json()["data"]
    only = await made(office, office.admin, "ndjson", **asked, fields="id,full_name")
    assert [list(msgspec.json.decode(line)) for line in (await content(office.admin, only)).splitlines()] == [
        ["id", "full_name"]
    ] * 3


async def test_a_workbook_has_the_same_rows(office):
    await office.organisation(full_name="Classeur Ёлка", started_on="2020-01-31")
    path = await made(office, office.admin, "xlsx", filter="name:classeur", fields="full_name,started_on")
    answer = await office.admin.get(f"{path}/content")
    assert answer.headers["content-type"].endswith("spreadsheetml.sheet")
    assert answer.headers["content-disposition"].startswith('attachment; filename="organisations-')
    with zipfile.ZipFile(BytesIO(answer.content)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
    assert re.findall(r"<t [^>]*>([^<]*)</t>", sheet) == [
        "full_name",
        "started_on",
        "Classeur Ёлка",
        "2020-01-31",
    ]


async def test_no_cell_is_a_formula(office):
    for start in "=+-@＝":
        await office.organisation(full_name=f'{start}Harm("a";b)', short_name="harmful")
    rows = table(await content(office.admin, await made(office, office.admin, filter="short_name=harmful")))
    assert sorted(row["full_name"] for row in rows) == sorted(f'\'{start}Harm("a";b)' for start in "=+-@＝")


async def test_an_export_has_what_the_requester_may_view_when_it_is_made(office):
    here, elsewhere = [await office.organisation(short_name="scoped") for _ in range(2)]
    clerk = await office.user()
    grant = office.grant(clerk.id, VIEW, scope=("organisation", here.rpartition("/")[2]))
    path = await made(office, clerk.client, filter="short_name=scoped", fields="id")
    assert [row["id"] for row in table(await content(clerk.client, path))] == [here.rpartition("/")[2]]
    office.revoke(grant)
    office.grant(clerk.id, VIEW, scope=("organisation", elsewhere.rpartition("/")[2]))
    assert code(await clerk.client.get(f"{path}/content")) == (403, "forbidden")
    assert (await clerk.client.get(path)).status_code == 200


async def test_hidden_fields_are_neither_written_nor_asked_by(office):
    clerk = await office.user()
    path = await made(office, clerk.client, list="users", filter=f"id={clerk.id}")
    (row,) = table(await content(clerk.client, path))
    assert row["id"] == str(clerk.id)
    assert not {"email", "phone"} & row.keys()
    async with office.nothing_stored():
        body = {"list": "users", "format": "csv", "filter": "email:example"}
        assert code(await clerk.client.post("/exports", json=body)) == (400, "filter_unknown_field")
        body = {"list": "users", "format": "csv", "fields": "id,email"}
        assert code(await clerk.client.post("/exports", json=body)) == (400, "fields_unknown")


async def test_without_the_right_to_view_there_is_no_export(office):
    nobody = await office.user()
    async with office.nothing_stored():
        answer = await nobody.client.post("/exports", json={"list": "organisations", "format": "csv"})
        assert (*code(answer), answer.json()["required"]) == (403, "forbidden", VIEW)
        assert code(await nobody.client.post("/exports", json={"list": "api-clients", "format": "csv"})) == (
            403,
            "forbidden",
        )
        assert (
            await office.stranger.post("/exports", json={"list": "regions", "format": "csv"})
        ).status_code == 401


async def test_a_right_taken_away_before_the_job_runs_fails_the_export(office):
    clerk = await office.user()
    grant = office.grant(clerk.id, VIEW)
    path = await requested(clerk.client)
    office.revoke(grant)
    await operations.export_run(office.system, taken(path))
    shown = (await clerk.client.get(path)).json()
    assert (shown["state"], shown["error"]) == ("failed", "forbidden")
    assert code(await clerk.client.get(f"{path}/content")) == (409, "export.failed")


async def test_who_was_blocked_meanwhile_gets_nothing(office):
    clerk = await office.user(VIEW)
    path = await requested(clerk.client)
    await office.admin.post("/auth/step-up", json={"password": offices.PASSWORD})
    blocked = await office.admin.post(f"/users/{clerk.id}/block", json={"reason": "left"})
    assert blocked.status_code == 200, blocked.text
    await operations.export_run(office.system, taken(path))
    shown = (await office.admin.get(path)).json()
    assert (shown["state"], shown["error"]) == ("failed", "export.requester_gone")


async def test_an_api_client_exports_too_and_others_do_not_know_of_it(office):
    headers = await client_of(office)
    client_id = (await office.admin.get("/api-clients", params={"page_size": 1})).json()["data"][0]["id"]
    office.grant(UUID(client_id), VIEW, kind="client")
    answer = await office.stranger.post(
        "/exports", json={"list": "organisations", "format": "ndjson"}, headers=headers
    )
    assert answer.status_code == 202, answer.text
    path = answer.headers["location"].removeprefix("/api/v1")
    await office.admin.get(path)
    await operations.export_run(office.system, taken(path))
    assert (await office.stranger.get(f"{path}/content", headers=headers)).status_code == 200
    other = await office.user(VIEW)
    assert (await other.client.get(path)).status_code == 404
    assert (await other.client.get(f"{path}/content")).status_code == 404
    mine = await office.stranger.get("/exports", headers=headers)
    assert [each["id"] for each in mine.json()["data"]] == [path.rpartition("/")[2]]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"list": "secrets"}, 400, "export.list_unknown"),
        ({"list": "organisations", "filter": "regin=77"}, 400, "filter_unknown_field"),
        ({"list": "organisations", "filter": "region=77 AND inn=1 OR inn=2"}, 400, "filter_ambiguous"),
        ({"list": "organisations", "filter": "region=("}, 400, "filter_malformed"),
        ({"list": "organisations", "filter": "is_gov=perhaps"}, 400, "filter_wrong_type"),
        ({"list": "organisations", "order_by": "nothing"}, 400, "order_by_unknown_field"),
        ({"list": "organisations", "order_by": "inn sideways"}, 400, "order_by_malformed"),
        ({"list": "organisations", "fields": "id,nothing"}, 400, "fields_unknown"),
        ({"list": "organisations", "fields": "id,,inn"}, 400, "fields_unknown"),
        ({"list": "organisations", "format": "pdf"}, 400, "body.invalid"),
        ({"list": "organisations", "page_size": 5}, 400, "body.invalid"),
        ({"list": "sessions"}, 400, "export.list_unknown"),
        ({"list": ""}, 400, "body.invalid"),
    ],
)
async def test_what_cannot_be_listed_cannot_be_exported(office, body, status, said):
    async with office.nothing_stored():
        assert code(await office.admin.post("/exports", json={"format": "csv", **body})) == (status, said)


async def test_every_list_there_is_can_be_exported_as_it_is_listed(office):
    assert {"organisations", "contacts", "contracts", "resources", "users", "grants", "regions"} <= set(
        listings()
    )
    await office.organisation()
    for name in listings():
        if name == "documents":  # listed by organisation
            continue
        page = await office.admin.get(f"/{name}", params={"page_size": 100})
        assert page.status_code == 200, name
        path = await made(office, office.admin, "ndjson", list=name)
        lines = (await content(office.admin, path)).splitlines()
        assert [msgspec.json.decode(line) for line in lines][:100] == page.json()["data"], name
        path = await made(office, office.admin, list=name)
        assert len(table(await content(office.admin, path))) == len(lines), name


async def test_every_list_that_one_may_page_through_says_who_views_it(office):
    """So that a new one is exported, too. A person's own things are not, nor the search over lists that are, nor the
    audit log, which has its own."""
    document = (await office.stranger.get("http://testserver/openapi.json")).json()
    paged = {
        path.removeprefix("/api/v1/")
        for path, item in document["paths"].items()
        if any(each.get("name") == "page_token" for each in item.get("get", {}).get("parameters", ()))
    }
    whole = {path for path in paged if "{" not in path}
    own = {"auth/sessions", "dialogs", "exports", "audit/entries", "imports", "lookups/egrul", "search"}
    assert whole - own == set(listings()) - {"documents"}


async def test_a_repeated_request_is_one_export(office):
    key = {"Idempotency-Key": "monthly"}
    body = {"list": "organisations", "format": "csv"}
    first = await office.admin.post("/exports", json=body, headers=key)
    async with office.nothing_stored():
        again = await office.admin.post("/exports", json=body, headers=key)
    assert (again.status_code, again.headers["location"]) == (202, first.headers["location"])
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_job_done_twice_leaves_one_file_that_counts(office, object_store):
    path = await made(office, office.admin, filter="name:nothing-of-the-kind")
    shown = (await office.admin.get(path)).json()
    before = object_store.names
    await operations.export_run(office.system, taken(path, 2))
    assert (await office.admin.get(path)).json() == shown
    assert object_store.names == before


async def test_of_two_attempts_at_once_the_first_counts_and_the_other_leaves_nothing(office, object_store):
    path, before = await requested(office.admin), set(object_store.names)

    class Slow:
        """What the object store is to a worker that was frozen just before it could say that it is done."""

        def __getattr__(self, name):
            return getattr(office.system.objects, name)

        async def store(self, object_id, pieces):
            await office.system.objects.store(object_id, pieces)
            await operations.export_run(office.system, taken(path, 2))

    await operations.export_run(replaced(office.system, objects=Slow()), taken(path, 1))
    assert len(set(object_store.names) - before) == 1
    assert (await office.admin.get(f"{path}/content")).status_code == 200


async def test_when_a_worker_is_killed_in_the_middle_another_attempt_makes_one_file(
    office, object_store, tmp_path
):
    await office.organisation()
    path, before, begun = await requested(office.admin), set(object_store.names), tmp_path / "begun"
    await office.admin.get(path)
    ours = {name: value for name, value in os.environ.items() if not name.startswith("CHANCERY_")}
    here = {"PYTHONPATH": str(EXPORTER.parents[1])}
    worker = Child("jobs", tmp_path, log=tmp_path / "log")
    worker.start(
        [sys.executable, str(EXPORTER), path.rpartition("/")[2], str(begun)],
        ours | environment(office.system.settings) | here,
    )
    try:
        await until(begun.exists)
        end(worker.pid, signal.SIGKILL)
        assert wait_until(worker.died, 5)
    finally:
        worker.stop(5)
    assert (await office.admin.get(path)).json()["state"] == "requested"
    await operations.export_run(office.system, taken(path, 2))
    assert (await office.admin.get(f"{path}/content")).status_code == 200
    assert len(set(object_store.names) - before) == 1


def replaced(system, **fields):
    return type("System", (), {**vars(system), "url": system.url, **fields})()


@asynccontextmanager
async def away(object_store):
    object_store.kill()
    try:
        yield
    finally:
        object_store.start()


async def test_while_the_object_store_is_away_it_is_tried_again_and_given_up_at_last(office, object_store):
    kept, lost = await requested(office.admin), await requested(office.admin)
    async with away(object_store):
        with pytest.raises(StoreUnavailable):
            await operations.export_run(office.system, taken(kept))
        with pytest.raises(StoreUnavailable):
            await operations.export_run(office.system, taken(lost, MOST_ATTEMPTS))
    assert (await office.admin.get(kept)).json()["state"] == "requested"
    assert (await office.admin.get(lost)).json()["error"] == "export.given_up"
    await operations.export_run(office.system, taken(kept, 2))
    assert (await office.admin.get(f"{kept}/content")).status_code == 200


async def test_a_dry_run_stores_nothing(office):
    async with office.nothing_stored():
        answer = await office.admin.post(
            "/exports", json={"list": "users", "format": "csv"}, params={"dry_run": "true"}
        )
    assert (answer.status_code, answer.json()["events"][0]["topic"]) == (200, "export.requested.v1")
