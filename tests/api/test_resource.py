"""Information resources over HTTP."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from application.access import system
from application.context import Context
from domain.postal_index.commands import LoadPostalIndex
from domain.postal_index.events import PostalCode
from infrastructure.first_start import first_start

pytestmark = pytest.mark.anyio
RIGHTS = "organisation:view", "resource:view", "resource:create", "resource:edit", "resource:retire"


async def added(client, place, **fields):
    body = {"organisation_id": place.rpartition("/")[2], "name": "Registry", **fields}
    answer = await client.post("/resources", json=body)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"].removeprefix("/api/v1")


def code(answer):
    return answer.status_code, answer.json()["code"]


async def test_a_resource_is_added_changed_and_retired(office):
    place, clerk = await office.organisation(), await office.user(*RIGHTS)
    path = await added(clerk.client, place, category=1, ip_pool="10.0.0.0/24")
    changed = await clerk.client.patch(path, json={"is_okii": True, "ip_pool": None})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"v2"')
    shown = (await clerk.client.get(path)).json()
    assert (shown["category"], shown["is_okii"], shown["ip_pool"], shown["state"]) == (
        1,
        True,
        None,
        "active",
    )
    history = (await clerk.client.get(f"{path}/history")).json()["data"]
    assert [each["topic"] for each in history] == ["resource.added.v1", "resource.changed.v1"]
    assert (await clerk.client.post(f"{path}/retire", json={"reason": "replaced"})).status_code == 200
    async with office.nothing_stored():
        assert (await clerk.client.post(f"{path}/retire")).status_code == 200
        assert code(await clerk.client.patch(path, json={"name": "X"})) == (409, "resource.retired")
    ids = [each["id"] for each in (await clerk.client.get("/resources")).json()["data"]]
    assert path.rpartition("/")[2] not in ids


async def test_regions_follow_from_the_address_and_are_filtered_by(office):
    index = LoadPostalIndex(import_id=uuid4(), number=1, codes=(PostalCode(code="644099", region_code="55"),))
    await office.system.postal_index.load(index, Context(caller=system(), request_id="test"))
    place = await office.organisation()
    path = await added(office.admin, place, address="644099, г. Омск, ул. Ленина 1")
    await added(office.admin, place, address="nowhere")
    assert (await office.admin.get(path)).json()["region_codes"] == ["55"]
    found = await office.admin.get("/resources", params={"filter": "region:55"})
    assert [each["id"] for each in found.json()["data"]] == [path.rpartition("/")[2]]


async def test_industries_are_those_that_are_listed(office):
    await first_start(office.system)
    industries = (await office.admin.get("/industries")).json()["data"]
    place = await office.organisation()
    path = await added(office.admin, place, industry_ids=[industries[1]["id"]])
    assert (await office.admin.get(path)).json()["industry_ids"] == [industries[1]["id"]]
    async with office.nothing_stored():
        wrong = await office.admin.patch(path, json={"industry_ids": [industries[0]["id"], str(uuid4())]})
    assert code(wrong) == (422, "resource.industry_unknown")
    assert [error["pointer"] for error in wrong.json()["errors"]] == ["/industry_ids/1"]


async def test_dates_are_not_in_the_future(office):
    place = await office.organisation()
    day = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    body = {"organisation_id": place.rpartition("/")[2], "name": "X", "fstec_added_on": day}
    async with office.nothing_stored():
        answer = await office.admin.post("/resources", json=body)
    assert code(answer) == (422, "resource.invalid")


async def test_each_command_takes_its_right_within_the_organisation(office):
    place, elsewhere = await office.organisation(), await office.organisation(full_name="Beta")
    path = await added(office.admin, place)
    reader, clerk, stranger = await office.user("resource:view"), await office.user(), await office.user()
    for right in RIGHTS:
        office.grant(clerk.id, right, scope=("organisation", place.rpartition("/")[2]))
    async with office.nothing_stored():
        for answer in (
            await reader.client.patch(path, json={"name": "X"}),
            await reader.client.post(f"{path}/retire"),
        ):
            assert code(answer) == (403, "forbidden")
        body = {"organisation_id": elsewhere.rpartition("/")[2], "name": "X"}
        assert code(await clerk.client.post("/resources", json=body)) == (404, "organisation.unknown")
        assert (await stranger.client.get(path)).status_code == 404
        assert code(await stranger.client.patch(path, json={"name": "X"})) == (404, "resource.unknown")
    assert (await clerk.client.patch(path, json={"name": "X"})).status_code == 200
    assert len((await clerk.client.get("/resources")).json()["data"]) == 1


async def test_an_archived_organisation_gets_no_resources(office):
    place = await office.organisation()
    await office.admin.post(f"{place}/archive")
    body = {"organisation_id": place.rpartition("/")[2], "name": "X"}
    async with office.nothing_stored():
        assert code(await office.admin.post("/resources", json=body)) == (409, "organisation.archived")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": "X", "category": 4}, "/category"),
        ({"name": "X", "category": "1"}, "/category"),
        ({"name": "X", "fstec_reg_number": "x" * 16}, "/fstec_reg_number"),
        ({"name": "X", "industry_ids": ["science"]}, "/industry_ids/0"),
        ({"name": "X", "regions": ["77"]}, "/regions"),
    ],
)
async def test_bad_fields_are_named(office, body, pointer):
    place = await office.organisation()
    async with office.nothing_stored():
        answer = await office.admin.post(
            "/resources", json={"organisation_id": place.rpartition("/")[2], **body}
        )
    assert (answer.status_code, [error["pointer"] for error in answer.json()["errors"]]) == (400, [pointer])
