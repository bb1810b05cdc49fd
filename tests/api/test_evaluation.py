"""Could they do that? Answered as the commands would be, for now and as of any moment, and told why."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from domain.grant.events import GrantGiven, Subject
from domain.user.events import UserProvisioned, person_id
from projections.permission_change import projection
from tests import people
from tests.api.test_api_client import credentials, registered
from tests.api.test_grant import OWN, code, given
from tests.api.test_permission import module
from tests.arranging import arranged, assign, of_support
from tests.waiting import until
from workers.rebuild import rebuild

pytestmark = pytest.mark.anyio

EVALUATION = "/access/v1/evaluation"


def question(subject, action, resource=("global", "*"), kind="user", **context):
    return {
        "subject": {"type": kind, "id": str(getattr(subject, "id", subject))},
        "action": {"name": action},
        "resource": {"type": resource[0], "id": resource[1]},
        "context": context,
    }


async def asked(client, *args, **more):
    answer = await client.post(EVALUATION, json=question(*args, **more))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def said(client, *args, **more):
    body = await asked(client, *args, **more)
    return body["decision"], body["context"]["reason"]


async def contract(office, **organisation):
    path = await office.organisation(**organisation)
    at = path.rsplit("/", 1)[1]
    made = await office.admin.post(
        "/contracts", json={"kind": "cooperation", "organisation_id": at, "title": "Care"}
    )
    assert made.status_code == 201, made.text
    return ("contract", made.json()["id"]), ("organisation", at)


# --- now ---------------------------------------------------------------------------------------------------------


async def test_a_grant_allows_and_is_named(office):
    anna = await office.user()
    assert await said(office.admin, anna, "contract:sign") == (False, "no_grant")
    made = await given(office.admin, anna.id, "contract:sign", expires_at="2999-01-01T00:00:00Z")
    body = await asked(office.admin, anna, "contract:sign")
    context = body["context"]
    assert (body["decision"], context["reason"], context["grant"]) == (True, "allowed", made["id"])
    assert context["allowed_by"] == made["id"]
    assert context["expires_at"] == "2999-01-01T00:00:00Z"
    assert context["position"] == await office.head()
    assert context["step_up"] == {"max_age": 300}


async def test_a_role_allows_and_is_named(office):
    anna, boss = await office.user(), await office.user(role="admin")
    assert (await asked(office.admin, anna, "user:view"))["context"]["allowed_by"] == "role:user"
    context = (await asked(office.admin, boss, "contract:pay", explain=True))["context"]
    assert context["allowed_by"] == "role:admin"
    assert "grant" not in context
    assert context["explain"]["role"]["name"] == "admin"
    assert context["explain"]["role"]["given_by"]["kind"] == "system"


async def test_an_action_alone_belongs_to_its_resources_module(office):
    anna = await office.user()
    record, here = await contract(office)
    for right in ("contract:view", "contract:sign"):
        await given(office.admin, anna.id, right, here)
    assert await said(office.admin, anna, "sign", record) == (True, "allowed")
    assert await said(office.admin, anna, "contract:sign", here) == (True, "allowed")
    assert await said(office.admin, anna, "sign", ("contract", str(uuid4()))) == (False, "no_grant")
    other, _ = await contract(office)
    assert await said(office.admin, anna, "sign", other) == (False, "no_grant")


async def test_an_answer_is_what_the_command_then_says(office):
    """The same people, rights and records, asked and done."""
    record, here = await contract(office)
    anna = await office.user()
    holds = [(), ("contract:sign",), ("contract:view",), ("contract:view", "contract:sign")]
    for scope in (here, OWN, ("global", "*")):
        for held in holds:
            grants = [await given(office.admin, anna.id, right, scope) for right in held]
            asked_ = await asked(office.admin, anna, "contract:sign", record)
            done = await anna.client.post(
                f"/contracts/{record[1]}/sign?dry_run=true",
                json={},
                headers={"Idempotency-Key": str(uuid4())},
            )
            assert asked_["decision"] == (done.status_code == 200), (scope, held, done.text)
            for each in grants:
                await office.admin.post(f"/grants/{each['id']}/revoke", json={"reason": "left"})


async def test_own_is_about_the_records_one_answers_for(office):
    anna = await office.user()
    mine, _ = await contract(office, account_manager_id=str(anna.id))
    other, _ = await contract(office)
    for action in ("view", "edit"):
        await given(office.admin, anna.id, f"contract:{action}", OWN)
    assert await said(office.admin, anna, "edit", mine) == (True, "allowed")
    body = await asked(office.admin, anna, "edit", other, explain=True)
    assert (body["decision"], body["context"]["reason"]) == (False, "no_grant")
    assert body["context"]["explain"]["missing"] == "contract:view"


async def test_what_one_may_not_view_one_may_not_change(office):
    anna = await office.user()
    record, here = await contract(office)
    await given(office.admin, anna.id, "contract:sign", here)
    body = await asked(office.admin, anna, "sign", record, explain=True)
    assert body["decision"] is False
    assert body["context"]["explain"]["required"] == ["contract:view", "contract:sign"]
    assert body["context"]["explain"]["missing"] == "contract:view"


async def test_papers_and_resources_lie_where_their_organisation_does(office):
    place = await office.organisation()
    organisation_id = place.rpartition("/")[2]
    body = {"organisation_id": organisation_id, "name": "Registry"}
    resource = ("resource", (await office.admin.post("/resources", json=body)).json()["id"])
    kind = (await office.admin.post("/document-types", json={"name": f"Type {uuid4()}"})).json()["id"]
    recorded = {"type_id": kind, "date_approved": "2026-03-01", "confidential": True}
    made = await office.admin.post(f"{place}/documents", json=recorded)
    document = ("document", made.json()["id"])
    clerk = await office.user()
    for right in ("resource:view", "resource:edit", "document:view"):
        office.grant(clerk.id, right, scope=("organisation", organisation_id))
    for action, about in (("resource:edit", resource), ("document:view", document)):
        assert await said(office.admin, clerk, action, about) == (True, "allowed")
        elsewhere = (about[0], str(uuid4()))
        assert (await said(office.admin, clerk, action, elsewhere))[0] is False


async def test_an_occasion_is_its_assignees_own_and_lies_with_its_contract(office):
    sacha = await of_support(office)
    for right in ("occasion:view", "occasion:edit"):
        office.grant(sacha.id, right, scope=("own", "*"))
    path = await arranged(office)
    about = ("occasion", path.rpartition("/")[2])
    assert (await said(office.admin, sacha, "edit", about))[0] is False
    assert (await assign(office.admin, path, sacha.id)).status_code == 200
    assert await said(office.admin, sacha, "edit", about) == (True, "allowed")
    assert (await sacha.client.patch(f"{path}?dry_run=true", json={"notes": "n"})).status_code == 200
    assert (await said(office.admin, sacha, "edit", ("occasion", str(uuid4()))))[0] is False
    contract_id = (await office.admin.get(path)).json()["contract_id"]
    assert (await said(office.admin, sacha, "occasion:edit", ("occasion", contract_id)))[0] is False


async def test_rights_of_other_systems_are_asked_for_by_scope(office):
    anna, tw = await office.user(), module()
    await office.admin.post("/permissions/catalogue", json=tw)
    right = f"{tw['module']}:edit"
    await given(office.admin, anna.id, right, ("site", "tw-main"))
    assert await said(office.admin, anna, right, ("site", "tw-main")) == (True, "allowed")
    assert await said(office.admin, anna, right, ("site", "tw-other")) == (False, "no_grant")
    body = await asked(office.admin, anna, right, ("site", "tw-other"), explain=True)
    assert [each["scope_id"] for each in body["context"]["explain"]["elsewhere"]] == ["tw-main"]
    body = question(anna, right, ("page", "7"))
    body["resource"]["properties"] = {"scopes": [{"type": "site", "id": "tw-main"}]}
    assert (await office.admin.post(EVALUATION, json=body)).json()["decision"] is True


async def test_a_departments_grant_is_named_as_such(office):
    sales = uuid4()
    anna = await office.user(department_id=sales)
    right = GrantGiven(
        subject=Subject(type="department", id=sales), scope_type="global", scope_id="*", module="file", action="view"
    )  # fmt: skip
    await people.append(office.system.execute._store, right.stream_id, right)
    body = await asked(office.admin, anna, "file:view", explain=True)
    assert body["context"]["grant"] == str(right.stream_id)
    assert body["context"]["explain"]["grant"]["via"] == "department"


async def test_who_passes_a_right_on_must_hold_it(office):
    boris, anna = await office.user(), await office.user()
    made = await given(office.admin, anna.id, "contract:sign")
    for right in ("grant:view", "grant:revoke"):
        await given(office.admin, boris.id, right)
    grant = ("grant", made["id"])
    body = await asked(office.admin, boris, "revoke", grant, explain=True)
    assert (body["decision"], body["context"]["explain"]["missing"]) == (False, "contract:sign")
    await given(office.admin, boris.id, "contract:sign", grantable=True)
    assert await said(office.admin, boris, "revoke", grant) == (True, "allowed")


# --- why not -----------------------------------------------------------------------------------------------------


async def test_each_reason_is_told(office):
    anna, later = await office.user(), "2999-01-01T00:00:00Z"
    coming = await given(office.admin, anna.id, "contract:sign", not_before=later)
    body = await asked(office.admin, anna, "contract:sign", explain=True)
    assert (body["context"]["reason"], body["context"]["grant"]) == ("not_yet", coming["id"])
    assert body["context"]["explain"]["nearest"]["not_before"] == later
    await office.admin.post(f"/grants/{coming['id']}/revoke", json={"reason": "too early"})
    body = await asked(office.admin, anna, "contract:sign", explain=True)
    nearest = body["context"]["explain"]["nearest"]
    assert body["context"]["reason"] == nearest["ended"]["how"] == "revoked"
    assert nearest["ended"]["reason"] == "too early"
    assert nearest["ended"]["by"]["kind"] == "user"
    await office.admin.post(f"/users/{anna.id}/block", json={"reason": "holidays"})
    assert await said(office.admin, anna, "user:view") == (False, "subject_blocked")
    await office.admin.post(f"/users/{anna.id}/unblock", json={})
    await office.admin.post(f"/users/{anna.id}/deactivate", json={})
    assert await said(office.admin, anna, "user:view") == (False, "subject_blocked")


async def test_a_proof_that_is_too_old_is_asked_for_again(office):
    anna = await office.user("contract:sign")
    now = datetime.now(UTC)
    for seconds, expected in (
        (0, (True, "allowed")),
        (290, (True, "allowed")),
        (301, (False, "step_up_required")),
    ):
        proved = (now - timedelta(seconds=seconds)).isoformat()
        assert await said(office.admin, anna, "contract:sign", proved_at=proved) == expected
        assert await said(office.admin, anna, "user:view", proved_at=proved) == (True, "allowed")


async def test_unknown_subjects_and_kinds_may_nothing(office):
    anna = await office.user("contract:sign")
    for subject, kind in (
        (uuid4(), "user"),
        ("nobody", "user"),
        (uuid4(), "client"),
        ("x", "client"),
        (anna.id, "client"),
    ):
        assert await said(office.admin, subject, "contract:sign", kind=kind) == (False, "no_grant")


async def test_a_grant_holds_until_its_end_by_the_databases_clock_with_nobody_sweeping(office):
    anna = await office.user()
    end = datetime.now(UTC) + timedelta(seconds=1.5)
    made = await given(office.admin, anna.id, "contract:sign", expires_at=end.isoformat())
    seen = []
    async with asyncio.timeout(10):
        while not seen or seen[-1]["decision"]:
            seen.append(await asked(office.admin, anna, "contract:sign"))
    at = [datetime.fromisoformat(each["context"]["at"]) for each in seen]
    assert at[-1] >= end > at[-2]
    assert (seen[-1]["context"]["reason"], seen[-1]["context"]["grant"]) == ("expired", made["id"])
    tick = timedelta(milliseconds=1)
    for instant, expected in ((end - tick, True), (end, False), (end + tick, False)):
        body = await asked(office.admin, anna, "contract:sign", as_of=instant.isoformat())
        assert body["decision"] is expected
    assert await office.system.grants.lapse(datetime.now(UTC)) >= 1
    assert await said(office.admin, anna, "contract:sign") == (False, "expired")


# --- then --------------------------------------------------------------------------------------------------------


async def test_could_she_sign_on_that_day_and_by_which_grant(office):
    anna = await office.user()
    before = await office.head()
    made = await given(office.admin, anna.id, "contract:sign", reason="deputy")
    during = datetime.now(UTC)
    events = await office.system.recorded(UUID(made["id"]))
    await office.admin.post(f"/grants/{made['id']}/revoke", json={"reason": "left"})
    me = (await office.admin.get("/me")).json()["id"]

    for moment in (made["position"], during.isoformat(), str(events[0].event_id), str(made["position"])):
        context = (await asked(office.admin, anna, "contract:sign", as_of=moment, explain=True))["context"]
        assert (context["reason"], context["grant"]) == ("allowed", made["id"])
        by = context["explain"]["grant"]
        assert (by["given_by"], by["position"], by["reason"]) == (
            {"kind": "user", "id": me},
            made["position"],
            "deputy",
        )
        assert by["event_id"] == str(events[0].event_id)
        assert "ended" not in by
    assert await said(office.admin, anna, "contract:sign", as_of=before) == (False, "no_grant")
    assert await said(office.admin, anna, "contract:sign") == (False, "revoked")


async def test_then_is_role_state_department_and_record_as_they_were(office):
    sales, anna = uuid4(), await office.user(role="admin")
    path = await office.organisation(account_manager_id=str(anna.id))
    record = ("organisation", path.rsplit("/", 1)[1])
    as_admin = await office.head()
    for right in ("organisation:view", "organisation:edit"):
        await given(office.admin, anna.id, right, OWN)
    await office.admin.post(f"/users/{anna.id}/role", json={"role": "user"})
    as_manager = await office.head()
    await office.admin.patch(path, json={"account_manager_id": None})
    as_nobody = await office.head()
    await office.admin.post(f"/users/{anna.id}/block", json={"reason": "holidays"})
    blocked = await office.head()

    async def edits(at):
        body = await asked(office.admin, anna, "edit", record, as_of=at)
        return body["context"]["reason"], body["context"].get("allowed_by", "")[:5]

    assert await edits(as_admin) == ("allowed", "role:")
    assert (await edits(as_manager))[0] == "allowed"
    assert await edits(as_nobody) == ("no_grant", "")
    assert await edits(blocked) == ("subject_blocked", "")
    assert await said(office.admin, anna, "organisation:view", ("department", str(sales)), as_of=1) == (
        False,
        "no_grant",
    )


@pytest.mark.parametrize(
    "moment", ["2999-01-01T00:00:00Z", "1999-01-01T00:00:00Z", 0, 10**15, str(UUID(int=7))]
)
async def test_a_moment_that_is_not_in_the_log_is_refused(office, moment):
    answer = await office.admin.post(EVALUATION, json=question(uuid4(), "contract:sign", as_of=moment))
    assert code(answer) == (400, "query.moment_unknown")


@pytest.mark.parametrize("moment", ["yesterday", "2026-01-01T00:00:00", "", "v7", -1, "2026-13-01T00:00:00Z"])
async def test_a_moment_that_is_none_is_refused(office, moment):
    answer = await office.admin.post(EVALUATION, json=question(uuid4(), "contract:sign", as_of=moment))
    assert code(answer) == (400, "query.moment_malformed")


# --- who may ask, and how ----------------------------------------------------------------------------------------


async def test_questions_are_for_those_who_may_view_all_grants(office):
    anna, boris = await office.user("grant:view"), await office.user()
    body = question(anna, "contract:sign")
    async with office.nothing_stored():
        assert (await anna.client.post(EVALUATION, json=body)).status_code == 200
        assert code(await boris.client.post(EVALUATION, json=body)) == (403, "forbidden")
        assert (await office.stranger.post(EVALUATION, json=body)).status_code == 401


async def test_an_api_client_may_ask_everything_and_be_asked_about(office):
    anna, made = await office.user("contract:sign"), await registered(office)
    asks = {"headers": credentials(made)}
    client = office.stranger
    body = question(anna, "contract:sign")
    assert (await client.post(EVALUATION, json=body, **asks)).json()["decision"] is True
    assert (await client.post(SEARCH, json=body, **asks)).status_code == 200
    assert (await client.get("/permissions/changes", **asks)).status_code == 200
    assert await said(office.admin, made["id"], "contract:sign", kind="client") == (False, "no_grant")
    before = await office.head()
    given_ = await given(office.admin, {"type": "client", "id": made["id"]}, "contract:sign")
    context = (await asked(office.admin, made["id"], "contract:sign", kind="client"))["context"]
    assert context["grant"] == given_["id"]
    assert "step_up" not in context
    entry = (await office.admin.get("/permissions/changes", params={"after": before})).json()["data"][0]
    assert entry["subject"] == {"type": "client", "id": made["id"]}
    assert (await search(office.admin, "contract:sign", kind="client")).keys() == {made["id"]}
    await office.admin.post(f"/api-clients/{made['id']}/disable", json={})
    assert await said(office.admin, made["id"], "contract:sign", kind="client") == (False, "subject_blocked")


async def test_a_user_is_named_as_his_identity_provider_does(office):
    issuer, sub = f"https://idp.example/{uuid4()}", "abc|7"
    event = UserProvisioned(issuer=issuer, sub=sub, synced_at=datetime.now(UTC))
    user_id = person_id(issuer, sub)
    await people.append(office.system.execute._store, user_id, event)
    made = await given(office.admin, user_id, "contract:sign")
    told = (await office.admin.get("/permissions/changes", params={"after": made["position"] - 1})).json()
    assert [(each["sub"], each["subject"]["id"]) for each in told["data"]] == [(sub, str(user_id))]
    body = question(sub, "contract:sign")
    assert (await office.admin.post(EVALUATION, json=body)).json()["decision"] is False
    body["subject"]["properties"] = {"issuer": issuer}
    assert (await office.admin.post(EVALUATION, json=body)).json()["context"]["grant"] == made["id"]
    assert await said(office.admin, user_id, "contract:sign") == (True, "allowed")


@pytest.mark.parametrize("scope_id", ["*", "%", "../", "' or 1=1", "$.a", "_", "tw-mai%", "tw-main "])
async def test_a_scope_has_no_wildcards(office, scope_id):
    anna, tw = await office.user(), module()
    await office.admin.post("/permissions/catalogue", json=tw)
    await given(office.admin, anna.id, f"{tw['module']}:edit", ("site", "tw-main"))
    resource = ("site", scope_id)
    expected = scope_id.strip() == "tw-main"  # text is trimmed wherever it comes in
    assert (await said(office.admin, anna, f"{tw['module']}:edit", resource))[0] is expected
    assert (await said(office.admin, anna, "contract:sign", ("organisation", scope_id)))[0] is False


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"subject": {"type": "site", "id": "x"}}, 400),
        ({"subject": {"type": "user"}}, 400),
        ({"action": {"name": ""}}, 400),
        ({"resource": {"type": "site", "id": "x" * 600}}, 400),
        ({"resource": {"type": "site", "id": "x" * (1 << 20)}}, 413),
        ({"resource": {"type": "site", "id": "x", "properties": {"scopes": "all"}}}, 400),
        ({"context": {"asof": 1}}, 400),
        ({"more": 1}, 400),
    ],
)
async def test_what_is_no_question_is_refused(office, change, status):
    answer = await office.admin.post(EVALUATION, json=question(uuid4(), "contract:sign") | change)
    assert answer.status_code == status


async def test_properties_that_mean_nothing_here_are_overlooked(office):
    body = question(uuid4(), "contract:sign")
    for part in ("subject", "action", "resource"):
        body[part]["properties"] = {"anything": [1, {"else": None}]}
    assert (await office.admin.post(EVALUATION, json=body)).status_code == 200


# --- many at once ------------------------------------------------------------------------------------------------


async def test_questions_come_in_batches(office):
    anna, boris = await office.user("contract:sign"), await office.user()
    whole = question(anna, "contract:sign")
    batch = whole | {"evaluations": [{}, {"subject": question(boris, "")["subject"]}, {}]}
    answer = await office.admin.post("/access/v1/evaluations", json=batch)
    assert [each["decision"] for each in answer.json()["evaluations"]] == [True, False, True]
    for semantic, expected in (("deny_on_first_deny", [True, False]), ("permit_on_first_permit", [True])):
        options = {"options": {"evaluations_semantic": semantic}}
        answer = await office.admin.post("/access/v1/evaluations", json=batch | options)
        assert [each["decision"] for each in answer.json()["evaluations"]] == expected
    answer = await office.admin.post(
        "/access/v1/evaluations", json={"evaluations": [{"action": whole["action"]}]}
    )
    assert code(answer) == (400, "body.invalid")
    assert {each["pointer"] for each in answer.json()["errors"]} == {
        "/evaluations/0/subject",
        "/evaluations/0/resource",
    }


async def test_a_batch_has_an_end(office):
    whole = question(uuid4(), "contract:sign")
    for count, status in ((1_000, 200), (1_001, 413)):
        answer = await office.admin.post("/access/v1/evaluations", json=whole | {"evaluations": [{}] * count})
        assert answer.status_code == status, count


# --- who can -----------------------------------------------------------------------------------------------------

SEARCH = "/access/v1/search/subject"


async def search(client, action, resource=("global", "*"), kind="user", limit=100, **context):
    found, token = {}, None
    while token != "":
        page = {"limit": limit} | ({"token": token} if token else {})
        body = {
            "subject": {"type": kind},
            "action": {"name": action},
            "resource": {"type": resource[0], "id": resource[1]},
            "context": context,
            "page": page,
        }
        answer = await client.post(SEARCH, json=body)
        assert answer.status_code == 200, answer.text
        results = answer.json()["results"]
        assert len(results) <= limit
        assert not found.keys() & {each["id"] for each in results}
        found |= {each["id"]: each["properties"] for each in results}
        token = answer.json()["page"]["next_token"]
    return found


async def admins(office):
    rows = office.owner.execute("select user_id from principals where role = 'admin' and state = 'active'")
    return {str(user_id) for (user_id,) in rows}


async def test_who_can_is_everybody_whom_the_evaluation_allows(office):
    record, here = await contract(office)
    sales = uuid4()
    direct, viewer, blocked, lapsed = [await office.user() for _ in range(4)]
    member = await office.user(department_id=sales)
    grants = {}
    for person in (direct, viewer, blocked, lapsed):
        await given(office.admin, person.id, "contract:view", here)
    for person in (direct, blocked):
        grants[person.id] = (await given(office.admin, person.id, "contract:sign", here))["id"]
    soon = datetime.now(UTC) + timedelta(seconds=0.2)
    await given(office.admin, lapsed.id, "contract:sign", expires_at=soon.isoformat())
    for action in ("view", "sign"):
        right = GrantGiven(
            subject=Subject(type="department", id=sales), scope_type=here[0], scope_id=here[1],
            module="contract", action=action,
        )  # fmt: skip
        await people.append(office.system.execute._store, right.stream_id, right)
    grants[member.id] = str(right.stream_id)
    then = await office.head()
    await office.admin.post(f"/users/{blocked.id}/block", json={"reason": "holidays"})
    await until(lambda: datetime.now(UTC) >= soon)
    for limit in (1, 2, 100):
        found = await search(office.admin, "sign", record, limit=limit)
        assert found.keys() == {str(direct.id), str(member.id)} | await admins(office)
    assert found[str(direct.id)]["grant"] == grants[direct.id]
    assert found[str(member.id)]["grant"] == grants[member.id]
    assert {found[each]["allowed_by"] for each in await admins(office)} == {"role:admin"}
    for subject in found:
        assert await said(office.admin, subject, "sign", record) == (True, "allowed")

    await office.admin.post(f"/grants/{grants[direct.id]}/revoke", json={"reason": "left"})
    before = {str(direct.id), str(member.id), str(blocked.id), str(lapsed.id)} | await admins(office)
    await office.transport._follow()
    for limit in (1, 100):
        assert (await search(office.admin, "sign", record, limit=limit, as_of=then)).keys() == before
    assert str(direct.id) not in await search(office.admin, "sign", record)


async def test_who_could_is_the_same_after_the_read_model_is_built_again(office):
    anna = await office.user()
    made = await given(office.admin, anna.id, "letter:sign")
    then = await office.head()
    await office.admin.post(f"/grants/{made['id']}/revoke", json={"reason": "left"})
    await office.transport._follow()
    first = await search(office.admin, "letter:sign", as_of=then)
    await rebuild(office.system.settings.database_url, office.system.log, projection)
    await office.transport._follow()
    assert await search(office.admin, "letter:sign", as_of=then) == first
    assert str(anna.id) in first
    assert (await said(office.admin, anna, "letter:sign", as_of=then))[0] is True


async def test_a_page_token_goes_with_its_question(office):
    body = {
        "subject": {"type": "user"},
        "action": {"name": "user:view"},
        "resource": {"type": "global", "id": "*"},
    }
    await office.user()
    page = (await office.admin.post(SEARCH, json=body | {"page": {"limit": 1}})).json()["page"]
    other = body | {"action": {"name": "user:edit"}, "page": {"token": page["next_token"]}}
    assert code(await office.admin.post(SEARCH, json=other)) == (400, "page_token_mismatch")
    for token in ("x", "AAAA", "é"):
        wrong = body | {"page": {"token": token}}
        assert code(await office.admin.post(SEARCH, json=wrong)) == (400, "page_token_malformed")
    assert (await office.admin.post(SEARCH, json=body | {"page": {"limit": 0}})).status_code == 400
