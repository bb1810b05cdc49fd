"""API clients over HTTP: registered and kept by administrators, and asking as themselves."""

import asyncio
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_network
from uuid import UUID, uuid4

import bcrypt
import httpx
import pytest
from argon2 import PasswordHasher

from api.app import edge_of
from application.access import Forbidden, SessionEnded
from application.context import Context
from domain.organisation.commands import AddOrganisation
from infrastructure.guard_check import verify
from infrastructure.personal_data import wrapping_of
from tests.waiting import until

pytestmark = pytest.mark.anyio

READ = "/permissions/catalogue"
HOUR = timedelta(hours=1)


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


async def asked(office, made, path=READ, **headers):
    return await office.stranger.get(path, headers=credentials(made, **headers))


async def changed(office, made, body, verb=""):
    call = office.admin.post if verb else office.admin.patch
    answer = await call(f"/api-clients/{made['id']}{verb}", json=body)
    assert answer.status_code == (201 if verb == "/keys" else 200), answer.text
    return answer.json()


async def may(office, made, module, action):
    body = {"subject": {"type": "client", "id": made["id"]}, "scope_type": "global", "scope_id": "*"}
    given = await office.admin.post("/grants", json=body | {"module": module, "action": action})
    assert given.status_code == 201, given.text
    return given.json()["id"]


async def topics(office, made):
    return [event.topic for event in await office.system.recorded(UUID(made["id"]))]


def at(office, address, headers=None):
    """As somebody at that address meets an API behind one proxy, 10.9.9.9."""
    edge = edge_of(office.system)
    edge.trusted = (ip_network("10.9.9.9"),)
    transport = httpx.ASGITransport(edge, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://testserver/api/v1", headers=headers)


# --- registered, changed, disabled -------------------------------------------------------------------------------


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
    refused = await office.stranger.post("/organisations", json={"full_name": "A"}, headers=credentials(made))
    assert code(refused) == (403, "forbidden")
    grant = await may(office, made, "organisation", "create")
    added = await office.stranger.post("/organisations", json={"full_name": "A"}, headers=credentials(made))
    assert added.status_code == 201, added.text
    (recorded,) = await office.system.recorded(UUID(added.json()["id"]))
    assert (recorded.metadata.actor.kind, str(recorded.metadata.actor.id)) == ("client", made["id"])
    assert str(recorded.metadata.client_id) == made["id"]
    snapshot = (await asked(office, made, "/me/permissions/snapshot")).json()
    assert [one["action"] for one in snapshot["permissions"]] == ["create"]
    revoked = await office.admin.post(f"/grants/{grant}/revoke", json={"reason": "over"})
    assert revoked.status_code == 200
    refused = await office.stranger.post("/organisations", json={"full_name": "B"}, headers=credentials(made))
    assert code(refused) == (403, "forbidden")


async def test_its_terms_are_changed_and_shown(office):
    made = await registered(
        office,
        kind="browser",
        client_key=f"mkt.{uuid4().hex}",
        allowed_origins=["https://app.example.org", "http://localhost:3000"],
        allowed_ips=["10.0.0.0/8", "::ffff:192.0.2.1", "2001:db8::/32"],
        allowed_paths=["/organisations/{id}", "/api/v1/contracts/*"],
        rate_limit_per_min=60,
        expires_at="2999-01-01T00:00:00Z",
    )
    shown = (await office.admin.get(f"/api-clients/{made['id']}")).json()
    assert shown["allowed_ips"] == ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"]
    assert (shown["kind"], shown["status"], shown["last_used_at"]) == ("browser", "active", None)
    assert (shown["client_key"], shown["rate_limit_per_min"]) == (made["client_key"], 60)
    assert made["api_key"] not in str(shown)
    await changed(office, made, {"name": "Other", "allowed_ips": None, "expires_at": None})
    shown = (await office.admin.get(f"/api-clients/{made['id']}")).json()
    assert (shown["name"], shown["allowed_ips"], shown["expires_at"]) == ("Other", [], None)
    assert shown["allowed_paths"] == ["/organisations/{id}", "/api/v1/contracts/*"]
    async with office.nothing_stored():
        await changed(office, made, {"name": "Other"})
    listed = (
        await office.admin.get("/api-clients", params={"filter": f"client_key={made['client_key']}"})
    ).json()
    assert listed["data"] == [shown]
    history = (await office.admin.get(f"/api-clients/{made['id']}/history")).json()["data"]
    assert [each["topic"] for each in history] == ["api_client.registered.v1", "api_client.changed.v1"]


async def test_disabled_it_is_out_at_once_and_enabled_it_is_in_again(office):
    made = await registered(office)
    await may(office, made, "organisation", "create")
    await changed(office, made, {"reason": "leaked"}, "/disable")
    async with office.nothing_stored():
        assert code(await asked(office, made)) == (401, "client_inactive")
        refused = await office.stranger.post(
            "/organisations", json={"full_name": "A"}, headers=credentials(made)
        )
        assert code(refused) == (401, "client_inactive")
        await changed(office, made, {}, "/disable")
    given = await office.admin.post(
        "/grants",
        json={
            "subject": {"type": "client", "id": made["id"]},
            "scope_type": "global",
            "scope_id": "*",
            "module": "file",
            "action": "view",
        },
    )
    assert pointers(given) == [("/subject/id", "unknown")]
    await changed(office, made, {}, "/enable")
    async with office.nothing_stored():
        await changed(office, made, {}, "/enable")
    added = await office.stranger.post("/organisations", json={"full_name": "A"}, headers=credentials(made))
    assert added.status_code == 201
    assert await topics(office, made) == [
        "api_client.registered.v1",
        "api_client.disabled.v1",
        "api_client.enabled.v1",
    ]


async def test_a_command_on_its_way_is_judged_by_the_standing_session(office):
    """Disabled, expired, or without its grant, between the lane and the lock."""

    async def revoked(_, grant):
        await office.admin.post(f"/grants/{grant}/revoke", json={"reason": "over"})

    async def disabled(made, _):
        await changed(office, made, {}, "/disable")

    async def expired(made, _):
        await changed(office, made, {"expires_at": "2020-01-01T00:00:00Z"})

    for stop, refusal in ((revoked, Forbidden), (disabled, SessionEnded), (expired, SessionEnded)):
        made = await registered(office)
        grant = await may(office, made, "organisation", "create")
        before = (await office.system.known_clients.known(made["client_key"])).caller
        await stop(made, grant)
        async with office.nothing_stored():
            with pytest.raises(refusal):
                await office.system.organisations.add(
                    AddOrganisation(full_name="A"), Context(caller=before, request_id="late")
                )


@pytest.mark.parametrize(
    ("terms", "wrong"),
    [
        ({"allowed_origins": ["https://A.example"]}, ("/allowed_origins/0", "origin")),
        ({"allowed_origins": ["https://a.example", "*"]}, ("/allowed_origins/1", "origin")),
        ({"allowed_origins": ["null"]}, ("/allowed_origins/0", "origin")),
        ({"allowed_origins": ["https://a.example/"]}, ("/allowed_origins/0", "origin")),
        ({"allowed_origins": ["https://a.example:443"]}, ("/allowed_origins/0", "origin")),
        ({"allowed_origins": ["https://a.example:70000"]}, ("/allowed_origins/0", "origin")),
        ({"allowed_ips": ["10.0.0.1/8"]}, ("/allowed_ips/0", "network")),
        ({"allowed_ips": ["127.1"]}, ("/allowed_ips/0", "network")),
        ({"allowed_ips": ["localhost"]}, ("/allowed_ips/0", "network")),
        ({"allowed_paths": ["/nowhere"]}, ("/allowed_paths/0", "unknown")),
        ({"allowed_paths": ["/organisations/7"]}, ("/allowed_paths/0", "unknown")),
        ({"allowed_paths": ["/organisations/*/history"]}, ("/allowed_paths/0", "unknown")),
        ({"api_key_hash": "md5:00", "client_key": "x"}, ("/api_key_hash", "hash")),
        ({"api_key_hash": "$2b$31$" + "a" * 53, "client_key": "x"}, ("/api_key_hash", "hash")),
        (
            {"api_key_hash": "$argon2id$v=19$m=99999999,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g", "client_key": "x"},
            ("/api_key_hash", "hash"),
        ),
        ({"api_key_hash": "sha256:" + "0" * 64}, ("/client_key", "missing")),
    ],
)
async def test_terms_that_make_no_sense_are_refused(office, terms, wrong):
    async with office.nothing_stored():
        answer = await office.admin.post("/api-clients", json={"name": "A", **terms})
    assert code(answer) == (422, "api_client.invalid")
    assert pointers(answer) == [wrong]
    if "allowed" in wrong[0]:
        made = await registered(office)
        async with office.nothing_stored():
            answer = await office.admin.patch(f"/api-clients/{made['id']}", json=terms)
        assert pointers(answer) == [wrong]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        ({"name": ""}, "/name"),
        ({"name": "A", "kind": "robot"}, "/kind"),
        ({"name": "A", "client_key": "a b"}, "/client_key"),
        ({"name": "A", "rate_limit_per_min": 0}, "/rate_limit_per_min"),
        ({"name": "A", "expires_at": "tomorrow"}, "/expires_at"),
        ({"name": "A", "allowed_ips": "10.0.0.1"}, "/allowed_ips"),
        ({"name": "A", "status": "active"}, "/status"),
    ],
)
async def test_bodies_of_another_shape_are_refused(office, body, pointer):
    async with office.nothing_stored():
        answer = await office.admin.post("/api-clients", json=body)
    assert code(answer) == (400, "body.invalid")
    assert [found for found, _ in pointers(answer)] == [pointer]


async def test_a_client_key_is_one_clients(office):
    made = await registered(office, client_key=f"one-{uuid4().hex}")
    async with office.nothing_stored():
        answer = await office.admin.post("/api-clients", json={"name": "B", "client_key": made["client_key"]})
    assert code(answer) == (409, "api_client.key_taken")


async def test_administrators_alone_keep_clients_and_prove_their_password_for_it(office):
    anna = await office.user(role="moderator")
    made = await registered(office)
    one = f"/api-clients/{made['id']}"
    async with office.nothing_stored():
        for answer in (
            await anna.client.post("/api-clients", json={"name": "A"}),
            await anna.client.patch(one, json={"name": "A"}),
            await anna.client.post(f"{one}/keys", json={}),
            await anna.client.post(f"{one}/disable", json={}),
            await anna.client.post(f"{one}/enable", json={}),
            await anna.client.get("/api-clients"),
            await anna.client.get(one),
            await anna.client.get(f"{one}/history"),
            await asked(office, made, "/api-clients"),
        ):
            assert code(answer) == (403, "forbidden")
        assert code(await office.stranger.get("/api-clients")) == (401, "missing_bearer_token")
        unknown = f"/api-clients/{uuid4()}"
        assert (await office.admin.get(unknown)).status_code == 404
        assert code(await office.admin.post(f"{unknown}/disable", json={})) == (404, "api_client.unknown")
        assert code(await office.admin.post(f"{unknown}/keys", json={})) == (404, "api_client.unknown")
    chief = await office.user(role="admin")
    office.owner.execute(
        "update sessions set proved_at = now() - interval '1 hour', access_version = access_version + 1"
        " where user_id = %s",
        (chief.id,),
    )
    async with office.nothing_stored():
        for answer in (
            await chief.client.post("/api-clients", json={"name": "A"}),
            await chief.client.patch(one, json={"name": "A"}),
            await chief.client.post(f"{one}/keys", json={}),
            await chief.client.post(f"{one}/disable", json={}),
        ):
            assert code(answer) == (401, "step_up_required")
        rehearsed = await chief.client.post("/api-clients?dry_run=true", json={"name": "A"})
    assert [event["topic"] for event in rehearsed.json()["events"]] == ["api_client.registered.v1"]
    assert "chk_" not in rehearsed.text


async def test_what_is_for_people_is_not_for_clients(office):
    made = await registered(office)
    for path in ("/me", "/dialogs", "/auth/sessions"):
        assert code(await asked(office, made, path)) == (403, "people_only")


async def test_one_request_has_one_credential(office):
    """P14: nobody asks on behalf of somebody else, so nobody is confused about whose rights count."""
    made = await registered(office)
    anna = await office.user("organisation:create")
    answer = await anna.client.post("/organisations", json={"full_name": "A"}, headers=credentials(made))
    assert code(answer) == (400, "credentials.ambiguous")


async def test_an_idempotency_key_is_the_clients_own(office):
    one, two = [await registered(office) for _ in range(2)]
    key = {"Idempotency-Key": uuid4().hex}
    answers = []
    for made in (one, two, one):
        if len(answers) < 2:
            await may(office, made, "organisation", "create")
        answers.append(
            await office.stranger.post(
                "/organisations", json={"full_name": "A"}, headers=credentials(made, **key)
            )
        )
    assert [answer.status_code for answer in answers] == [201] * 3
    assert answers[0].json() == answers[2].json() != answers[1].json()


# --- the refusals ------------------------------------------------------------------------------------------------


async def test_the_six_reasons_have_six_codes(office):
    """Trap 8: wrong key, expired, inactive, other address, other route, other origin."""
    fine = await registered(office)
    expired = await registered(office, expires_at="2020-01-01T00:00:00Z")
    inactive = await registered(office)
    await changed(office, inactive, {}, "/disable")
    elsewhere = await registered(office, allowed_ips=["192.0.2.0/24"])
    narrow = await registered(office, allowed_paths=["/organisations/{id}"])
    foreign = await registered(office, allowed_origins=["https://app.example.org"])
    other = await registered(office)
    async with office.nothing_stored():
        found = [
            code(await asked(office, fine | {"api_key": other["api_key"]})),
            code(await asked(office, expired)),
            code(await asked(office, inactive)),
            code(await asked(office, elsewhere)),
            code(await asked(office, narrow)),
            code(await asked(office, foreign, Origin="https://evil.example.org")),
            code(await asked(office, fine | {"client_key": "nobody"})),
        ]
    assert found == [
        (401, "invalid_api_key"),
        (401, "client_expired"),
        (401, "client_inactive"),
        (403, "ip_not_allowed"),
        (403, "path_not_allowed"),
        (403, "origin_not_allowed"),
        (401, "invalid_client"),
    ]
    assert (await asked(office, fine)).status_code == 200


async def test_half_a_pair_is_none(office):
    made = await registered(office)
    only = await office.stranger.get(READ, headers={"X-Client-Key": made["client_key"]})
    assert code(only) == (401, "invalid_api_key")
    only = await office.stranger.get(READ, headers={"X-API-Key": made["api_key"]})
    assert code(only) == (401, "invalid_client")
    assert only.headers["www-authenticate"] == "ApiKey"


async def test_of_several_reasons_the_first_in_order_is_told(office):
    made = await registered(
        office,
        expires_at="2020-01-01T00:00:00Z",
        allowed_ips=["192.0.2.1"],
        allowed_paths=["/organisations"],
        allowed_origins=["https://a.example"],
        rate_limit_per_min=1,
    )
    wrong, origin = made | {"api_key": (await registered(office))["api_key"]}, {"Origin": "https://b.example"}
    await changed(office, made, {}, "/disable")
    assert code(await asked(office, wrong, **origin)) == (401, "client_inactive")
    await changed(office, made, {}, "/enable")
    assert code(await asked(office, wrong, **origin)) == (401, "client_expired")
    await changed(office, made, {"expires_at": None})
    assert code(await asked(office, wrong, **origin)) == (401, "invalid_api_key")
    assert code(await asked(office, made, **origin)) == (403, "origin_not_allowed")
    assert code(await asked(office, made)) == (403, "ip_not_allowed")
    await changed(office, made, {"allowed_ips": ["127.0.0.1"]})
    assert code(await asked(office, made)) == (403, "path_not_allowed")
    await changed(office, made, {"allowed_paths": ["/permissions/*"]})
    assert [(await asked(office, made)).status_code for _ in range(2)] == [200, 429]


async def test_a_key_that_opens_nothing_is_refused_alike_whatever_is_wrong_with_it(office):
    """K1: the checksum, the secret, or its time."""
    made = await registered(office)
    mistyped = made["api_key"][:-1] + ("a" if made["api_key"][-1] != "a" else "b")
    rotated = await changed(office, made, {"overlap_hours": 0}, "/keys")
    stranger = (await registered(office))["api_key"]
    answers = [
        await asked(office, made | {"api_key": key}, **{"X-Request-Id": "same"})
        for key in (
            mistyped,
            stranger,
            made["api_key"],
            "chk_short",
            "k" * 2000,
            "ключ".encode(),
        )
    ]
    assert {code(answer) for answer in answers} == {(401, "invalid_api_key")}
    assert len({answer.text for answer in answers}) == 1
    assert (await asked(office, made | {"api_key": rotated["api_key"]})).status_code == 200


async def test_a_wrong_checksum_asks_no_database(office, monkeypatch):
    made = await registered(office)

    async def fail(_):
        raise AssertionError("the database was asked")

    monkeypatch.setattr(office.system.known_clients, "known", fail)
    answer = await asked(office, made | {"api_key": made["api_key"][:-6] + "000000"})
    assert code(answer) == (401, "invalid_api_key")


async def test_a_key_in_the_query_is_refused_and_not_repeated(office, capfd):
    """K2, K10."""
    made = await registered(office)
    answer = await asked(office, made, f"{READ}?api_key={made['api_key']}")
    assert code(answer) == (400, "query.unknown_parameter")
    assert made["api_key"] not in answer.text
    gone = await asked(office, made, f"/organisations/{made['api_key']}")
    assert gone.status_code == 404
    assert made["api_key"] not in gone.text
    out, err = capfd.readouterr()
    assert made["api_key"] not in out + err
    secret = made["api_key"].split("_")[2]
    rows = office.owner.execute(
        "select convert_from(state, 'UTF8'), convert_from(metadata, 'UTF8') from stored_events"
    )
    assert not any(
        secret in text or sha256(made["api_key"].encode()).hexdigest() in text for row in rows for text in row
    )
    kept = office.owner.execute("select extra from receipts").fetchall()
    assert not any(secret.encode() in extra for (extra,) in kept)


async def test_the_peer_decides_whatever_a_header_says(office):
    """K3: a forged hop, two of them, IPv4 within IPv6, a short form of an address."""
    made = await registered(office, allowed_ips=["10.0.0.1", "127.0.0.1"])
    rows = [
        ("203.0.113.9", None, 403),
        ("203.0.113.9", "10.0.0.1", 403),
        ("203.0.113.9", "10.0.0.1, 10.9.9.9", 403),
        ("10.9.9.9", "10.0.0.1, 203.0.113.9", 403),
        ("10.9.9.9", "10.0.0.1, 203.0.113.9, 10.9.9.9", 403),
        ("10.9.9.9", "127.1", 403),
        ("10.9.9.9", "203.0.113.9, 10.0.0.1", 200),
        ("10.9.9.9", "::ffff:10.0.0.1", 200),
        ("::ffff:10.0.0.1", None, 200),
        ("::ffff:203.0.113.9", None, 403),
        ("::1", None, 403),
    ]
    for peer, forwarded, status in rows:
        more = {} if forwarded is None else {"X-Forwarded-For": forwarded}
        async with at(office, peer) as client:
            answer = await client.get(READ, headers=credentials(made, **more))
        assert answer.status_code == status, (peer, forwarded)
        if status == 403:
            assert answer.json()["code"] == "ip_not_allowed"


async def test_tricks_with_the_path_lead_nowhere(office):
    """K4: the template of the route is compared, after routing."""
    made = await registered(office, allowed_paths=["/organisations/{anything}"])
    await may(office, made, "organisation", "view")
    ours = await office.organisation()
    assert (await asked(office, made, ours)).status_code == 200
    assert (await asked(office, made, f"{ours}/history")).status_code == 403
    for path in (
        "/api/v1//permissions/catalogue",
        "//api/v1/permissions/catalogue",
        "/api/v1/./permissions/catalogue",
        "/api/v1/organisations/../permissions/catalogue",
        "/api/v1/organisations/%2e%2e/permissions/catalogue",
        "/api/v1/organisations/..%2fpermissions%2fcatalogue",
        "/api/v1/permissions/catalogue;a=b",
        "/api/v1/permissions;/organisations/catalogue",
        "/api/v1/Permissions/Catalogue",
        "/api/v1/permissions/catalogue/",
        "/api/v1/permissions/catalogue%2f",
        "/api/v1/permissions/catalogue?x=/organisations/1",
        "/api/v1/permissions/%63atalogue",
    ):
        url = httpx.URL("http://testserver").copy_with(raw_path=path.encode())
        answer = await office.stranger.get(url, headers=credentials(made))
        assert answer.status_code in (403, 404), path
        assert "data" not in answer.json()


async def test_a_template_and_all_below_it_and_everything(office):
    for paths, status in (
        (["/permissions/catalogue"], 200),
        (["/api/v1/permissions/catalogue"], 200),
        (["/permissions/*"], 200),
        (["/*"], 200),
        (["/organisations/*"], 403),
        (["/me/permissions/*"], 403),
        (["/organisations", "/permissions/catalogue"], 200),
    ):
        made = await registered(office, allowed_paths=paths)
        assert (await asked(office, made)).status_code == status, paths
    made = await registered(office, allowed_paths=["/organisations/*"])
    assert (await asked(office, made, "/organisations")).status_code == 200, "what all of it is below"


@pytest.mark.parametrize(
    "origin",
    [
        "https://good.example.org.evil.com",
        "null",
        "https://GOOD.example.org",
        "https://good.example.org:443",
        "http://good.example.org",
        "https://good.example.org/",
        "",
    ],
)
async def test_an_origin_is_compared_to_the_letter(office, origin):
    """K5."""
    made = await registered(office, allowed_origins=["https://good.example.org"])
    assert (await asked(office, made, Origin="https://good.example.org")).status_code == 200
    assert code(await asked(office, made, Origin=origin)) == (403, "origin_not_allowed")


async def test_without_an_origin_only_a_server_may_ask(office):
    listed = {"allowed_origins": ["https://good.example.org"]}
    server, browser = await registered(office, **listed), await registered(office, kind="browser", **listed)
    anywhere = await registered(office, kind="browser")
    assert (await asked(office, server)).status_code == 200
    assert code(await asked(office, browser)) == (403, "origin_not_allowed")
    assert code(await asked(office, anywhere)) == (403, "origin_not_allowed")
    assert (await asked(office, browser, Origin="https://good.example.org")).status_code == 200
    assert (await asked(office, anywhere, Origin="https://any.example.org")).status_code == 200


# --- keys --------------------------------------------------------------------------------------------------------


async def test_old_and_new_key_are_good_together_until_the_old_one_retires(office):
    """K6."""
    made = await registered(office)
    rotated = made | {"api_key": (await changed(office, made, {}, "/keys"))["api_key"]}
    assert [(await asked(office, each)).status_code for each in (made, rotated)] == [200, 200]
    shown = (await office.admin.get(f"/api-clients/{made['id']}")).json()["keys"]
    ends = datetime.fromisoformat(shown[0]["retires_at"]) - datetime.now(UTC)
    assert 23 * HOUR < ends <= 24 * HOUR
    assert shown[1]["retires_at"] is None
    office.owner.execute(
        "update clients set keys_retire_at[1] = clock_timestamp() where client_id = %s", (made["id"],)
    )
    assert code(await asked(office, made)) == (401, "invalid_api_key")
    assert (await asked(office, rotated)).status_code == 200


async def test_five_keys_are_in_use_at_most(office):
    made = await registered(office)
    for _ in range(4):
        last = await changed(office, made, {"overlap_hours": 720}, "/keys")
    async with office.nothing_stored():
        answer = await office.admin.post(f"/api-clients/{made['id']}/keys", json={})
        assert code(answer) == (409, "api_client.too_many_keys")
        for hours in (-1, 721, 1.5, "24"):
            wrong = await office.admin.post(f"/api-clients/{made['id']}/keys", json={"overlap_hours": hours})
            assert code(wrong) == (400, "body.invalid")
    only = await changed(office, made, {"overlap_hours": 0}, "/keys")
    assert code(await asked(office, made | {"api_key": last["api_key"]})) == (401, "invalid_api_key")
    assert (await asked(office, made | {"api_key": only["api_key"]})).status_code == 200
    await changed(office, made, {}, "/keys")
    kept = office.owner.execute(
        "select count(*) from client_keys where client_id = %s", (made["id"],)
    ).fetchone()
    assert kept == (2,), "what opens nothing is not kept"


async def test_a_new_key_is_shown_once(office):
    made, key = await registered(office), {"Idempotency-Key": uuid4().hex}
    url = f"/api-clients/{made['id']}/keys"
    first = await office.admin.post(url, json={"overlap_hours": 1}, headers=key)
    again = await office.admin.post(url, json={"overlap_hours": 1}, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert set(first.json()) == {"id", "version", "position", "key_id", "api_key"}
    assert again.json() == first.json() | {"api_key": None, "shown_once": True}


@pytest.mark.parametrize("kind", ["sha256", "bcrypt", "argon2"])
async def test_an_imported_key_is_taken_as_it_is_and_kept_as_a_quick_hash(office, kind):
    key = f"legacy-{uuid4().hex}"
    quick = f"sha256:{sha256(key.encode()).hexdigest()}"
    hashed = {
        "sha256": lambda: quick,
        "bcrypt": lambda: bcrypt.hashpw(key.encode(), bcrypt.gensalt(4)).decode(),
        "argon2": lambda: PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(key),
    }[kind]()
    made = await registered(office, client_key=f"seed-{uuid4().hex}", api_key_hash=hashed)
    assert "api_key" not in made
    assert "shown_once" not in made
    for wrong in (f"{key}x", key[:-1], "chk_" + key):
        assert code(await asked(office, made | {"api_key": wrong})) == (401, "invalid_api_key")
    for _ in range(2):
        assert (await asked(office, made | {"api_key": key})).status_code == 200
    kept = office.owner.execute("select hash from client_keys where client_id = %s", (made["id"],)).fetchone()
    assert kept == (quick,)


async def test_bcrypt_is_not_asked_about_more_than_it_looks_at(office):
    """K9: 72 bytes are all that it reads, so a longer key that begins alike would open it."""
    key = "k" * 72
    hashed = bcrypt.hashpw(key.encode(), bcrypt.gensalt(4)).decode()
    made = await registered(office, client_key=f"seed-{uuid4().hex}", api_key_hash=hashed)
    assert code(await asked(office, made | {"api_key": key + "!"})) == (401, "invalid_api_key")
    assert (await asked(office, made | {"api_key": key})).status_code == 200


async def test_when_it_asked_last_is_noted_once_a_minute_and_never_an_event(office):
    made = await registered(office)
    async with office.nothing_stored():
        await asyncio.gather(*(asked(office, made) for _ in range(10)))

        async def noted():
            return (await office.admin.get(f"/api-clients/{made['id']}")).json()["last_used_at"]

        await until(noted)
        first = await noted()
        assert datetime.now(UTC) - datetime.fromisoformat(first) < timedelta(minutes=1)
        await asked(office, made)
        await until(lambda: not office.system.known_clients._noting)
        assert await noted() == first
        office.owner.execute("update client_uses set used_at = used_at - interval '61 seconds'")
        await asked(office, made)

        async def later():
            return await noted() >= first

        await until(later)


# --- how often ---------------------------------------------------------------------------------------------------


async def test_a_client_has_its_limit_and_is_told_when_to_come_back(office):
    made = await registered(office, rate_limit_per_min=3)
    answers = await asyncio.gather(*(asked(office, made) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 5
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["code"] == "rate_limited"
    assert 0 < int(refused.headers["retry-after"]) <= 60
    await changed(office, made, {"rate_limit_per_min": 4})
    assert [(await asked(office, made)).status_code for _ in range(2)] == [200, 429]
    await changed(office, made, {"rate_limit_per_min": None})
    assert (await asked(office, made)).status_code == 200


async def test_a_client_with_a_limit_is_told_what_is_left_of_it(office):
    made = await registered(office, rate_limit_per_min=3)
    told = []
    for path in (
        "/permissions/catalogue",
        "/no-such-thing",
        "/permissions/catalogue",
        "/permissions/catalogue",
    ):
        answer = await asked(office, made, path)
        told.append((answer.status_code, answer.headers.get("ratelimit", "none").partition(";t=")[0]))
    assert told == [
        (200, '"client";r=2'),
        (404, "none"),
        (200, '"client";r=1'),
        (200, '"client";r=0'),
    ]
    refused = await asked(office, made)
    assert (refused.status_code, refused.headers["ratelimit-policy"]) == (429, '"client";q=3;w=60')
    seconds = int(refused.headers["ratelimit"].removeprefix('"client";r=0;t='))
    assert 0 < seconds <= 60
    assert "ratelimit" not in (await asked(office, await registered(office))).headers


async def test_what_is_refused_for_another_reason_costs_no_request(office):
    made = await registered(office, rate_limit_per_min=1, allowed_paths=["/permissions/*"])
    for _ in range(3):
        assert (await asked(office, made, "/organisations")).status_code == 403
        assert (await asked(office, made | {"api_key": "wrong"})).status_code == 401
    assert [(await asked(office, made)).status_code for _ in range(2)] == [200, 429]


# --- the guards --------------------------------------------------------------------------------------------------


async def test_the_guards_are_what_the_log_says(office):
    made = await registered(office, allowed_ips=["10.0.0.0/8"], expires_at="2999-01-01T00:00:00Z")
    await changed(office, made, {"allowed_paths": ["/organisations"], "expires_at": None})
    await changed(office, made, {}, "/keys")
    await changed(office, made, {}, "/disable")
    wrapping = wrapping_of(office.system.settings)
    about = {made["id"], made["client_key"]}
    found = [each for each in await verify(office.addresses.app, wrapping) if {*map(str, each.key)} & about]
    assert found == []
    office.owner.execute("update clients set allowed_ips = '{}' where client_id = %s", (made["id"],))
    found = [each for each in await verify(office.addresses.app, wrapping) if {*map(str, each.key)} & about]
    assert [each.table for each in found] == ["clients"]
    assert "allowed_ips is [], the log says ['10.0.0.0/8']" in str(found[0])
    office.owner.execute(
        "update clients set allowed_ips = '{10.0.0.0/8}' where client_id = %s", (made["id"],)
    )
