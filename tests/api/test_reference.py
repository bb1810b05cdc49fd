"""Reference data over HTTP: loaded when Chancery starts for the first time, and open to all who have signed in."""

from uuid import uuid4

import pytest

from application.access import system
from application.context import Context
from domain.postal_index.commands import LoadPostalIndex
from domain.postal_index.events import PostalCode
from infrastructure.first_start import first_start

pytestmark = pytest.mark.anyio


async def test_a_fresh_installation_has_it_and_a_later_start_loads_nothing(office):
    await first_start(office.system)
    async with office.nothing_stored():
        await first_start(office.system)
    user = await office.user()
    counted = {
        path: (await user.client.get(path, params={"include_total": True})).json()["total"]
        for path in ("/okrugs", "/regions", "/industries")
    }
    assert counted == {"/okrugs": 8, "/regions": 86, "/industries": 13}


async def test_it_is_listed_by_code_and_filtered_like_every_list(office):
    await first_start(office.system)
    first = (await office.admin.get("/regions", params={"page_size": 2})).json()
    assert [each["code"] for each in first["data"]] == ["01", "02"]
    assert first["has_more"]
    far_east = await office.admin.get("/regions", params={"filter": 'okrug=8 AND name:"чукот"'})
    assert [(each["code"], each["name"]) for each in far_east.json()["data"]] == [
        ("87", "Чукотский автономный округ")
    ]
    none = await office.admin.get("/regions", params={"filter": "okrug=null"})
    assert [each["code"] for each in none.json()["data"]] == ["99"]


async def test_strangers_do_not_read_it_and_nobody_writes_it(office):
    assert (await office.stranger.get("/regions")).status_code == 401
    async with office.nothing_stored():
        answer = await office.admin.post("/regions", json={"code": "00", "name": "Atlantis"})
    assert (answer.status_code, "POST" in answer.headers["allow"]) == (405, False)


async def test_postal_codes_are_found_by_code_and_by_place(office):
    omsk = PostalCode(code="644000", region_code="55", locality="ОМСК")
    tver = PostalCode(code="170000", region_code="69", locality="ТВЕРЬ")
    batch = LoadPostalIndex(import_id=uuid4(), number=1, codes=(omsk, tver))
    for _ in range(2):
        await office.system.postal_index.load(batch, Context(caller=system(), request_id="test"))
    user = await office.user()
    (found,) = (await user.client.get("/addresses", params={"index": "644000"})).json()["data"]
    assert (found["code"], found["region_code"], found["locality"]) == ("644000", "55", "ОМСК")
    by_place = await user.client.get("/addresses", params={"filter": "region=69 AND locality:тверь"})
    assert [each["code"] for each in by_place.json()["data"]] == ["170000"]
    assert (await user.client.get("/addresses", params={"index": "000000"})).json()["data"] == []
