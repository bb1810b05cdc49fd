"""Accounts over HTTP: opened by staff or by oneself, changed, blocked, left; sessions end in the same transaction."""

import asyncio
from uuid import uuid4

import pytest

from tests.serving import PASSWORD

pytestmark = pytest.mark.anyio

NEW = "another correct horse battery"


def person(**fields) -> dict:
    return {"email": f"{uuid4()}@example.org", "first_name": "Anna", "last_name": "Berg", **fields}


def code(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_staff_opens_an_account_with_a_password_shown_once(office):
    key, body = {"Idempotency-Key": uuid4().hex}, person(staff_number=f"s{uuid4().hex[:8]}")
    made = await office.admin.post("/users", json=body, headers=key)
    again = await office.admin.post("/users", json=body, headers=key)
    assert made.status_code == again.status_code == 201
    assert made.json()["temporary_password"]
    assert (again.json()["temporary_password"], again.json()["shown_once"]) == (None, True)
    client = await office.signed_in(body["staff_number"], made.json()["temporary_password"])
    assert code(await client.get("/organisations")) == (403, "password_change_required")
    changed = await client.post("/me/password", json={"old": made.json()["temporary_password"], "new": NEW})
    assert changed.status_code == 200
    assert (await client.get("/organisations")).status_code == 200


async def test_a_rehearsal_tells_the_event_and_no_password(office):
    async with office.nothing_stored():
        answer = await office.admin.post("/users?dry_run=true", json=person())
    assert [event["topic"] for event in answer.json()["events"]] == ["user.registered.v1"]
    assert "password" not in answer.json()["events"][0]["data"]


async def test_an_email_is_taken_whatever_its_case_and_nothing_is_told_of_its_owner(office):
    body = person()
    await office.admin.post("/users", json=body)
    async with office.nothing_stored():
        answer = await office.admin.post("/users", json=body | {"email": body["email"].upper()})
    assert code(answer) == (409, "user.email_taken")
    assert set(answer.json()) == {"type", "title", "status", "detail", "code", "request_id"}


async def test_strangers_may_not_register_where_it_is_closed(office):
    async with office.nothing_stored():
        answer = await office.stranger.post("/auth/register", json=person(password=NEW))
    assert code(answer) == (403, "registration_closed")


async def test_opening_accounts_takes_the_right_to(office):
    somebody = await office.user()
    answer = await somebody.client.post("/users", json=person())
    assert code(answer) == (403, "forbidden")
    assert answer.json()["required"] == "user:create"


async def test_somebody_with_the_right_alone_makes_no_administrator(office):
    clerk = await office.user("user:create", "user:role")
    anna = await office.user()
    async with office.nothing_stored():
        for role in ("moderator", "admin"):
            made = await clerk.client.post("/users", json=person(role=role))
            raised = [
                await clerk.client.post(f"/users/{each}/role", json={"role": role})
                for each in (anna.id, clerk.id)
            ]
            assert {code(answer) for answer in (made, *raised)} == {(403, "user.above_you")}
    assert (await clerk.client.post("/users", json=person(role="user"))).status_code == 201


async def test_whoever_was_demoted_just_now_acts_with_his_old_rank_no_more(office):
    """Whatever memory has of him: his sessions ended with his role."""
    chief, anna = await office.user("user:role", role="moderator"), await office.user()
    assert (await chief.client.patch("/me", json={"first_name": "Chief"})).status_code == 200
    (await office.admin.post(f"/users/{chief.id}/role", json={"role": "user"})).raise_for_status()
    async with office.nothing_stored():
        refused = await chief.client.post(f"/users/{anna.id}/role", json={"role": "moderator"})
    assert refused.status_code == 401


async def test_a_profile_is_changed_by_oneself(office):
    anna = await office.user(first_name="Anna")
    changed = await anna.client.patch("/me", json={"first_name": "Anne", "phone": "+33 1 40 20 50 50"})
    assert changed.status_code == 200
    shown = (await anna.client.get("/me")).json()
    assert (shown["first_name"], shown["phone"], shown["email"]) == ("Anne", "+33 1 40 20 50 50", anna.email)
    assert code(await anna.client.patch("/me", json={"role": "admin"})) == (400, "body.invalid")


async def test_a_changed_email_is_the_login_from_then_on(office):
    anna = await office.user()
    email = f"{uuid4()}@example.org"
    assert (await office.admin.patch(f"/users/{anna.id}", json={"email": email})).status_code == 200
    await office.signed_in(email.upper())
    old = await office.stranger.post("/auth/login", json={"login": anna.email, "password": PASSWORD})
    assert code(old) == (401, "auth.invalid_credentials")


async def test_a_new_password_ends_the_other_sessions_only(office):
    anna = await office.user()
    other = await office.signed_in(anna.email)
    wrong = await anna.client.post("/me/password", json={"old": "not it at all", "new": NEW})
    assert code(wrong) == (401, "auth.invalid_credentials")
    assert (await anna.client.post("/me/password", json={"old": PASSWORD, "new": NEW})).status_code == 200
    assert code(await other.get("/me")) == (401, "invalid_bearer_token")
    assert (await anna.client.get("/me")).status_code == 200
    await office.signed_in(anna.email, NEW)


@pytest.mark.parametrize(
    ("new", "why"), [("short", "too_short"), ("x" * 257, "too_long"), (PASSWORD, "unchanged")]
)
async def test_a_password_that_breaks_the_rules_is_refused(office, new, why):
    anna = await office.user()
    answer = await anna.client.post("/me/password", json={"old": PASSWORD, "new": new})
    assert code(answer) == (422, "password.refused")
    assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [("/new", why)]


async def test_a_blocked_user_is_out_at_once_and_in_again_after(office):
    anna = await office.user("organisation:view")
    answer = await office.admin.post(f"/users/{anna.id}/block", json={"reason": "lost laptop"})
    assert answer.status_code == 200
    assert code(await anna.client.get("/organisations")) == (401, "invalid_bearer_token")
    login = await office.stranger.post("/auth/login", json={"login": anna.email, "password": PASSWORD})
    assert code(login) == (403, "auth.account_blocked")
    assert (await office.admin.get(f"/users/{anna.id}")).json()["state"] == "blocked"
    history = (await office.admin.get(f"/users/{anna.id}/history")).json()["data"]
    assert history[-1]["reason"] == "lost laptop"
    assert (await office.admin.post(f"/users/{anna.id}/unblock")).status_code == 200
    await office.signed_in(anna.email)


async def test_a_role_ends_the_sessions_and_gives_the_rights(office):
    anna = await office.user()
    assert (await office.admin.post(f"/users/{anna.id}/role", json={"role": "admin"})).status_code == 200
    assert code(await anna.client.get("/me")) == (401, "invalid_bearer_token")
    client = await office.signed_in(anna.email)
    assert (await client.post("/organisations", json={"full_name": "By Anna"})).status_code == 201


async def test_a_moderator_blocks_users_and_no_administrator(office):
    moderator, anna = await office.user(role="moderator"), await office.user()
    admin = await office.user(role="admin")
    assert (await moderator.client.post(f"/users/{anna.id}/block", json={"reason": "r"})).status_code == 200
    refused = await moderator.client.post(f"/users/{admin.id}/block", json={"reason": "r"})
    assert code(refused) == (403, "user.above_you")


async def test_leaving_ends_the_sessions_and_keeps_the_row(office):
    anna = await office.user()
    assert (await anna.client.request("DELETE", "/me")).status_code == 200
    assert code(await anna.client.get("/me")) == (401, "invalid_bearer_token")
    assert (await office.admin.get(f"/users/{anna.id}")).json()["state"] == "deactivated"
    assert (await office.admin.post(f"/users/{anna.id}/reactivate")).status_code == 200
    await office.signed_in(anna.email)


async def test_a_reset_password_must_be_changed(office):
    anna = await office.user()
    made = await office.admin.post(f"/users/{anna.id}/password")
    assert code(await anna.client.get("/me")) == (401, "invalid_bearer_token")
    client = await office.signed_in(anna.email, made.json()["temporary_password"])
    assert code(await client.get("/organisations")) == (403, "password_change_required")


async def test_the_last_administrator_stays_even_when_two_race(client):
    me = (await client.get("/me")).json()["id"]
    for path, body in [("role", {"role": "user"}), ("block", {"reason": "r"}), ("deactivate", {})]:
        assert code(await client.post(f"/users/{me}/{path}", json=body)) == (409, "user.last_admin")
    other = await client.post("/users", json=person(role="admin"))
    demoted = [f"/users/{user}/role" for user in (me, other.json()["id"])]
    answers = await asyncio.gather(*(client.post(path, json={"role": "user"}) for path in demoted))
    assert sorted(answer.status_code for answer in answers) in ([200, 409], [200, 401], [200, 403])
    (kept,) = (a for a in answers if a.status_code != 200)
    assert kept.json()["code"] in ("user.last_admin", "invalid_bearer_token", "session_ended", "forbidden")


@pytest.mark.parametrize("command", ["role", "block", "unblock", "deactivate", "reactivate", "password"])
async def test_who_is_not_there_is_unknown(office, command):
    body = {"role": {"role": "user"}, "block": {"reason": "r"}}.get(command, {})
    assert code(await office.admin.post(f"/users/{uuid4()}/{command}", json=body)) == (404, "user.unknown")


async def test_a_changed_password_opens_commands_at_once(office):
    """A refusal is never given from memory: the session that changed it goes on."""
    made = await office.admin.post("/users", json=person() | {"role": "admin"})
    email = (await office.admin.get(f"/users/{made.json()['id']}")).json()["email"]
    client = await office.signed_in(email, made.json()["temporary_password"])
    body = {"full_name": "After the change"}
    assert code(await client.post("/organisations", json=body)) == (403, "password_change_required")
    new = {"old": made.json()["temporary_password"], "new": NEW}
    assert (await client.post("/me/password", json=new)).status_code == 200
    assert (await client.post("/organisations", json=body)).status_code == 201
