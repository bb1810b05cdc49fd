"""A record whose stream is parked is not shown as if it were whole; lists, its past and commands go on."""

from uuid import UUID, uuid4

import pytest

from infrastructure.positions import Parked as NotWhole
from infrastructure.postgres import connect
from projections.organisation import ORGANISATIONS
from tests.waiting import until
from workers.check import Findings, _models
from workers.forgetting import StillParked, forget_contact, forget_user
from workers.parked import Parked, keep
from workers.rebuild import rebuild

pytestmark = pytest.mark.anyio


@pytest.fixture
async def waiting(office):
    """An organisation that waits from its second event on, and the position of that."""
    place = await office.organisation(full_name="Parked")
    await office.admin.get(place)
    changed = await office.admin.patch(place, json={"short_name": "P"})
    position = changed.json()["position"]
    record = UUID(place.rpartition("/")[2])
    poison = Parked(stream_id=record, position=position, event_id=uuid4(), failure="a test said so")
    async with await connect(office.system.url) as connection:
        await keep(connection, "organisation", "read", poison)
        await until(lambda: office.system.positions.parked.get("organisation"))
        yield place, position
        await connection.execute("delete from parked_streams")
        await connection.execute(
            "update projections set fence = gen_random_uuid() where name = 'organisation'"
        )
    await until(lambda: not office.system.positions.parked)


def problem(answer):
    return answer.status_code, answer.json().get("code")


async def test_the_record_is_refused_with_the_position_it_is_whole_at(office, waiting):
    place, position = waiting
    for asked in ({}, {"X-Min-Position": str(position)}):
        answer = await office.admin.get(place, headers=asked)
        assert problem(answer) == (503, "projection_behind")
        assert answer.json()["projection_position"] == position - 1
        assert answer.headers["retry-after"] == "60"
        assert "waits until somebody has mended" in answer.json()["detail"]


async def test_all_others_are_shown_and_a_list_says_that_something_waits(office, waiting):
    place, _ = waiting
    other = await office.organisation(full_name="Beside it")
    assert (await office.admin.get(other)).status_code == 200
    listed = await office.admin.get("/organisations", params={"filter": "name:parked", "page_size": 100})
    assert listed.status_code == 200
    assert listed.headers["x-projection-parked"] == "1"
    shown = {each["id"]: each for each in listed.json()["data"]}
    assert shown[place.rpartition("/")[2]]["short_name"] is None, "as it was before it was parked"
    elsewhere = await office.admin.get("/departments")
    assert "x-projection-parked" not in elsewhere.headers


async def test_its_past_is_told_as_far_as_it_is_whole(office, waiting):
    place, position = waiting
    for then in ("v1", str(position - 1)):
        answer = await office.admin.get(place, params={"as_of": then})
        assert (answer.status_code, answer.json()["short_name"]) == (200, None)
    same = await office.admin.get(f"{place}/diff", params={"from": "v1", "to": "v1"})
    assert (same.status_code, same.json()["changes"]) == (200, [])
    beyond = [
        await office.admin.get(place, params={"as_of": "v2"}),
        await office.admin.get(place, params={"as_of": str(position)}),
        await office.admin.get(f"{place}/diff", params={"from": "v1", "to": "v2"}),
        await office.admin.get(f"{place}/history"),
    ]
    assert {problem(each) for each in beyond} == {(503, "projection_behind")}


async def test_who_may_not_see_it_learns_nothing_of_its_past(office, waiting):
    place, _ = waiting
    nobody = await office.user()
    for path, asked in ((place, {"as_of": "v1"}), (f"{place}/diff", {"from": "v1", "to": "v1"})):
        assert (await nobody.client.get(path, params=asked)).status_code == 404


async def test_commands_go_on_and_a_search_still_finds_it(office, waiting):
    place, _ = waiting
    receipt = await office.admin.patch(place, json={"short_name": "Q"})
    assert (receipt.status_code, receipt.json()["version"]) == (200, 3)
    found = await office.admin.get("/search", params={"q": "parked"})
    assert place.rpartition("/")[2] in {each["id"] for each in found.json()["data"]}


async def test_the_feed_goes_on_and_hides_what_nobody_knows_to_be_his(office, waiting):
    place, position = waiting
    clerk = await office.user("events:read", scope=("organisation", place.rpartition("/")[2]))
    fed = await clerk.client.get("/events", params={"after": position - 2, "limit": 2})
    assert fed.status_code == 200, fed.text
    assert [(each["position"], each["hidden"]) for each in fed.json()["data"]] == [
        (position - 1, True),
        (position, True),
    ]
    everything = await office.admin.get("/events", params={"after": position - 1, "limit": 1})
    assert everything.json()["data"][0]["topic"] == "organisation.changed.v1"


async def test_the_daily_check_says_what_is_lacking(office, waiting):
    findings = Findings()
    async with await connect(office.system.url) as connection:
        await _models(connection, findings)
    assert findings.told == ["read model organisation lacks what 1 parked stream(s) say"]


async def test_built_again_it_is_shown_whole(office, waiting):
    place, position = waiting
    await rebuild(office.system.url, office.system.log, ORGANISATIONS)
    answer = await office.admin.get(place, headers={"X-Min-Position": str(position)})
    assert (answer.status_code, answer.json()["short_name"]) == (200, "P")
    listed = await office.admin.get("/organisations")
    assert "x-projection-parked" not in listed.headers


async def test_what_is_not_there_yet_because_it_waits_is_no_404(office):
    record = uuid4()
    async with await connect(office.system.url) as connection:
        await office.admin.get("/departments")
        poison = Parked(stream_id=record, position=7, event_id=uuid4(), failure="")
        await keep(connection, "department", "read", poison)
        with pytest.raises(NotWhole) as raised:
            await office.system.records["department"](record)
        assert raised.value.position == 6
        assert problem(await office.admin.get(f"/departments/{record}")) == (503, "projection_behind")
        await connection.execute("delete from parked_streams")
    assert (await office.admin.get(f"/departments/{record}")).status_code == 404


async def test_nobody_is_forgotten_by_what_does_not_tell_all_that_is_his(office):
    await office.admin.get("/departments")
    async with await connect(office.system.url) as connection:
        for model, forget in (("export", forget_contact), ("file", forget_user)):
            poison = Parked(stream_id=uuid4(), position=1, event_id=uuid4(), failure="")
            await keep(connection, model, "read", poison)
            await until(lambda model=model: office.system.positions.parked.get(model))
            with pytest.raises(StillParked, match=f"streams of {model} are parked"):
                await forget(office.system, uuid4(), 1)
            await connection.execute("delete from parked_streams")
            await until(lambda: not office.system.positions.parked)
