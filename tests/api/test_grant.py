"""Grants over HTTP: who may give and take what, what the second time says, and that what is taken is taken at once."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from infrastructure.guard_check import verify
from infrastructure.personal_data import wrapping_of

pytestmark = pytest.mark.anyio

EVERYWHERE = ("global", "*")
LATER = "2999-01-01T00:00:00Z"


def terms(subject, right, scope=EVERYWHERE, **more):
    module, action = right.split(":")
    whom = subject if isinstance(subject, dict) else {"type": "user", "id": str(subject)}
    return {
        "subject": whom,
        "scope_type": scope[0],
        "scope_id": scope[1],
        "module": module,
        "action": action,
    } | more


async def given(client, *args, **more):
    answer = await client.post("/grants", json=terms(*args, **more))
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


async def topics(office, grant_id):
    return [event.topic for event in await office.system.recorded(UUID(grant_id))]


@pytest.fixture(scope="module")
async def anna(office):
    """Somebody whose rights no test looks at as a whole."""
    return await office.user()


def code(answer):
    return answer.status_code, answer.json()["code"]


def pointers(answer):
    return {(error["pointer"], error["code"]) for error in answer.json()["errors"]}


# --- one right, one id -------------------------------------------------------------------------------------------


async def test_a_right_has_one_id_whatever_happens_to_it(office):
    anna = await office.user()
    body = terms(anna.id, "contract:sign")
    made = await office.admin.post("/grants", json=body)
    assert (made.status_code, made.headers["etag"]) == (201, '"v1"')
    assert made.headers["location"] == f"/api/v1/grants/{made.json()['id']}"
    async with office.nothing_stored():
        again = await office.admin.post("/grants", json=body)
    assert (again.status_code, again.json()) == (200, made.json())
    assert "location" not in again.headers
    for more in ({"expires_at": LATER}, {"grantable": True}, {"reason": "deputy"}, {"not_before": LATER}):
        changed = await office.admin.post("/grants", json=body | more)
        assert (changed.status_code, changed.json()["id"]) == (200, made.json()["id"])
    revoked = await office.admin.post(f"/grants/{made.json()['id']}/revoke", json={"reason": "left"})
    assert revoked.status_code == 200
    async with office.nothing_stored():
        twice = await office.admin.post(f"/grants/{made.json()['id']}/revoke", json={"reason": "left"})
    assert (twice.status_code, twice.json()) == (200, revoked.json())
    back = await office.admin.post("/grants", json=body)
    assert (back.status_code, back.json()["id"]) == (201, made.json()["id"])
    assert await topics(office, made.json()["id"]) == [
        "grant.given.v1",
        *["grant.changed.v1"] * 4,
        "grant.revoked.v1",
        "grant.given.v1",
    ]


async def test_an_instant_is_the_same_however_it_is_written(office, anna):
    await given(office.admin, anna.id, "file:view", expires_at="2999-01-01T00:00:00Z")
    async with office.nothing_stored():
        await given(office.admin, anna.id, "file:view", expires_at="2999-01-01T02:00:00+02:00")


async def test_given_twice_at_once_it_is_made_once(office):
    anna = await office.user()
    answers = await asyncio.gather(
        *(office.admin.post("/grants", json=terms(anna.id, "audit:view")) for _ in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert {answer.text for answer in answers} == {answers[0].text}


async def test_of_two_administrators_who_give_and_take_at_once_one_wins(office):
    other, anna = await office.user(role="admin"), await office.user()
    made = await given(office.admin, anna.id, "contract:edit")
    version = {"If-Match": '"v1"'}
    answers = await asyncio.gather(
        office.admin.post("/grants", json=terms(anna.id, "contract:edit", grantable=True), headers=version),
        other.client.post(f"/grants/{made['id']}/revoke", json={"reason": "left"}, headers=version),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412]


async def test_a_rehearsal_stores_nothing(office, anna):
    async with office.nothing_stored():
        answer = await office.admin.post("/grants?dry_run=true", json=terms(anna.id, "audit:view"))
    assert [event["topic"] for event in answer.json()["events"]] == ["grant.given.v1"]


# --- what is no grant --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"module": "contrct"}, ("/module", "unknown")),
        ({"module": "*"}, ("/module", "unknown")),
        ({"action": "*"}, ("/action", "unknown")),
        ({"action": "signn"}, ("/action", "unknown")),
        ({"scope_type": "site", "scope_id": "tw-main"}, ("/scope_type", "unknown")),
        ({"scope_type": "organisation", "scope_id": "*"}, ("/scope_id", "scope")),
        ({"scope_type": "organisation", "scope_id": "../"}, ("/scope_id", "scope")),
        ({"scope_type": "department", "scope_id": "%"}, ("/scope_id", "scope")),
        ({"scope_id": "' or 1=1"}, ("/scope_id", "scope")),
        ({"scope_type": "own", "scope_id": str(uuid4())}, ("/scope_id", "scope")),
        ({"subject": {"type": "user", "id": str(uuid4())}}, ("/subject/id", "unknown")),
        ({"subject": {"type": "department", "id": str(uuid4())}}, ("/subject/id", "unknown")),
        ({"subject": {"type": "client", "id": str(uuid4())}}, ("/subject/id", "unknown")),
        ({"expires_at": "2020-01-01T00:00:00Z"}, ("/expires_at", "past")),
        ({"expires_at": LATER, "not_before": LATER}, ("/expires_at", "order")),
        ({"expires_at": "9999-12-31T23:59:59-01:00"}, ("/expires_at", "range")),
        ({"not_before": "0001-01-01T00:00:00+01:00"}, ("/not_before", "range")),
    ],
)
async def test_what_makes_no_sense_is_not_given(office, anna, change, wrong):
    async with office.nothing_stored():
        answer = await office.admin.post("/grants", json=terms(anna.id, "contract:sign") | change)
    assert code(answer) == (422, "grant.invalid")
    assert pointers(answer) == {wrong}


async def test_a_misspelt_action_is_answered_with_the_nearest(office, anna):
    answer = await office.admin.post("/grants", json=terms(anna.id, "contract:singn"))
    assert "did you mean `sign`?" in answer.json()["errors"][0]["detail"]


async def test_a_right_of_somebody_who_may_not_act_is_not_given(office):
    anna = await office.user()
    await office.admin.post(f"/users/{anna.id}/block", json={"reason": "holidays"})
    answer = await office.admin.post("/grants", json=terms(anna.id, "audit:view"))
    assert code(answer) == (422, "grant.invalid")


async def test_an_unknown_grant_is_not_revoked(office):
    for ref in (uuid4(), "x"):
        answer = await office.admin.post(f"/grants/{ref}/revoke", json={"reason": "left"})
        assert answer.status_code == 404


async def test_a_revocation_has_a_reason(office, anna):
    made = await given(office.admin, anna.id, "audit:view")
    answer = await office.admin.post(f"/grants/{made['id']}/revoke", json={})
    assert code(answer) == (400, "body.invalid")


# --- who may -----------------------------------------------------------------------------------------------------


async def test_nobody_gives_himself_a_right(office):
    me = (await office.admin.get("/me")).json()["id"]
    async with office.nothing_stored():
        answer = await office.admin.post("/grants", json=terms(me, "contract:sign"))
    assert code(answer) == (403, "grant.to_oneself")


async def test_giving_takes_the_right_to_give(office, anna):
    boris = await office.user()
    await given(office.admin, boris.id, "contract:sign", grantable=True)
    answer = await boris.client.post("/grants", json=terms(anna.id, "contract:sign"))
    assert code(answer) == (403, "forbidden")
    assert answer.json()["required"] == "grant:give"


@pytest.mark.parametrize("step", ["give", "revoke"])
async def test_giving_and_taking_take_a_proof_not_five_minutes_old(office, anna, step):
    boris = await office.user(role="admin")
    made = await given(office.admin, anna.id, "file:view")
    office.owner.execute(
        "update sessions set proved_at = proved_at - interval '301 seconds', access_version = access_version + 1"
        " where user_id = %s",
        (boris.id,),
    )
    async with office.nothing_stored():
        if step == "give":
            answer = await boris.client.post("/grants", json=terms(anna.id, "audit:view"))
        else:
            answer = await boris.client.post(f"/grants/{made['id']}/revoke", json={"reason": "left"})
    assert code(answer) == (401, "step_up_required")
    rehearsal = await boris.client.post("/grants?dry_run=true", json=terms(anna.id, "audit:view"))
    assert rehearsal.status_code == 200


HERE, THERE = ("organisation", str(uuid4())), ("organisation", str(uuid4()))
OWN = ("own", "*")
A_TICK_LATER = "2999-01-01T00:00:00.000001Z"
HELD = {
    "contract:sign": {},
    "contract:edit": {"scope": HERE},
    "contract:amend": {"scope": OWN},
    "contract:view": {"expires_at": LATER},
    "contract:pay": {"grantable": False},
    "contract:cancel": {"not_before": LATER},
}
"""What the deputy holds, grantable but for one."""


async def deputy(office, held):
    """Somebody who may give and take, and holds some rights that he may pass on; and his grants."""
    boris = await office.user()
    ids = [await given(office.admin, boris.id, f"grant:{way}") for way in ("give", "revoke", "view")]
    for right, more in held.items():
        ids.append(await given(office.admin, boris.id, right, **({"grantable": True} | more)))
    return boris, dict(zip(("grant:give", "grant:revoke", "grant:view", *held), ids, strict=True))


@pytest.fixture(scope="module")
async def the_deputy(office):
    return await deputy(office, HELD)


@pytest.mark.parametrize(
    ("right", "passed"),
    [
        ("contract:sign", {}),
        ("contract:sign", {"scope": HERE}),
        ("contract:sign", {"scope": OWN, "expires_at": LATER}),
        ("contract:edit", {"scope": HERE, "grantable": True}),
        ("contract:amend", {"scope": OWN}),
        ("contract:view", {"expires_at": LATER}),
    ],
)
async def test_what_one_holds_grantable_one_passes_on_and_the_event_names_it(
    office, anna, the_deputy, right, passed
):
    boris, grants = the_deputy
    made = await given(boris.client, anna.id, right, **passed)
    taken = await boris.client.post(f"/grants/{made['id']}/revoke", json={"reason": "left"})
    assert taken.status_code == 200
    for event in (await office.system.recorded(UUID(made["id"])))[-2:]:
        assert event.metadata.allowed_by == grants[right]["id"]


@pytest.mark.parametrize(
    ("right", "passed"),
    [
        ("contract:archive", {}),
        ("contract:pay", {}),
        ("contract:edit", {}),
        ("contract:edit", {"scope": THERE}),
        ("contract:edit", {"scope": OWN}),
        ("contract:amend", {"scope": HERE}),
        ("contract:view", {}),
        ("contract:view", {"expires_at": A_TICK_LATER}),
        ("contract:cancel", {}),
    ],
)
async def test_nobody_passes_on_more_than_he_holds(office, anna, the_deputy, right, passed):
    boris, _ = the_deputy
    async with office.nothing_stored():
        answer = await boris.client.post("/grants", json=terms(anna.id, right, **passed))
    assert code(answer) == (403, "forbidden")
    assert answer.json()["required"] == right


async def test_nobody_takes_or_repeats_what_he_does_not_hold(office, anna, the_deputy):
    boris, _ = the_deputy
    made = await given(office.admin, anna.id, "contract:archive")
    async with office.nothing_stored():
        answer = await boris.client.post(f"/grants/{made['id']}/revoke", json={"reason": "left"})
        same = await boris.client.post("/grants", json=terms(anna.id, "contract:archive"))
    assert code(answer) == code(same) == (403, "forbidden")


async def test_a_grant_one_may_not_view_is_unknown(office):
    boris, anna = await office.user(), await office.user()
    made = await given(office.admin, anna.id, "contract:sign")
    await given(office.admin, boris.id, "grant:view", OWN)
    assert (await boris.client.get(f"/grants/{made['id']}")).status_code == 404
    answer = await boris.client.post(f"/grants/{made['id']}/revoke", json={"reason": "left"})
    assert code(answer) == (404, "grant.unknown")
    assert (await boris.client.get("/grants")).json()["data"] == []


@pytest.mark.parametrize(
    "narrower", [{"grantable": False}, {"grantable": True, "expires_at": "2998-01-01T00:00:00Z"}]
)
async def test_what_is_passed_on_is_judged_on_the_terms_of_now(office, anna, narrower):
    """The deputy's rights are remembered from his last command; the new terms count all the same."""
    boris, _ = await deputy(office, {"contract:sign": {}})
    await given(boris.client, anna.id, "contract:sign", HERE)
    await given(office.admin, boris.id, "contract:sign", **narrower)
    async with office.nothing_stored():
        answer = await boris.client.post("/grants", json=terms(anna.id, "contract:sign", THERE))
    assert code(answer) == (403, "forbidden")


@pytest.mark.parametrize("relied", ["grant:give", "contract:sign"])
async def test_after_either_right_is_revoked_nothing_is_given_by_it(office, anna, relied):
    boris, grants = await deputy(office, {"contract:sign": {}})

    async def give():
        return await boris.client.post(
            "/grants", json=terms(anna.id, "contract:sign", ("organisation", str(uuid4())))
        )

    assert (await give()).status_code == 201
    before = await office.head()
    *answers, revoked = await asyncio.gather(
        *(give() for _ in range(12)),
        office.admin.post(f"/grants/{grants[relied]['id']}/revoke", json={"reason": "left"}),
    )
    end = revoked.json()["position"]
    accepted = [answer.json()["position"] for answer in answers if answer.status_code == 201]
    assert all(before < position < end for position in accepted)
    assert {answer.status_code for answer in answers} <= {201, 403}
    assert code(await give()) == (403, "forbidden")


# --- using a right -----------------------------------------------------------------------------------------------


async def test_after_the_revocation_no_command_relies_on_the_right(office):
    anna, path = await office.user(), await office.organisation()
    organisation = path.rsplit("/", 1)[1]
    scope = ("organisation", organisation)
    await given(office.admin, anna.id, "organisation:view", scope)
    right = await given(office.admin, anna.id, "organisation:edit", scope)

    async def edit(number):
        return await anna.client.patch(path, json={"short_name": f"A{number}"})

    assert (await edit(0)).status_code == 200

    async def revoke():
        await asyncio.gather(*(edit(number) for number in range(1, 4)))
        return await office.admin.post(f"/grants/{right['id']}/revoke", json={"reason": "left"})

    *_, revoked = await asyncio.gather(*(edit(number) for number in range(4, 40)), revoke())
    end = revoked.json()["position"]
    events = await office.system.recorded(UUID(organisation))
    relied = [each.position for each in events if each.metadata.allowed_by == right["id"]]
    assert relied
    assert max(relied) < end
    assert code(await edit(40)) == (403, "forbidden")


async def test_a_right_works_until_its_end_and_not_after_swept_or_not(office):
    anna, path = await office.user(), await office.organisation()
    organisation = path.rsplit("/", 1)[1]
    end = datetime.now(UTC) + timedelta(seconds=0.6)
    await given(office.admin, anna.id, "organisation:view", ("organisation", organisation))
    right = await given(
        office.admin,
        anna.id,
        "organisation:edit",
        ("organisation", organisation),
        expires_at=end.isoformat(),
    )
    number, answer = 0, None
    while answer is None or answer.status_code == 200:
        number += 1
        answer = await anna.client.patch(path, json={"short_name": f"A{number}"})
    assert code(answer) == (403, "forbidden")
    assert datetime.now(UTC) >= end
    events = await office.system.recorded(UUID(organisation))
    used = [each.recorded_at for each in events if each.metadata.allowed_by == right["id"]]
    assert used
    assert max(used) < end
    snapshot = (await anna.client.get("/me/permissions/snapshot")).json()
    assert "edit" not in {each["action"] for each in snapshot["permissions"]}
    assert await office.system.grants.lapse(datetime.now(UTC)) == 1
    assert await office.system.grants.lapse(datetime.now(UTC)) == 0
    shown = (await office.admin.get(f"/grants/{right['id']}")).json()
    assert (shown["state"], shown["version"]) == ("expired", 2)
    again = await office.admin.post(
        "/grants", json=terms(anna.id, "organisation:edit", ("organisation", organisation))
    )
    assert (again.status_code, again.json()["id"]) == (201, right["id"])
    assert (await anna.client.patch(path, json={"short_name": "B"})).status_code == 200


async def test_a_right_that_has_not_begun_gives_nothing(office):
    anna, path = await office.user(), await office.organisation()
    scope = ("organisation", path.rsplit("/", 1)[1])
    await given(office.admin, anna.id, "organisation:view", scope, not_before=LATER)
    assert (await anna.client.get(path)).status_code == 404
    await given(office.admin, anna.id, "organisation:view", scope)
    assert (await anna.client.get(path)).status_code == 200


async def test_own_means_the_records_one_answers_for(office):
    anna = await office.user()
    mine = await office.organisation(account_manager_id=str(anna.id))
    other = await office.organisation()
    for action in ("view", "edit"):
        await given(office.admin, anna.id, f"organisation:{action}", OWN)
    assert (await anna.client.patch(mine, json={"short_name": "M"})).status_code == 200
    assert (await anna.client.patch(other, json={"short_name": "M"})).status_code == 404


# --- reading -----------------------------------------------------------------------------------------------------


async def test_grants_are_found_by_holder_right_scope_and_state(office):
    anna, boris = await office.user(), await office.user()
    here = ("organisation", str(uuid4()))
    sign = await given(office.admin, anna.id, "contract:sign", here)
    view = await given(office.admin, anna.id, "contract:view", here)
    other = await given(office.admin, boris.id, "contract:sign")
    await office.admin.post(f"/grants/{view['id']}/revoke", json={"reason": "left"})

    async def found(filter_):
        answer = await office.admin.get("/grants", params={"filter": filter_})
        assert answer.status_code == 200, answer.text
        return {grant["id"] for grant in answer.json()["data"]}

    assert await found(f"subject={anna.id}") == {sign["id"], view["id"]}
    assert await found(f"subject={anna.id} AND state=active") == {sign["id"]}
    assert await found(f"subject={boris.id} AND module=contract AND action=sign") == {other["id"]}
    assert await found(f"scope_type=organisation AND scope_id={here[1]} AND state=revoked") == {view["id"]}
    assert await found(f'scope="organisation/{here[1]}" AND state=active') == {sign["id"]}


async def test_who_may_view_the_grants_of_a_scope_sees_those(office):
    anna, boris = await office.user(), await office.user()
    here, there = ("organisation", str(uuid4())), ("organisation", str(uuid4()))
    mine, other = [await given(office.admin, boris.id, "contract:sign", scope) for scope in (here, there)]
    await given(office.admin, anna.id, "grant:view", here)
    listed = (await anna.client.get("/grants")).json()["data"]
    assert {grant["id"] for grant in listed} >= {mine["id"]}
    assert {(grant["scope_type"], grant["scope_id"]) for grant in listed} == {here}
    assert (await anna.client.get(f"/grants/{mine['id']}")).status_code == 200
    assert (await anna.client.get(f"/grants/{other['id']}")).status_code == 404


async def test_a_grants_past_is_told_with_who_gave_it_and_why(office, anna):
    made = await given(office.admin, anna.id, "letter:sign", reason="deputy")
    await given(office.admin, anna.id, "letter:sign", grantable=True, reason="head")
    await office.admin.post(f"/grants/{made['id']}/revoke", json={"reason": "left"})
    path = f"/grants/{made['id']}"
    history = (await office.admin.get(f"{path}/history")).json()["data"]
    assert [entry["reason"] for entry in history] == ["deputy", "head", "left"]
    assert {entry["actor"]["kind"] for entry in history} == {"user"}
    then = (await office.admin.get(path, params={"as_of": "v1"})).json()
    assert (then["reason"], then["grantable"], then["state"]) == ("deputy", False, "active")
    between = (await office.admin.get(f"{path}/diff", params={"from": "v1", "to": "v3"})).json()
    assert {change["field"] for change in between["changes"]} == {"grantable", "reason", "state"}


async def test_what_is_held_is_what_the_log_says(office):
    """After everything that happened to rights above."""
    settings = office.system.settings
    found = await verify(settings.database_url, wrapping_of(settings))
    assert [str(each) for each in found if each.table in ("rights", "claims")] == []
