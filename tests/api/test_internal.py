"""What other systems' back ends ask for: by the service secret or as API clients, people as an issuer calls them."""

import asyncio
import os
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest

from infrastructure.operations import Operations
from infrastructure.registers.outside_calls import Breaker
from tests import office as offices
from tests import servers
from tests.api.test_grant import given
from tests.conftest import CLUSTER
from tests.issuer import ADMIN_TOKEN, of, provider
from workers import jobs
from workers.forgetting import forget_user

pytestmark = pytest.mark.anyio

SECRET = "the service secret"
SERVICE = {"X-Internal-Secret": SECRET}
UPSERT, ENSURE = "/internal/users/upsert-by-sub", "/internal/authentik/users/ensure"


@pytest.fixture(scope="module")
async def idp():
    async with provider() as made:
        yield made


@pytest.fixture(scope="module")
async def office(nats_server, idp):
    with servers.database(servers.Addresses(*os.environ[CLUSTER].split("\n"))) as addresses:
        async with offices.opened(
            addresses,
            nats_server.url,
            oidc_issuers=(idp.url,),
            internal_secret=SECRET,
            idp_admin_url=idp.admin_url,
            idp_admin_token=ADMIN_TOKEN,
        ) as opened:
            yield opened


@pytest.fixture(autouse=True)
def whole_provider(idp, office):
    """Each test begins with a provider that is there, and nothing against it."""
    idp.behaves = None
    idp.users.clear()
    office.owner.execute("delete from provider_wishes")
    office.owner.execute("delete from operations")
    office.system.outside.admin.breaker = Breaker()


def code(answer):
    return answer.status_code, answer.json()["code"]


async def upsert(office, **body):
    return await office.stranger.post(UPSERT, json=body, headers=SERVICE)


async def client_of(office, *rights, **terms):
    """The headers of a new API client."""
    made = await office.admin.post("/api-clients", json={"name": "portal", **terms})
    assert made.status_code == 201, made.text
    for right in rights:
        module, action = right.split(":")
        office.grant(uuid_of(made), f"{module}:{action}", kind="client")
    body = made.json()
    return {"X-Client-Key": body["client_key"], "X-API-Key": body["api_key"]}


def uuid_of(made):
    return UUID(made.json()["id"])


# --- the service secret --------------------------------------------------------------------------------------------


async def test_the_service_secret_opens_what_is_internal_and_nothing_else(office):
    assert (await upsert(office, sub=uuid4().hex)).status_code == 201
    for wrong in (
        {},
        {"X-Internal-Secret": "wrong"},
        {"X-Internal-Secret": ""},
        {"X-Internal-Secret": SECRET + " x"},
    ):
        async with office.nothing_stored():
            answer = await office.stranger.post(UPSERT, json={"sub": "a"}, headers=wrong)
        assert code(answer) == (401, "invalid_internal_secret")
        assert answer.headers["www-authenticate"]
    for path in ("/me", "/users", "/organisations", "/permissions/catalogue"):
        answer = await office.stranger.get(path, headers=SERVICE)
        assert code(answer) == (401, "missing_bearer_token")
    person = await office.stranger.post(UPSERT, json={"sub": "a"}, headers=office.admin.headers)
    assert code(person) == (401, "invalid_internal_secret"), "people have no business there"


async def test_it_is_judged_before_the_body_and_never_beside_another_credential(office):
    assert (await office.stranger.post(UPSERT, content=b"{")).status_code == 401
    both = SERVICE | await client_of(office)
    async with office.nothing_stored():
        answer = await office.stranger.post(UPSERT, json={"sub": "a"}, headers=both)
    assert code(answer) == (400, "credentials.ambiguous")


async def test_without_one_in_the_settings_only_api_clients_come_in(database, nats_server):
    async with offices.opened(database, nats_server.url) as office:
        for headers in (SERVICE, {}, {"X-Internal-Secret": ""}):
            answer = await office.stranger.post(UPSERT, json={"sub": "a"}, headers=headers)
            assert code(answer) == (503, "internal_secret_not_configured")
        answer = await office.stranger.post(UPSERT, json={"sub": "a"}, headers=await client_of(office))
        assert answer.status_code == 201, answer.text
        assert answer.json()["identities"][0]["issuer"] == "default"
        ensured = await office.stranger.post(
            ENSURE, json={"email": "a@example.org"}, headers=await client_of(office)
        )
        assert code(ensured) == (503, "identity_provider_not_configured")


# --- people --------------------------------------------------------------------------------------------------------


async def test_an_upsert_makes_the_user_once_and_then_changes_what_is_given(office, idp):
    sub = uuid4().hex
    made = await upsert(office, sub=sub, email=f"{sub}@example.org", display_name="Ann Lee")
    body = made.json()
    assert made.status_code == 201
    assert (body["sub"], body["email"], body["display_name"]) == (sub, f"{sub}@example.org", "Ann Lee")
    assert (body["state"], body["role"], body["identities"][0]["issuer"]) == ("active", "user", idp.url)
    assert made.headers["etag"] == f'"v{body["version"]}"'
    assert made.headers["x-event-position"] == str(body["position"])
    async with office.nothing_stored():
        again = await upsert(office, sub=sub, display_name="Ann Lee")
    assert (again.status_code, again.json()) == (200, body)
    changed = await upsert(office, sub=sub, display_name="Ann Smith")
    assert (changed.status_code, changed.json()["display_name"]) == (200, "Ann Smith")
    assert changed.json()["email"] == body["email"]
    assert (await office.admin.get(f"/users/{body['id']}")).json() == changed.json()


async def test_an_upsert_deactivates_and_lets_in_again_only_when_it_says_so(office, idp):
    sub = uuid4().hex
    user_id = (await upsert(office, sub=sub)).json()["id"]
    token = {"Authorization": f"Bearer {idp.token(sub)}"}
    assert (await office.stranger.get("/me", headers=token)).status_code == 200
    assert (await upsert(office, sub=sub, is_active=False)).json()["state"] == "deactivated"
    assert (await office.stranger.get("/me", headers=token)).status_code == 401
    assert (await upsert(office, sub=sub, display_name="X")).json()["state"] == "deactivated"
    assert (await upsert(office, sub=sub, is_active=True)).json()["state"] == "active"
    assert (await office.admin.post(f"/users/{user_id}/block", json={"reason": "x"})).status_code == 200
    assert (await upsert(office, sub=sub, is_active=True)).json()["state"] == "blocked"


async def test_an_upsert_never_takes_over_an_account_by_its_address(office):
    admin = (await office.admin.get("/me")).json()
    answer = await upsert(office, sub=uuid4().hex, email=admin["email"])
    assert answer.status_code == 201
    assert (answer.json()["email"], answer.json()["identities"][0]["last_error"]) == (None, "email_taken")
    assert answer.json()["id"] != admin["id"]


async def test_a_hundred_upserts_at_once_make_one_user(office):
    sub = uuid4().hex
    answers = await asyncio.gather(*(upsert(office, sub=sub) for _ in range(100)))
    assert sorted({answer.status_code for answer in answers}) == [200, 201]
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_a_wrong_body_makes_nobody(office):
    for body in (
        {},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 256},
        {"sub": "a", "role": "admin"},
        {"sub": "a", "is_active": "yes"},
    ):
        async with office.nothing_stored():
            assert (await upsert(office, **body)).status_code == 400, body
    for sub in ("a\nb", " a", "a\u0085"):
        async with office.nothing_stored():
            assert code(await upsert(office, sub=sub)) == (422, "user.identity_invalid")


async def test_a_repeat_under_a_key_is_replayed_and_a_dry_run_stores_nothing(office):
    sub = uuid4().hex
    async with office.nothing_stored():
        dry = await office.stranger.post(f"{UPSERT}?dry_run=true", json={"sub": sub}, headers=SERVICE)
    assert [each["topic"] for each in dry.json()["events"]] == ["user.provisioned.v1"]
    headers = SERVICE | {"Idempotency-Key": sub}
    first = await office.stranger.post(UPSERT, json={"sub": sub}, headers=headers)
    again = await office.stranger.post(UPSERT, json={"sub": sub}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["idempotent-replayed"] == "true"
    other = await office.stranger.post(UPSERT, json={"sub": sub + "x"}, headers=headers)
    assert code(other) == (422, "idempotency_key_reused")


# --- snapshots -----------------------------------------------------------------------------------------------------


async def snapshot(office, sub, **headers):
    path = f"/internal/permissions/{quote(sub, safe='')}/snapshot"
    return await office.stranger.get(path, headers=SERVICE | headers)


@pytest.mark.parametrize("sub", ["plain", "a/b//c", "a b", "d%2Fe", "ключ", "auth0|7+1", "a?b#c", "..", "%"])
async def test_a_snapshot_is_found_by_whatever_the_issuer_calls_somebody(office, sub):
    sub = f"{sub}-{uuid4().hex}"
    user_id = (await upsert(office, sub=sub)).json()["id"]
    await given(office.admin, user_id, "contract:view")
    answer = await snapshot(office, sub)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["sub"] == sub
    assert ("contract", "view") in {(each["module"], each["action"]) for each in body["permissions"]}
    same = await snapshot(office, sub, **{"If-None-Match": answer.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")


async def test_an_own_users_id_is_a_subject_too_and_an_unknown_one_is_not_found(office):
    anna = await office.user("contract:view")
    assert (await snapshot(office, str(anna.id))).status_code == 200
    path = f"/internal/permissions/{anna.id}/snapshot?issuer=https://idp.example/"
    assert code(await office.stranger.get(path, headers=SERVICE)) == (404, "user_not_found")
    for sub in ("nobody", str(uuid4()), "x" * 3000):
        assert code(await snapshot(office, sub)) == (404, "user_not_found")
    made = await office.admin.post("/api-clients", json={"name": "portal"})
    assert code(await snapshot(office, made.json()["id"])) == (404, "user_not_found"), "no person"
    answer = await office.stranger.get(f"/internal/permissions/{anna.id}/snapshot")
    assert code(answer) == (401, "invalid_internal_secret")


async def test_who_is_blocked_holds_nothing(office):
    sub = uuid4().hex
    user_id = (await upsert(office, sub=sub)).json()["id"]
    assert (await snapshot(office, sub)).json()["permissions"]
    await office.admin.post(f"/users/{user_id}/block", json={"reason": "left"})
    assert (await snapshot(office, sub)).json()["permissions"] == []


# --- the identity provider -----------------------------------------------------------------------------------------


async def ensure(office, **body):
    return await office.stranger.post(ENSURE, json=body, headers=SERVICE)


async def work_off(office):
    """The jobs that are due, as a worker does them."""
    office.owner.execute("update operations set run_at = now(), offered_at = null where state = 'queued'")
    operations = Operations(office.system.pool)
    for operation_id in await operations.due():
        await jobs.perform(office.system, operations, operation_id)


def left(office):
    return office.owner.execute(
        "select (select count(*) from provider_wishes), (select count(*) from operations where state = 'queued')"
    ).fetchone()


async def test_a_person_is_made_at_the_provider_once(office, idp):
    wish = {"email": "ann@example.org", "display_name": "Ann Lee", "username": "ann"}
    made = await ensure(office, **wish)
    assert (made.status_code, made.json()) == (200, {"authentik_user_id": 1, "result": "created"})
    assert idp.users[1]["name"] == "Ann Lee"
    again = await ensure(office, **wish)
    assert again.json() == {"authentik_user_id": 1, "result": "unchanged"}
    changed = await ensure(office, username="ann", display_name="Ann Smith", is_active=False)
    assert changed.json() == {"authentik_user_id": 1, "result": "updated"}
    assert (idp.users[1]["name"], idp.users[1]["is_active"], idp.users[1]["email"]) == (
        "Ann Smith",
        False,
        "ann@example.org",
    )
    assert len(idp.users) == 1
    assert left(office) == (0, 0)


async def test_twenty_at_once_make_one_there(office, idp):
    answers = await asyncio.gather(*(ensure(office, email="bob@example.org") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["authentik_user_id"] for answer in answers} == {1}
    assert [user["username"] for user in idp.users.values()] == ["bob@example.org"]


async def test_a_known_subject_needs_no_more_and_his_books_are_kept(office, idp):
    sub = uuid4().hex
    user = (await upsert(office, sub=sub, email=f"{sub}@example.org", display_name="Ann Lee")).json()
    assert (await ensure(office, sub=sub)).json()["result"] == "created"
    assert (idp.users[1]["name"], idp.users[1]["email"]) == ("Ann Lee", f"{sub}@example.org")

    async def gone(*_):
        return of({}, 502)

    idp.behaves = gone
    answer = await ensure(office, sub=sub, display_name="Ann Smith")
    assert code(answer) == (503, "identity_provider_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    there = (await office.admin.get(f"/users/{user['id']}")).json()["identities"][0]
    assert there["last_error"] == "provider_unavailable"
    idp.behaves = None
    await work_off(office)
    assert idp.users[1]["name"] == "Ann Smith"
    here = (await office.admin.get(f"/users/{user['id']}")).json()["identities"][0]
    assert here["last_error"] is None
    assert here["last_synced_at"] > there["last_synced_at"]
    assert left(office) == (0, 0)


async def test_what_is_wished_during_an_outage_is_carried_out_once_and_as_wished_last(office, idp):
    async def gone(*_):
        return None

    idp.behaves = gone
    for name in ("A", "B", "C"):
        answer = await ensure(office, username="carol", display_name=name)
        assert code(answer) == (503, "identity_provider_unavailable")
    assert left(office) == (1, 1)
    sealed = office.owner.execute("select sealed, person from provider_wishes").fetchone()
    assert b"carol" not in sealed[0]
    assert "carol" not in sealed[1]
    for _ in range(20):  # longer than any one operation is tried
        await work_off(office)
    assert left(office) == (1, 1)
    idp.behaves = None
    office.system.outside.admin.breaker = Breaker()
    await work_off(office)
    assert [user["name"] for user in idp.users.values()] == ["C"]
    assert left(office) == (0, 0)


async def test_what_the_provider_was_not_told_yet_of_somebody_who_was_forgotten_it_is_never_told(office, idp):
    async def gone(*_):
        return None

    sub, idp.behaves = uuid4().hex, gone
    user = (await upsert(office, sub=sub, email=f"{sub}@example.org", display_name="Ann Lee")).json()
    other = {"username": "carol", "display_name": "Carol"}
    for wish in ({"sub": sub}, other):
        assert code(await ensure(office, **wish)) == (503, "identity_provider_unavailable")
    assert left(office) == (2, 2)
    erased = await office.admin.post(f"/users/{user['id']}/erase", json={"reason": "asked for it"})
    await office.admin.get("/users")  # read models follow
    await forget_user(office.system, UUID(user["id"]), erased.json()["position"])
    idp.behaves = None
    office.system.outside.admin.breaker = Breaker()
    await work_off(office)
    assert [each["name"] for each in idp.users.values()] == ["Carol"]
    assert left(office) == (0, 0)


async def test_after_some_failures_nobody_waits_for_the_provider(office, idp):
    async def gone(*_):
        return of({}, 500)

    idp.behaves = gone
    for _ in range(5):
        await ensure(office, email="dave@example.org")
    before = len(idp.asked)
    answer = await ensure(office, email="dave@example.org")
    assert code(answer) == (503, "identity_provider_unavailable")
    assert len(idp.asked) == before
    assert (await upsert(office, sub=uuid4().hex)).status_code == 201, "everything else goes on"


@pytest.mark.parametrize(
    "said",
    [of({}, 401), of({}, 403), of({}, 429), of({}, 302), (200, {}, b"<html>"), (200, {}, b" " * 2_000_000)],
)
async def test_an_answer_of_no_use_is_an_outage(office, idp, said):
    async def behaves(*_):
        return said

    idp.behaves = behaves
    assert code(await ensure(office, email="erin@example.org")) == (503, "identity_provider_unavailable")
    idp.behaves = None
    await work_off(office)
    assert len(idp.users) == 1


async def test_a_provider_that_hangs_is_given_three_seconds(office, idp, monkeypatch):
    monkeypatch.setattr("infrastructure.security.identity_provider.SECONDS", 0.1)

    async def hang(*_):
        await asyncio.Event().wait()

    idp.behaves = hang
    assert code(await ensure(office, email="frank@example.org")) == (503, "identity_provider_unavailable")
    idp.behaves = None
    await work_off(office)
    assert len(idp.users) == 1


async def test_what_the_provider_does_not_take_is_said_and_not_tried_again(office, idp):
    async def refuses(method, _):
        return of({"username": ["Enter a valid username."]}, 400) if method == "POST" else of({"results": []})

    idp.behaves = refuses
    answer = await ensure(office, username="???")
    assert code(answer) == (422, "identity_provider_refused")
    assert [each["pointer"] for each in answer.json()["errors"]] == ["/username"]
    assert "valid" not in answer.text, "what a stranger wrote is not passed on"
    assert left(office)[0] == 0


async def test_somebody_must_be_named(office):
    for body in ({}, {"display_name": "X"}):
        assert code(await ensure(office, **body)) == (422, "user.identity_invalid")
    assert (await ensure(office, email="no address")).status_code == 400
