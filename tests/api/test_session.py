"""Signing in and out over HTTP: what a session gives, what it stops giving at once when it is over."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta

import pytest

from domain.shared import SYSTEM
from tests.serving import ADMIN, PASSWORD, caller, sign_in

pytestmark = pytest.mark.anyio


async def login(client, name, password=PASSWORD, **more):
    return await client.post("/auth/login", json={"login": name, "password": password, **more})


async def refresh(client, token):
    return await client.post("/auth/refresh", json={"refresh_token": token})


def bearer(answer) -> dict[str, str]:
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


async def is_over(office, client) -> bool:
    """Whether nothing can be done any more: no read, no wish, no rehearsal, not even wishing for nothing."""
    place = await office.organisation()
    async with office.nothing_stored():
        answers = [
            await client.get("/me"),
            await client.patch("/me", json={"first_name": "Ghost"}),
            await client.patch("/me?dry_run=true", json={"first_name": "Ghost"}),
            await client.patch("/me", json={}),
            await client.patch(place, json={"short_name": "Ghost"}),
            await client.post("/auth/logout"),
        ]
    codes = {(answer.status_code, answer.json()["code"]) for answer in answers}
    assert all("bearer" in answer.headers["www-authenticate"].lower() for answer in answers)
    assert {status for status, _ in codes} == {401}, codes
    return True


# --- signing in ---------------------------------------------------------------------------------------------


async def test_signing_in_gives_a_pair_of_tokens(office):
    answer = await login(office.stranger, f"  {ADMIN.upper()} ")
    body = answer.json()
    assert (answer.status_code, body["token_type"], body["expires_in"]) == (200, "Bearer", 600)
    assert body.keys() == {"access_token", "token_type", "expires_in", "refresh_token", "session_id"}
    assert answer.headers["cache-control"] == "no-store"
    me = await office.stranger.get("/me", headers=bearer(answer))
    assert (me.json()["email"], me.json()["role"]) == (ADMIN, "admin")


async def test_a_wrong_password_and_an_unknown_login_look_the_same(office):
    async with office.nothing_stored():
        answers = [
            await login(office.stranger, ADMIN, "wrong"),
            await login(office.stranger, "nobody@example.org"),
        ]
    wrong, unknown = ({k: v for k, v in answer.json().items() if k != "request_id"} for answer in answers)
    assert wrong == unknown
    assert {answer.status_code for answer in answers} == {401}
    assert wrong["code"] == "auth.invalid_credentials"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"login": ADMIN}, "/password"),
        ({"login": ADMIN, "password": ""}, "/password"),
        ({"login": ADMIN, "password": "x" * 1025}, "/password"),
        ({"login": "x" * 255, "password": "x"}, "/login"),
        ({"login": ADMIN, "password": "x", "transport": "carrier pigeon"}, "/transport"),
        ({"login": ADMIN, "password": "x", "remember": True}, "/remember"),
        ({"login": [ADMIN], "password": "x"}, "/login"),
    ],
)
async def test_a_sign_in_is_asked_for_in_one_form(office, body, pointer):
    answer = await office.stranger.post("/auth/login", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "body.invalid")
    assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]
    assert "x" * 200 not in answer.text


async def test_who_is_blocked_is_out_at_once_and_told_so_only_for_the_right_password(office):
    user = await office.user()
    pair = (await login(office.stranger, user.email)).json()
    blocked = await office.admin.post(f"/users/{user.id}/block", json={"reason": "Left"})
    assert blocked.status_code == 200
    assert await is_over(office, user.client)
    assert (await refresh(office.stranger, pair["refresh_token"])).status_code == 401
    right, wrong = await login(office.stranger, user.email), await login(office.stranger, user.email, "wrong")
    assert (right.status_code, right.json()["code"]) == (403, "auth.account_blocked")
    assert (wrong.status_code, wrong.json()["code"]) == (401, "auth.invalid_credentials")


# --- signing out --------------------------------------------------------------------------------------------


async def test_after_signing_out_the_token_is_worth_nothing(office):
    user = await office.user("organisation:view", "organisation:edit")
    place = await office.organisation()
    key = {"Idempotency-Key": "before-the-end"}
    assert (await user.client.patch(place, json={"short_name": "A"}, headers=key)).status_code == 200
    answer = await user.client.post("/auth/logout")
    assert (answer.status_code, answer.content) == (204, b"")
    assert await is_over(office, user.client)
    replay = await user.client.patch(place, json={"short_name": "A"}, headers=key)
    assert replay.status_code == 401, "a stored answer is for who may still ask"


async def test_signing_out_everywhere_ends_every_session_of_ones_own(office):
    user, other = await office.user(), await office.user()
    elsewhere = await office.signed_in(user.email)
    assert (await user.client.post("/auth/logout", json={"all": True})).status_code == 204
    assert await is_over(office, user.client)
    assert await is_over(office, elsewhere)
    assert (await other.client.get("/me")).status_code == 200


async def test_ones_sessions_are_listed_and_closed_one_by_one(office):
    user, other = await office.user(), await office.user()
    elsewhere = await office.signed_in(user.email)
    here, there = [each["id"] for each in (await user.client.get("/auth/sessions")).json()["data"]][::-1]
    shown = (await user.client.get("/auth/sessions")).json()["data"]
    assert [each["is_current"] for each in shown] == [False, True]
    assert shown[0]["address"] == "127.0.0.1"
    assert shown[0]["device"].startswith("python-httpx")
    assert shown[0]["created_at"] <= shown[0]["last_used_at"]
    assert {each["state"] for each in shown} == {"open"}

    async with office.nothing_stored():
        stranger = await other.client.delete(f"/auth/sessions/{there}")
        nobody = await user.client.delete(f"/auth/sessions/{SYSTEM}")
    assert (stranger.status_code, stranger.json()["code"]) == (404, "session.unknown")
    assert nobody.status_code == 404
    closed = await user.client.delete(f"/auth/sessions/{there}")
    assert (closed.status_code, closed.json()["id"], closed.headers["etag"]) == (200, there, '"v2"')
    assert await is_over(office, elsewhere)
    assert [each["id"] for each in (await user.client.get("/auth/sessions")).json()["data"]] == [here]
    assert (await user.client.delete(f"/auth/sessions/{there}")).status_code == 404
    assert (await user.client.delete(f"/auth/sessions/{here}")).status_code == 200
    assert await is_over(office, user.client)


# --- proving the password again -----------------------------------------------------------------------------


async def test_a_critical_command_wants_the_password_proved_lately(office):
    admin, user = await office.user(role="admin"), await office.user()
    path, body = f"/users/{user.id}/block", {"reason": "Left"}
    office.owner.execute(
        "update sessions set proved_at = proved_at - interval '301 seconds', access_version = access_version + 1"
        " where user_id = %s",
        (admin.id,),
    )
    async with office.nothing_stored():
        answer = await admin.client.post(path, json=body)
        rehearsed = await admin.client.post(f"{path}?dry_run=true", json=body)
        wrong = await admin.client.post("/auth/step-up", json={"password": "wrong"})
    assert (answer.status_code, answer.json()["code"]) == (401, "step_up_required")
    assert 'error="insufficient_user_authentication", max_age=300' in answer.headers["www-authenticate"]
    assert rehearsed.status_code == 200
    assert (wrong.status_code, wrong.json()["code"]) == (401, "auth.invalid_credentials")

    proved = await admin.client.post("/auth/step-up", json={"password": PASSWORD})
    session = (await admin.client.get("/auth/sessions")).json()["data"][0]["id"]
    assert (proved.status_code, proved.json()["session_id"]) == (200, session)
    assert "refresh_token" not in proved.json()
    for token in (bearer(proved), {}):
        assert (await admin.client.post(f"{path}?dry_run=true", json=body, headers=token)).status_code == 200
    assert (await admin.client.post(path, json=body)).status_code == 200


# --- refreshing ---------------------------------------------------------------------------------------------


async def test_a_retry_gets_the_same_successor_and_an_old_token_ends_the_session(office):
    user = await office.user()
    first = (await login(office.stranger, user.email)).json()["refresh_token"]
    answers = await asyncio.gather(*(refresh(office.stranger, first) for _ in range(20)))
    (second,) = {answer.json()["refresh_token"] for answer in answers}
    assert {answer.status_code for answer in answers} == {200}
    renewed = await refresh(office.stranger, second)
    assert (await office.stranger.get("/me", headers=bearer(renewed))).status_code == 200

    session = answers[0].json()["session_id"]
    reused = await refresh(office.stranger, first)
    assert (reused.status_code, reused.json()["code"]) == (401, "auth.refresh_token_reused")
    async with caller(office.transport) as thief:
        thief.headers.update(bearer(renewed))
        assert await is_over(office, thief)
    assert (await refresh(office.stranger, renewed.json()["refresh_token"])).status_code == 401
    assert (await user.client.get("/me")).status_code == 200, "another session of the same user goes on"

    live = (await user.client.get("/auth/sessions")).json()["data"]
    assert session not in [each["id"] for each in live]
    all_of_them = (await user.client.get("/auth/sessions?show_archived=true")).json()["data"]
    (ended,) = [each for each in all_of_them if each["id"] == session]
    assert (ended["state"], ended["close_reason"]) == ("closed", "refresh_reused")
    assert ended["closed_at"] >= ended["created_at"]
    other = await office.user()
    theirs = (await other.client.get("/auth/sessions?show_archived=true")).json()["data"]
    assert session not in [each["id"] for each in theirs]


@pytest.mark.parametrize("forged", ["x", "rt1_AAAA", "rt1_" + "A" * 60, "é", "a b", "x" * 8192])
async def test_what_is_no_refresh_token_changes_nothing(office, forged):
    async with office.nothing_stored():
        answer = await refresh(office.stranger, forged)
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.invalid_refresh_token")


async def test_too_many_retries_are_told_to_wait_and_the_session_goes_on(office):
    user = await office.user()
    first = (await login(office.stranger, user.email)).json()["refresh_token"]
    async with office.nothing_stored():
        answers = await asyncio.gather(*(refresh(office.stranger, first) for _ in range(40)))
    assert sorted(Counter(answer.status_code for answer in answers).items()) == [(200, 21), (429, 19)]
    (second,) = {answer.json()["refresh_token"] for answer in answers if answer.status_code == 200}
    late = next(answer for answer in answers if answer.status_code == 429)
    assert (late.json()["code"], late.headers["retry-after"]) == ("rate_limited", "30")
    assert (await refresh(office.stranger, second)).status_code == 200


async def test_a_replayed_token_takes_the_newest_with_it(office):
    """The first of three, and the third right after it: whichever is judged first, neither is good any more."""
    user = await office.user()
    first = (await login(office.stranger, user.email)).json()["refresh_token"]
    second = (await refresh(office.stranger, first)).json()["refresh_token"]
    third = (await refresh(office.stranger, second)).json()["refresh_token"]
    assert (await refresh(office.stranger, first)).status_code == 401
    again = await asyncio.gather(*(refresh(office.stranger, third) for _ in range(5)))
    assert {answer.status_code for answer in again} == {401}


async def test_a_changed_password_leaves_other_sessions_without_tokens(office):
    user = await office.user()
    pair = (await login(office.stranger, user.email)).json()
    changed = await user.client.post("/me/password", json={"old": PASSWORD, "new": "another battery staple"})
    assert changed.status_code == 200, changed.text
    async with office.nothing_stored():
        answer = await refresh(office.stranger, pair["refresh_token"])
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.invalid_refresh_token")


async def test_a_deactivated_users_sessions_are_not_refreshed(office):
    user = await office.user()
    pair = (await login(office.stranger, user.email)).json()
    assert (await user.client.delete("/me")).status_code == 200
    async with office.nothing_stored():
        answer = await refresh(office.stranger, pair["refresh_token"])
    assert answer.status_code == 401


async def test_a_sign_in_opens_a_session_of_its_own_whatever_was_there_before(office):
    user = await office.user()
    first = (await login(office.stranger, user.email)).json()
    second = await office.stranger.post(
        "/auth/login",
        json={"login": user.email, "password": PASSWORD},
        headers={"Authorization": f"Bearer {first['access_token']}"},
    )
    assert second.json()["session_id"] != first["session_id"]


async def test_a_command_line_stays_signed_in_for_longer_and_is_shown_as_one(office):
    user = await office.user()
    answer = await login(office.stranger, user.email, transport="cli")
    assert (answer.status_code, answer.json()["token_type"]) == (200, "Bearer")
    shown = {each["id"]: each for each in (await user.client.get("/auth/sessions")).json()["data"]}
    cli = shown.pop(answer.json()["session_id"])
    (usual,) = shown.values()
    assert (cli["transport"], usual["transport"]) == ("cli", "bearer")
    assert [days(each) for each in (usual, cli)] == [30, 180]
    idle = office.owner.execute("select idle from refreshes where session_id = %s", (cli["id"],)).fetchone()
    assert idle == (timedelta(days=90),)
    office.owner.execute(
        "update refreshes set rotated_at = rotated_at - interval '8 days' where session_id = any(%s)",
        ([cli["id"], usual["id"]],),
    )
    assert (await refresh(office.stranger, answer.json()["refresh_token"])).status_code == 200
    assert (await user.client.get("/me")).status_code == 401, "seven days unused"


def days(session) -> int:
    lived = datetime.fromisoformat(session["expires_at"]) - datetime.fromisoformat(session["created_at"])
    return round(lived / timedelta(days=1))


async def test_a_session_that_was_signed_out_is_not_refreshed(office):
    pair = (await login(office.stranger, ADMIN)).json()
    token = {"Authorization": f"Bearer {pair['access_token']}"}
    await office.stranger.post("/auth/logout", headers=token)
    assert (await refresh(office.stranger, pair["refresh_token"])).status_code == 401
    assert await sign_in(office.stranger)
