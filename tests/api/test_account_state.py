"""What ends the sessions of an account and what does not, and who then signs in again: one table."""

from uuid import uuid4

import pytest

from tests.serving import PASSWORD

pytestmark = pytest.mark.anyio

NEW = "another correct horse battery"
OUT, IN = True, False
LOGS_IN, KNOWN, UNKNOWN = (200, None), (403, "auth.account_blocked"), (401, "auth.invalid_credentials")


async def block(office, anna):
    return await office.admin.post(f"/users/{anna.id}/block", json={"reason": "r"})


async def unblock(office, anna):
    return await office.admin.post(f"/users/{anna.id}/unblock")


async def deactivate(office, anna):
    return await office.admin.post(f"/users/{anna.id}/deactivate")


async def reactivate(office, anna):
    return await office.admin.post(f"/users/{anna.id}/reactivate")


async def leave(office, anna):
    return await anna.client.request("DELETE", "/me")


async def promote(office, anna):
    return await office.admin.post(f"/users/{anna.id}/role", json={"role": "moderator"})


async def keep_the_role(office, anna):
    return await office.admin.post(f"/users/{anna.id}/role", json={"role": "user"})


async def reset_the_password(office, anna):
    return await office.admin.post(f"/users/{anna.id}/password")


async def change_the_password(office, anna):
    client = await office.signed_in(anna.email)
    return await client.post("/me/password", json={"old": PASSWORD, "new": NEW})


async def change_the_department(office, anna):
    made = await office.admin.post("/departments", json={"name": f"Department {uuid4()}"})
    return await office.admin.post(f"/users/{anna.id}/department", json={"department_id": made.json()["id"]})


async def change_the_profile(office, anna):
    return await office.admin.patch(f"/users/{anna.id}", json={"first_name": "Anne"})


async def grant_a_right(office, anna):
    right = {"scope_type": "global", "scope_id": "*", "module": "contract", "action": "view"}
    return await office.admin.post("/grants", json={"subject": {"type": "user", "id": str(anna.id)}, **right})


async def sign_out_here(office, anna):
    return await anna.client.post("/auth/logout", json={})


async def sign_out_everywhere(office, anna):
    return await anna.client.post("/auth/logout", json={"all": True})


@pytest.mark.parametrize(
    ("happens", "ends", "signs_in"),
    [
        (block, OUT, KNOWN),
        (unblock, IN, LOGS_IN),
        (deactivate, OUT, KNOWN),
        (reactivate, IN, LOGS_IN),
        (leave, OUT, KNOWN),
        (promote, OUT, LOGS_IN),
        (keep_the_role, IN, LOGS_IN),
        (reset_the_password, OUT, UNKNOWN),
        (change_the_password, OUT, UNKNOWN),
        (change_the_department, IN, LOGS_IN),
        (change_the_profile, IN, LOGS_IN),
        (grant_a_right, IN, LOGS_IN),
        (sign_out_here, IN, LOGS_IN),
        (sign_out_everywhere, OUT, LOGS_IN),
    ],
)
async def test_what_ends_another_session_of_the_account_ends_it_at_once(office, happens, ends, signs_in):
    anna = await office.user("organisation:create")
    login = {"login": anna.email, "password": PASSWORD}
    tokens = (await office.stranger.post("/auth/login", json=login)).json()
    there = {"Authorization": f"Bearer {tokens['access_token']}"}
    answer = await happens(office, anna)
    assert answer.status_code in (200, 201, 204), answer.text
    read = await office.stranger.get("/me", headers=there)
    wrote = await office.stranger.post("/organisations", json={"full_name": "A"}, headers=there)
    assert (read.status_code, wrote.status_code) == ((401, 401) if ends else (200, 201))
    renewed = await office.stranger.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert renewed.status_code == (401 if ends else 200)
    again = await office.stranger.post("/auth/login", json=login)
    assert (again.status_code, again.json().get("code")) == signs_in


async def test_a_changed_password_spares_the_session_it_was_changed_in(office):
    anna = await office.user()
    assert (await anna.client.post("/me/password", json={"old": PASSWORD, "new": NEW})).status_code == 200
    assert (await anna.client.get("/me")).status_code == 200


STATES = {
    "active": (),
    "blocked": (block,),
    "deactivated": (deactivate,),
    "blocked, then deactivated": (block, deactivate),
}
AFTER = {
    ("active", block): "blocked",
    ("active", unblock): "active",
    ("active", deactivate): "deactivated",
    ("active", reactivate): "active",
    ("blocked", block): "blocked",
    ("blocked", unblock): "active",
    ("blocked", deactivate): "deactivated",
    ("blocked", reactivate): "user.blocked",
    ("deactivated", block): "user.deactivated",
    ("deactivated", unblock): "deactivated",
    ("deactivated", deactivate): "deactivated",
    ("deactivated", reactivate): "active",
    ("blocked, then deactivated", reactivate): "active",
}


@pytest.mark.parametrize(
    ("before", "command", "after"),
    [(*key, after) for key, after in AFTER.items()],
    ids=lambda each: getattr(each, "__name__", each),
)
async def test_every_command_from_every_state(office, before, command, after):
    anna = await office.user(role="moderator")
    for step in STATES[before]:
        assert (await step(office, anna)).status_code == 200
    head = await office.head()
    answer = await command(office, anna)
    user = (await office.admin.get(f"/users/{anna.id}")).json()
    if after.startswith("user."):
        assert (answer.status_code, answer.json()["code"]) == (409, after)
        assert await office.head() == head
    else:
        assert (answer.status_code, user["state"]) == (200, after)
        assert (await office.head() > head) is (before.split(", then ")[-1] != after)
    assert user["role"] == "moderator"


def _commands(user_id):
    return {
        "edit": ("PATCH", f"/users/{user_id}", {"job_title": "Clerk"}),
        "role user": ("POST", f"/users/{user_id}/role", {"role": "user"}),
        "role moderator": ("POST", f"/users/{user_id}/role", {"role": "moderator"}),
        "role admin": ("POST", f"/users/{user_id}/role", {"role": "admin"}),
        "password": ("POST", f"/users/{user_id}/password", {}),
        "block": ("POST", f"/users/{user_id}/block", {"reason": "r"}),
        "unblock": ("POST", f"/users/{user_id}/unblock", {}),
    }


@pytest.mark.parametrize("command", _commands(""))
@pytest.mark.parametrize("rank", ["user", "moderator", "admin"])
async def test_a_moderator_acts_on_nobody_above_and_resets_no_password_beside_him(office, rank, command):
    moderator, target = await office.user(role="moderator"), await office.user(role=rank)
    method, path, body = _commands(target.id)[command]
    head = await office.head()
    answer = await moderator.client.request(method, path, json=body)
    refused = rank == "admin" or command == "role admin" or (command == "password" and rank == "moderator")
    if refused:
        assert (answer.status_code, answer.json()["code"]) == (403, "user.above_you")
        assert await office.head() == head
    else:
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("command", ["deactivate", "reactivate", "department"])
async def test_what_a_moderator_has_no_right_to(office, command):
    moderator, target = await office.user(role="moderator"), await office.user()
    body = {"department_id": None} if command == "department" else {}
    async with office.nothing_stored():
        answer = await moderator.client.post(f"/users/{target.id}/{command}", json=body)
    assert (answer.status_code, answer.json()["required"]) == (403, f"user:{command}")


async def test_a_moderator_does_not_promote_himself(office):
    moderator = await office.user(role="moderator")
    async with office.nothing_stored():
        answer = await moderator.client.post(f"/users/{moderator.id}/role", json={"role": "admin"})
    assert (answer.status_code, answer.json()["code"]) == (403, "user.above_you")
