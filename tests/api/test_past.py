"""The past of a record: who changed what, what it was, and what changed between two moments."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from projections.organisation import DERIVED

pytestmark = pytest.mark.anyio


@pytest.fixture
async def place(office):
    """Added, then changed twice by a clerk, then archived; with another organisation's event in between."""
    clerk = await office.user("organisation:edit", "organisation:view", "organisation:archive")
    place = await office.organisation(full_name="Alpha", identifiers={"tax_id": "1"})
    await clerk.client.patch(place, json={"full_name": "Beta", "identifiers": {"tax_id": "2"}})
    await office.organisation()
    await clerk.client.patch(place, json={"short_name": "B"})
    await clerk.client.post(f"{place}/archive", json={"reason": "Closed"})
    return place


async def history(office, place) -> list[dict]:
    answer = await office.admin.get(f"{place}/history")
    assert answer.status_code == 200
    return answer.json()["data"]


def changes(entry: dict) -> dict[str, tuple]:
    return {each["field"]: (each["from"], each["to"]) for each in entry["changes"]}


async def test_history_says_who_when_what_from_where_to_where_and_why(office, place):
    added, changed, named, archived = await history(office, place)
    assert [each["version"] for each in (added, changed, named, archived)] == [1, 2, 3, 4]
    assert [each["topic"].split(".")[1] for each in (added, changed, named, archived)] == [
        "added",
        "changed",
        "changed",
        "archived",
    ]
    assert changes(added)["full_name"] == (None, "Alpha")
    assert changes(changed) == {
        "full_name": ("Alpha", "Beta"),
        "identifiers": ({"tax_id": "1"}, {"tax_id": "2"}),
    }
    assert changes(named) == {"short_name": (None, "B")}
    assert changes(archived) == {"state": ("active", "archived")}
    assert (archived["reason"], added["reason"]) == ("Closed", None)
    assert added["actor"]["kind"] == "user"
    assert added["actor"]["id"] != changed["actor"]["id"]
    assert (added["allowed_by"], changed["allowed_by"]) == ("role:admin", changed["allowed_by"])
    assert added["position"] < changed["position"] < named["position"] - 1
    assert all(
        each["request_id"] and each["at"] and each["event_id"] for each in (added, changed, named, archived)
    )


async def test_a_record_is_shown_as_it_was_by_version_position_and_instant(office, place):
    entries = await history(office, place)
    for entry, name, short, state in zip(
        entries,
        ("Alpha", "Beta", "Beta", "Beta"),
        (None, None, "B", "B"),
        ("active", "active", "active", "archived"),
        strict=True,
    ):
        for moment in (f"v{entry['version']}", str(entry["position"]), entry["at"]):
            answer = await office.admin.get(place, params={"as_of": moment})
            then = answer.json()
            assert (then["full_name"], then["short_name"], then["state"]) == (name, short, state)
            assert (then["version"], then["position"]) == (entry["version"], entry["position"])
            assert answer.headers["etag"].startswith(f'"v{entry["version"]}-')
    between = await office.admin.get(place, params={"as_of": entries[2]["position"] - 1})
    assert between.json()["version"] == 2, "another record's event in between changes nothing"


async def test_the_last_moment_is_the_present_and_so_is_the_future(office, place):
    present = (await office.admin.get(place)).json()
    later = (datetime.now(UTC) + timedelta(days=999)).isoformat()
    for moment in ("v4", "v99", str(10**17), later, "9999-12-31T23:59:59.999999Z"):
        answer = await office.admin.get(place, params={"as_of": moment})
        told = {name: value for name, value in present.items() if name not in DERIVED}
    assert answer.json() == told, "what other records decide, its own past does not tell"


async def test_before_it_was_there_it_was_not_there(office, place):
    entries = await history(office, place)
    before = datetime.fromisoformat(entries[0]["at"]) - timedelta(microseconds=1)
    for moment in ("0", str(entries[0]["position"] - 1), before.isoformat(), "0001-01-01T00:00:00Z"):
        answer = await office.admin.get(place, params={"as_of": moment})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_an_instant_is_read_in_any_offset(office, place):
    at = datetime.fromisoformat((await history(office, place))[1]["at"])
    elsewhere = at.astimezone(tz=datetime.strptime("+0545", "%z").tzinfo)
    assert (await office.admin.get(place, params={"as_of": elsewhere.isoformat()})).json()["version"] == 2
    unescaped = await office.admin.get(f"{place}?as_of={elsewhere.isoformat()}")
    assert (unescaped.status_code, "%2B" in unescaped.json()["hint"]) == (400, True)


MALFORMED = [
    "",
    "yesterday",
    "v",
    "v0",
    "v-1",
    "V1",
    "-1",
    "1.5",
    "9" * 19,
    "٣",
    "2026-03-01",
    "2026-03-01T00:00:00",
    "2026-13-01T00:00:00Z",
    "2026-03-01T00:00:00+99:00",
    "20260301T000000Z",
    "v1\n",
    "x" * 5000,
    "'; drop table x",
]


@pytest.mark.parametrize("moment", MALFORMED)
async def test_what_is_no_moment_is_refused(office, moment):
    place = await office.organisation()
    for path, asked in (
        (place, {"as_of": moment}),
        (f"{place}/diff", {"from": moment, "to": "v1"}),
        (f"{place}/diff", {"from": "v1", "to": moment}),
    ):
        answer = await office.admin.get(path, params=asked)
        assert (answer.status_code, answer.json()["code"]) == (400, "query.moment_malformed")


async def test_a_difference_is_told_between_any_two_moments(office, place):
    entries = await history(office, place)

    async def diff(start, end):
        answer = await office.admin.get(f"{place}/diff", params={"from": start, "to": end})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        return (body["from"], body["to"]), changes(body)

    forwards = {"full_name": ("Alpha", "Beta"), "identifiers": ({"tax_id": "1"}, {"tax_id": "2"})}
    assert await diff("v1", "v2") == ((1, 2), forwards)
    assert await diff(entries[0]["at"], entries[1]["position"]) == ((1, 2), forwards)
    back = {name: (after, before) for name, (before, after) in forwards.items()}
    assert await diff("v2", "v1") == ((2, 1), back)
    assert await diff("v3", "v3") == ((3, 3), {})
    versions, found = await diff("0", "v99")
    assert versions == (0, 4)
    assert (found["full_name"], found["state"]) == ((None, "Beta"), (None, "archived"))


@pytest.mark.parametrize("asked", ["", "?from=v1", "?to=v1"])
async def test_a_difference_needs_two_moments(office, place, asked):
    answer = await office.admin.get(f"{place}/diff{asked}")
    assert (answer.status_code, answer.json()["code"]) == (400, "query.invalid")
    assert {each["code"] for each in answer.json()["errors"]} == {"missing"}


async def test_what_never_was_has_no_past(office):
    for read in ("?as_of=v1", "/history", "/diff?from=v1&to=v1"):
        answer = await office.admin.get(f"/organisations/{uuid4()}{read}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
