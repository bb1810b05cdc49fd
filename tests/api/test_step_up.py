"""Critical commands want the password proved within five minutes: every one of them, and no other."""

from uuid import uuid4

import httpx
import pytest

from tests.serving import PASSWORD, caller

pytestmark = pytest.mark.anyio


@pytest.fixture
async def late(office):
    """An administrator whose proof is 301 seconds old."""
    admin = await office.user(role="admin")
    age(office, admin)
    return admin


def age(office, person, seconds=301):
    office.owner.execute(
        "update sessions set proved_at = proved_at - make_interval(secs => %s),"
        " access_version = access_version + 1 where user_id = %s",
        (seconds, person.id),
    )


async def grant(office):
    user = await office.user()
    right = {"subject": {"type": "user", "id": str(user.id)}, "scope_type": "global", "scope_id": "*"}
    return right | {"module": "organisation", "action": "view"}


async def given_grant(office):
    return (await office.admin.post("/grants", json=await grant(office))).json()["id"]


async def contract(office):
    place = (await office.organisation()).rpartition("/")[2]
    body = {
        "kind": "sale",
        "organisation_id": place,
        "title": "T",
        "amount": {"amount": "1.00", "currency": "EUR"},
    }
    answer = await office.admin.post("/contracts", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def contact(office):
    answer = await office.admin.post(f"{await office.organisation()}/contacts", json={"last_name": "Casey"})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def hold(user):
    return {"subject": {"type": "user", "id": str(user)}, "reason": "Case 12/2026"}


async def api_client(office):
    answer = await office.admin.post("/api-clients", json={"name": "Back office"})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def asked(office, command) -> tuple[str, str, dict]:
    """Method, path and body of that command, on a record of its own."""
    user = (await office.user()).id
    match command:
        case "grant":
            return "POST", "/grants", await grant(office)
        case "revoke":
            return "POST", f"/grants/{await given_grant(office)}/revoke", {"reason": "Left"}
        case "role":
            return "POST", f"/users/{user}/role", {"role": "moderator"}
        case "block":
            return "POST", f"/users/{user}/block", {"reason": "Left"}
        case "deactivate":
            return "POST", f"/users/{user}/deactivate", {}
        case "password":
            return "POST", f"/users/{user}/password", {}
        case "sign":
            return "POST", f"/contracts/{await contract(office)}/sign", {}
        case "cancel":
            return "POST", f"/contracts/{await contract(office)}/cancel", {"reason": "Asked for"}
        case "register a client":
            return "POST", "/api-clients", {"name": "Back office"}
        case "change a client":
            return "PATCH", f"/api-clients/{await api_client(office)}", {"name": "Front office"}
        case "add a key":
            return "POST", f"/api-clients/{await api_client(office)}/keys", {"overlap_hours": 1}
        case "disable":
            return "POST", f"/api-clients/{await api_client(office)}/disable", {}
        case "leave":
            return "DELETE", "/me", {}
        case "erase a user":
            return "POST", f"/users/{user}/erase", {"reason": "Asked for it"}
        case "erase a contact":
            return "POST", f"/contacts/{await contact(office)}/erase", {"reason": "Asked for it"}
        case "place a hold":
            return "POST", "/legal-holds", hold(user)
        case "release a hold":
            placed = await office.admin.post("/legal-holds", json=hold(user))
            return "POST", f"/legal-holds/{placed.json()['id']}/release", {}
    raise AssertionError(command)


COMMANDS = (
    "grant", "revoke", "role", "block", "deactivate", "password", "sign", "cancel",
    "register a client", "change a client", "add a key", "disable", "leave",
    "erase a user", "erase a contact", "place a hold", "release a hold",
)  # fmt: skip


async def send(client: httpx.AsyncClient, method, path, body, key, query=""):
    more = {} if method == "DELETE" else {"json": body}
    return await client.request(method, f"{path}{query}", headers={"Idempotency-Key": key}, **more)


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_critical_command_waits_for_the_password_and_a_rehearsal_or_a_replay_does_not(
    office, late, command
):
    method, path, body = await asked(office, command)
    key = str(uuid4())
    async with office.nothing_stored():
        refused = await send(late.client, method, path, body, key)
        rehearsed = await send(late.client, method, path, body, key, "?dry_run=true")
    assert (refused.status_code, refused.json()["code"]) == (401, "step_up_required"), refused.text
    assert "max_age=300" in refused.headers["www-authenticate"]
    assert rehearsed.status_code == 200, rehearsed.text
    proved = await late.client.post("/auth/step-up", json={"password": PASSWORD})
    assert proved.status_code == 200
    done = await send(late.client, method, path, body, key)
    assert done.status_code in (200, 201), done.text
    if command != "leave":
        age(office, late)
        async with office.nothing_stored():
            replayed = await send(late.client, method, path, body, key)
        assert (replayed.status_code, replayed.headers["idempotent-replayed"]) == (done.status_code, "true")


async def test_a_refresh_proves_nothing_and_a_proof_outlives_it(office):
    admin, user = await office.user(role="admin"), await office.user()
    body = {"login": admin.email, "password": PASSWORD}
    pair = (await office.stranger.post("/auth/login", json=body)).json()
    async with caller(office.transport) as client:

        async def refreshed():
            answer = await client.post("/auth/refresh", json={"refresh_token": pair["refresh_token"]})
            pair.update(answer.json())
            client.headers["authorization"] = f"Bearer {pair['access_token']}"

        await refreshed()
        path, reason = f"/users/{user.id}/block", {"reason": "Left"}
        assert (await client.post(path, json=reason)).status_code == 200, "the sign-in counts"
        age(office, admin)
        await refreshed()
        assert (await client.post(f"/users/{user.id}/unblock")).status_code == 200
        assert (await client.post(path, json=reason)).json()["code"] == "step_up_required"
