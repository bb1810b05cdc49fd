"""API clients over HTTP: registered and kept by administrators, and asking as themselves."""

import asyncio
from uuid import UUID, uuid4

import pytest

from infrastructure.api_keys import ApiKeys
from infrastructure.guard_check import verify
from infrastructure.personal_data import wrapping_of

pytestmark = pytest.mark.anyio


def code(answer):
    return answer.status_code, answer.json()["code"]


def pointers(answer):
    return [(error["pointer"], error["code"]) for error in answer.json()["errors"]]


async def registered(office, **terms):
    answer = await office.admin.post("/api-clients", json={"name": "Back office", **terms})
    assert answer.status_code == 201, answer.text
    return answer.json()


def credentials(made, **more):
    return {"X-Client-Key": made["client_key"], "X-API-Key": made["api_key"], **more}


async def asked(office, made, path="/permissions/catalogue", **headers):
    return await office.stranger.get(path, headers=credentials(made, **headers))


async def test_a_client_is_registered_with_a_key_shown_once(office):
    body = {"name": "Back office", "rate_limit_per_min": 600}
    key = {"Idempotency-Key": uuid4().hex}
    made = await office.admin.post("/api-clients", json=body, headers=key)
    assert (made.status_code, made.headers["etag"]) == (201, '"v1"')
    assert made.headers["location"] == f"/api/v1/api-clients/{made.json()['id']}"
    assert made.json()["api_key"].startswith("chk_")
    again = await office.admin.post("/api-clients", json=body, headers=key)
    assert again.json() == made.json() | {"api_key": None, "shown_once": True}
    assert again.headers["idempotent-replayed"] == "true"
    assert (await asked(office, made.json())).status_code == 200


async def test_a_client_is_a_caller_with_its_own_rights(office):
    made = await registered(office)
    refused = await office.stranger.post(
        "/organisations", json={"full_name": "A"}, headers=credentials(made)
    )
    assert code(refused) == (403, "forbidden")
    grant = {
        "subject": {"type": "client", "id": made["id"]},
        "scope_type": "global",
        "scope_id": "*",
        "module": "organisation",
        "action": "create",
    }
    given = await office.admin.post("/grants", json=grant)
    assert given.status_code == 201, given.text
    added = await office.stranger.post("/organisations", json={"full_name": "A"}, headers=credentials(made))
    assert added.status_code == 201, added.text
    (recorded,) = await office.system.recorded(UUID(added.json()["id"]))
    assert (recorded.metadata.actor.kind, str(recorded.metadata.actor.id)) == ("client", made["id"])
    assert str(recorded.metadata.client_id) == made["id"]
    snapshot = (await asked(office, made, "/me/permissions/snapshot")).json()
    assert [one["action"] for one in snapshot["permissions"]] == ["create"]
    revoked = await office.admin.post(f"/grants/{given.json()['id']}/revoke", json={"reason": "over"})
    assert revoked.status_code == 200
    refused = await office.stranger.post(
        "/organisations", json={"full_name": "B"}, headers=credentials(made)
    )
    assert code(refused) == (403, "forbidden")
