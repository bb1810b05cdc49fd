"""Permission snapshots over HTTP: fresh, comparable, and kept by those who ask with an ETag."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from tests.api.test_grant import given, terms

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
    start = datetime.now(UTC) + timedelta(seconds=1.5)
    end = start + timedelta(seconds=1)
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


# --- modules of other systems ------------------------------------------------------------------------------------


def module():
    return {"module": f"tw{uuid4().hex[:8]}", "actions": ["view", "edit"], "scope_types": ["site"]}


async def test_rights_to_another_systems_module_are_granted_in_its_own_scopes(office):
    anna, tw = await office.user(), module()
    made = await office.admin.post("/permissions/catalogue", json=tw)
    async with office.nothing_stored():
        again = await office.admin.post("/permissions/catalogue", json=tw | {"actions": ["edit", "view"]})
    assert (made.status_code, again.status_code, again.json()) == (201, 200, made.json())
    listed = (await office.admin.get("/permissions/catalogue")).json()["data"]
    assert {
        "module": tw["module"],
        "actions": ["edit", "view"],
        "scope_types": ["global", "site"],
        "foreign": True,
    } in listed
    right = f"{tw['module']}:edit"
    await given(office.admin, anna.id, right, ("site", "tw-main"))
    held = (await taken(anna)).json()["permissions"]
    assert ("site", "tw-main", tw["module"]) in {
        (each["scope_type"], each["scope_id"], each["module"]) for each in held
    }
    held = (await office.admin.get(SNAPSHOT)).json()["permissions"]
    assert right in {f"{each['module']}:{each['action']}" for each in held if each["scope_type"] == "global"}
    for wrong, scope in (
        (right, ("organisation", str(uuid4()))),
        (right, ("site", "*")),
        (right, ("site", "a b")),
        (f"{tw['module']}:delete", ("site", "tw-main")),
    ):
        answer = await office.admin.post("/grants", json=terms(anna.id, wrong, scope))
        assert (answer.status_code, answer.json()["code"]) == (422, "grant.invalid"), wrong


async def test_a_module_is_registered_again_as_the_catalogue_lists_it(office):
    tw = module()
    made = await office.admin.post("/permissions/catalogue", json=tw)
    listed = (await office.admin.get("/permissions/catalogue")).json()["data"]
    shown = next(each for each in listed if each["module"] == tw["module"])
    del shown["foreign"]
    async with office.nothing_stored():
        again = await office.admin.post("/permissions/catalogue", json=shown)
    assert (again.status_code, again.json()) == (200, made.json())
    everywhere = await office.admin.post(
        "/permissions/catalogue", json=module() | {"scope_types": ["global"]}
    )
    assert everywhere.status_code == 201


async def test_an_action_that_was_taken_out_is_granted_no_more(office):
    anna, tw = await office.user(), module()
    before = (await office.admin.get(SNAPSHOT)).json()["version"]
    await office.admin.post("/permissions/catalogue", json=tw)
    changed = await office.admin.post("/permissions/catalogue", json=tw | {"actions": ["view"]})
    assert changed.status_code == 200
    assert (await office.admin.get(SNAPSHOT)).json()["version"] == changed.json()["position"] > before
    body = terms(anna.id, f"{tw['module']}:edit", ("site", "tw-main"))
    assert (await office.admin.post("/grants", json=body)).status_code == 422


async def test_modules_are_registered_by_administrators_and_never_over_ours(office):
    anna = await office.user(role="moderator")
    assert (await anna.client.post("/permissions/catalogue", json=module())).status_code == 403
    answer = await office.admin.post("/permissions/catalogue", json=module() | {"module": "contract"})
    assert (answer.status_code, answer.json()["code"]) == (409, "module.own")
    answer = await office.admin.post("/permissions/catalogue", json=module() | {"scope_types": ["own"]})
    assert (answer.status_code, answer.json()["code"]) == (422, "module.invalid")
    for name in ("*", "a:b", "Tw", "t w", ""):
        answer = await office.admin.post("/permissions/catalogue", json=module() | {"module": name})
        assert (answer.status_code, answer.json()["code"]) == (400, "body.invalid")
