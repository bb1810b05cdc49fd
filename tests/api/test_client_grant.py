"""Rights that other systems' programs give and take, to people as an issuer calls them."""

import asyncio
from uuid import UUID, uuid4

import pytest

from domain.user.events import person_id
from tests.api.test_internal import client_of, code

pytestmark = pytest.mark.anyio

GRANT, REVOKE = "/admin/permissions/grant", "/admin/permissions/revoke"


@pytest.fixture
async def portal(office):
    """The headers of an API client without any right."""
    return await client_of(office)


@pytest.fixture
async def module(office):
    """A module of another system, registered."""
    name = f"tw{uuid4().hex[:8]}"
    made = await office.admin.post(
        "/permissions/catalogue", json={"module": name, "actions": ["edit", "view"], "scope_types": ["site"]}
    )
    assert made.status_code == 201
    return name


def right(module, sub=None, **more):
    return {
        "sub": sub or uuid4().hex,
        "scope_type": "site",
        "scope_id": "tw-main",
        "module": module,
        "action": "view",
        **more,
    }


async def grant(office, client, body, **headers):
    return await office.stranger.post(GRANT, json=body, headers=client | headers)


async def revoke(office, client, body, **headers):
    return await office.stranger.post(REVOKE, json=body, headers=client | headers)


async def held(office, client, sub):
    answer = await office.stranger.get(f"/internal/permissions/{sub}/snapshot", headers=client)
    return {
        (each["scope_type"], each["scope_id"], each["module"], each["action"])
        for each in answer.json()["permissions"]
    }


async def test_a_grant_for_an_unknown_subject_makes_the_user(office, portal, module):
    body = right(module, email=f"{uuid4().hex}@example.org", display_name="Ann Lee")
    made = await grant(office, portal, body)
    assert made.status_code == 201, made.text
    assert made.json() == {"permission_id": made.json()["permission_id"], "result": "granted"}
    user = (await office.admin.get(f"/users/{person_id('default', body['sub'])}")).json()
    assert (user["email"], user["display_name"]) == (body["email"], "Ann Lee")
    assert ("site", "tw-main", module, "view") in await held(office, portal, body["sub"])
    there = (await office.admin.get(f"/grants/{made.json()['permission_id']}")).json()
    assert there["subject"] == {"type": "user", "id": user["id"]}


async def test_twice_is_one_grant_and_says_who_gave_it(office, portal, module):
    body = right(module)
    first = await grant(office, portal, body)
    async with office.nothing_stored():
        second = await grant(office, portal, body)
    assert (second.status_code, second.json()) == (200, first.json())
    grant_id = first.json()["permission_id"]
    (given,) = (await office.admin.get(f"/grants/{grant_id}/history")).json()["data"]
    assert given["actor"]["kind"] == "client"
    assert given["allowed_by"] == "client"
    (recorded,) = await office.system.recorded(UUID(grant_id))
    assert recorded.metadata.client_id == recorded.metadata.actor.id


async def test_twenty_at_once_are_one_user_and_one_grant(office, portal, module):
    body = right(module)
    before = await office.head()
    answers = await asyncio.gather(*(grant(office, portal, body) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200, 201}
    assert len({answer.json()["permission_id"] for answer in answers}) == 1
    assert await office.head() == before + 2


async def test_what_was_given_is_taken_once(office, portal, module):
    body = right(module)
    given = (await grant(office, portal, body)).json()
    taken = await revoke(office, portal, body)
    assert (taken.status_code, taken.json()) == (200, {"deleted": 1, "result": "revoked"})
    assert ("site", "tw-main", module, "view") not in await held(office, portal, body["sub"])
    for again in (body, body | {"action": "edit"}, body | {"module": "never-heard-of"}):
        async with office.nothing_stored():
            answer = await revoke(office, portal, again)
        assert (answer.status_code, answer.json()) == (200, {"deleted": 0, "result": "revoked"})
    back = await grant(office, portal, body)
    assert (back.status_code, back.json()) == (201, given), "after a revoke it is given anew, under its id"


async def test_nothing_is_taken_from_somebody_unknown(office, portal, module):
    async with office.nothing_stored():
        answer = await revoke(office, portal, right(module))
    assert code(answer) == (404, "user_not_found")


async def test_a_grant_lets_nobody_in_again(office, portal, module):
    body = right(module)
    await grant(office, portal, body)
    user_id = person_id("default", body["sub"])
    for verb, told, reason, back in (
        ("block", "user.blocked", {"reason": "left"}, "unblock"),
        ("deactivate", "user.deactivated", {}, "reactivate"),
    ):
        assert (await office.admin.post(f"/users/{user_id}/{verb}", json=reason)).status_code == 200
        async with office.nothing_stored():
            answer = await grant(office, portal, body | {"action": "edit", "display_name": "New"})
        assert code(answer) == (409, told)
        assert (await revoke(office, portal, body | {"action": "edit"})).json()["deleted"] == 0
        assert (await office.admin.post(f"/users/{user_id}/{back}")).status_code == 200
    assert (await grant(office, portal, body | {"action": "edit"})).status_code == 201


async def test_an_own_user_is_named_by_his_id(office, portal, module):
    anna = await office.user()
    made = await grant(office, portal, right(module, str(anna.id), display_name="Not yours to say"))
    assert made.status_code == 201
    assert ("site", "tw-main", module, "view") in await held(office, portal, str(anna.id))
    assert (await office.admin.get(f"/users/{anna.id}")).json()["display_name"] != "Not yours to say"


async def test_scopes_that_mean_something_here_need_the_right_that_people_need(office, portal, module):
    ours = [
        right("organisation", scope_type="global", scope_id="*"),
        right("organisation", scope_type="organisation", scope_id=str(uuid4())),
        right("organisation", scope_type="own", scope_id="*"),
        right(module, scope_type="global", scope_id="*"),
    ]
    for body in ours:
        for ask, needed in ((grant, "grant:give"), (revoke, "grant:revoke")):
            async with office.nothing_stored():
                answer = await ask(office, portal, body)
            if ask is revoke:
                assert code(answer) == (404, "user_not_found")
            else:
                assert (*code(answer), answer.json()["required"]) == (403, "forbidden", needed)


async def test_a_client_passes_on_what_it_holds_itself_grantable(office):
    made = await office.admin.post("/api-clients", json={"name": "back office"})
    client_id = made.json()["id"]
    client = {"X-Client-Key": made.json()["client_key"], "X-API-Key": made.json()["api_key"]}
    body = right("organisation", scope_type="global", scope_id="*")

    async def give(name, **terms):
        action = {"module": name.split(":")[0], "action": name.split(":")[1]}
        subject = {"subject": {"type": "client", "id": client_id}, "scope_type": "global", "scope_id": "*"}
        answer = await office.admin.post("/grants", json={**subject, **action, **terms})
        assert answer.status_code in (200, 201), answer.text

    await give("grant:give")
    async with office.nothing_stored():
        answer = await grant(office, client, body)
    assert (*code(answer), answer.json()["required"]) == (403, "forbidden", "organisation:view")
    await give("organisation:view", grantable=True)
    assert (await grant(office, client, body)).status_code == 201
    answer = await revoke(office, client, body)
    assert (*code(answer), answer.json()["required"]) == (403, "forbidden", "grant:revoke")
    await give("grant:revoke")
    assert (await revoke(office, client, body)).json() == {"deleted": 1, "result": "revoked"}


async def test_a_right_that_is_in_no_catalogue_makes_nobody(office, portal, module):
    for wrong, pointer in (
        ({"module": "campaign-unheard"}, "/module"),
        ({"action": "delete"}, "/action"),
        ({"scope_type": "planet"}, "/scope_type"),
        ({"scope_id": "*"}, "/scope_id"),
        ({"scope_id": "a b"}, "/scope_id"),
        ({"module": "contract"}, "/scope_type"),
    ):
        async with office.nothing_stored():
            answer = await grant(office, portal, right(module) | wrong)
        assert code(answer) == (422, "grant.invalid"), wrong
        assert pointer in [each["pointer"] for each in answer.json()["errors"]]


async def test_a_module_that_nobody_registered_says_how_to(office, portal):
    answer = await grant(office, portal, right("campaign-unheard"))
    assert "POST /permissions/catalogue" in answer.json()["errors"][0]["detail"]


async def test_only_api_clients_come_here(office, portal, module):
    body = right(module)
    for headers in ({}, dict(office.admin.headers), {"X-Internal-Secret": "x"}):
        for path in (GRANT, REVOKE):
            async with office.nothing_stored():
                answer = await office.stranger.post(path, json=body, headers=headers)
            assert code(answer) == (401, "invalid_client"), headers
    async with office.nothing_stored():
        answer = await grant(office, portal | {"X-API-Key": "wrong"}, body)
    assert code(answer) == (401, "invalid_api_key")
    limited = await client_of(office, allowed_paths=["/admin/permissions/grant"])
    assert (await grant(office, limited, body)).status_code == 201
    assert code(await revoke(office, limited, body)) == (403, "path_not_allowed")


async def test_a_wrong_body_makes_nobody(office, portal, module):
    for wrong in ({"sub": ""}, {"sub": 7}, {"sub": "x" * 256}, {"scope_id": None}, {"role": "admin"}):
        async with office.nothing_stored():
            answer = await grant(office, portal, right(module) | wrong)
        assert answer.status_code == 400, wrong
    async with office.nothing_stored():
        assert code(await grant(office, portal, right(module, "a\nb"))) == (422, "user.identity_invalid")


async def test_a_key_is_good_for_one_grant_and_a_dry_run_stores_nothing(office, portal, module):
    body = right(module)
    async with office.nothing_stored():
        dry = await office.stranger.post(f"{GRANT}?dry_run=true", json=body, headers=portal)
        assert [each["topic"] for each in dry.json()["events"]] == ["user.provisioned.v1", "grant.given.v1"]
    key = {"Idempotency-Key": uuid4().hex}
    first, again = [await grant(office, portal, body, **key) for _ in range(2)]
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    async with office.nothing_stored():
        other = await grant(office, portal, right(module), **key)
    assert code(other) == (422, "idempotency_key_reused")
    async with office.nothing_stored():
        dry = await office.stranger.post(f"{REVOKE}?dry_run=true", json=body, headers=portal)
    assert [each["topic"] for each in dry.json()["events"]] == ["grant.revoked.v1"]
