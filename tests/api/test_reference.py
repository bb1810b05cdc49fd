"""Reference data over HTTP: loaded when Chancery starts for the first time, and open to all who have signed in."""

import pytest

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
