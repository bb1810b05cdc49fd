"""Permission snapshots over HTTP: fresh, comparable, and kept by those who ask with an ETag."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from tests.api.test_grant import given

pytestmark = pytest.mark.anyio

SNAPSHOT = "/me/permissions/snapshot"


async def taken(person, **headers):
    answer = await person.client.get(SNAPSHOT, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


async def test_a_snapshot_says_what_one_may_do(office):
    anna = await office.user()
    here = str(uuid4())
    await given(
        office.admin, anna.id, "contract:sign", ("organisation", here), expires_at="2999-01-01T00:00:00Z"
    )
    await given(office.admin, anna.id, "audit:view")
    answer = await taken(anna)
    body = answer.json()
    assert body["permissions"] == [
        {"scope_type": "global", "scope_id": "*", "module": "audit", "action": "view"},
        {"scope_type": "global", "scope_id": "*", "module": "user", "action": "view"},
        {
            "scope_type": "organisation",
            "scope_id": here,
            "module": "contract",
            "action": "sign",
            "expires_at": "2999-01-01T00:00:00Z",
        },
    ]
    assert (body["sub"], body["next_change_at"]) == (str(anna.id), "2999-01-01T00:00:00Z")
    assert answer.headers["x-projection-position"] == str(body["position"])


async def test_it_is_the_same_until_something_of_it_changes(office):
    anna = await office.user()
    first = await taken(anna)
    await office.organisation()
    later = await taken(anna)
    assert later.json() == first.json() | {"position": later.json()["position"]}
    assert later.json()["position"] > first.json()["position"]
    tag = {"If-None-Match": first.headers["etag"]}
    same = await anna.client.get(SNAPSHOT, headers=tag)
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", first.headers["etag"])
    other = await (await office.user()).client.get(SNAPSHOT, headers=tag)
    assert other.status_code == 200


async def test_versions_grow_with_every_change(office):
    anna = await office.user()
    versions = [(await taken(anna)).json()["version"]]
    made = await given(office.admin, anna.id, "contract:sign")
    versions.append((await taken(anna)).json()["version"])
    await given(office.admin, anna.id, "contract:sign", expires_at="2999-01-01T00:00:00Z")
    versions.append((await taken(anna)).json()["version"])
    revoked = await office.admin.post(f"/grants/{made['id']}/revoke", json={"reason": "left"})
    versions.append((await taken(anna)).json()["version"])
    assert versions == sorted(set(versions))
    assert versions[-1] == revoked.json()["position"]


async def test_what_was_revoked_is_gone_from_the_next_answer_on(office):
    anna = await office.user()
    made = await given(office.admin, anna.id, "contract:sign")
    before = await taken(anna)
    revoked = (await office.admin.post(f"/grants/{made['id']}/revoke", json={"reason": "left"})).json()
    after = await taken(
        anna, **{"If-None-Match": before.headers["etag"], "X-Min-Position": str(revoked["position"])}
    )
    assert [each["action"] for each in after.json()["permissions"]] == ["view"]


async def test_a_position_that_was_never_given_is_not_waited_for(office):
    answer = await office.admin.get(SNAPSHOT, headers={"X-Min-Position": str(await office.head() + 1000)})
    assert (answer.status_code, answer.json()["code"]) == (400, "position.unknown")


async def test_a_department_carries_rights_to_its_members(office):
    sales = uuid4()
    anna = await office.user(department_id=sales)
    office.grant(sales, "contract:view", kind="department")
    assert ("contract", "view") in {
        (each["module"], each["action"]) for each in (await taken(anna)).json()["permissions"]
    }


async def test_an_administrator_holds_the_whole_catalogue(office):
    catalogue = (await office.admin.get("/permissions/catalogue")).json()["data"]
    held = (await office.admin.get(SNAPSHOT)).json()["permissions"]
    listed = {(module["module"], action) for module in catalogue for action in module["actions"]}
    assert {(each["module"], each["action"]) for each in held} == listed
    assert {"contract", "grant", "user", "organisation"} <= {module["module"] for module in catalogue}


async def test_a_stranger_holds_nothing(office):
    for path in (SNAPSHOT, "/permissions/catalogue"):
        assert (await office.stranger.get(path)).status_code == 401


async def test_a_right_begins_and_ends_by_the_clock(office):
    anna = await office.user()
    start = datetime.now(UTC) + timedelta(seconds=0.3)
    end = start + timedelta(seconds=0.3)
    await given(
        office.admin, anna.id, "contract:sign", not_before=start.isoformat(), expires_at=end.isoformat()
    )
    seen = []
    async with asyncio.timeout(10):
        while not seen or seen[-1][1] is not None:
            body = (await taken(anna)).json()
            there = "sign" in {each["action"] for each in body["permissions"]}
            if not seen or seen[-1] != (there, body["next_change_at"]):
                seen.append((there, body["next_change_at"]))
    assert [there for there, _ in seen] == [False, True, False]
    assert [at and datetime.fromisoformat(at) for _, at in seen] == [start, end, None]
