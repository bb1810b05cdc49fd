"""Tokens of an outside issuer over HTTP: who comes with a good one has an account and a session here, like anybody."""

import asyncio
import os
import time
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from infrastructure.guard_check import verify
from infrastructure.personal_data import wrapping_of
from tests import office as offices
from tests import servers
from tests.conftest import CLUSTER
from tests.issuer import b64, jwk, of, provider, signed

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def idp():
    async with provider() as made:
        yield made


@pytest.fixture(scope="module")
async def other_idp():
    async with provider() as made:
        yield made


@pytest.fixture(scope="module")
async def office(nats_server, idp, other_idp):
    with servers.database(servers.Addresses(*os.environ[CLUSTER].split("\n"))) as addresses:
        issuers = (f"{idp.url} audience=portal", f"{other_idp.url} typ=at+jwt accept=id_token")
        async with offices.opened(addresses, nats_server.url, oidc_issuers=issuers) as opened:
            yield opened


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


async def me(office, token):
    return await office.stranger.get("/me", headers=bearer(token))


async def refused(office, token):
    async with office.nothing_stored():
        answer = await me(office, token)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_bearer_token"), answer.text
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_the_first_token_makes_the_user_and_a_session_like_any_other(office, idp):
    sub = f"ann{uuid4().hex}"
    token = idp.token(sub, email=f"{sub}@example.org", name="Ann Lee", email_verified=True)
    answer = await me(office, token)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["sub"], body["email"], body["display_name"]) == (sub, f"{sub}@example.org", "Ann Lee")
    assert [(each["issuer"], each["sub"]) for each in body["identities"]] == [(idp.url, sub)]
    sessions = (await office.stranger.get("/auth/sessions", headers=bearer(token))).json()["data"]
    assert len(sessions) == 1
    snapshot = await office.stranger.get("/me/permissions/snapshot", headers=bearer(token))
    assert snapshot.json()["sub"] == sub, "as the provider calls him, like the snapshot other systems ask for"
    async with office.nothing_stored():
        assert (await me(office, token)).json()["id"] == body["id"]


async def test_a_hundred_first_requests_at_once_make_one_user_and_one_session(office, idp):
    token = idp.token()
    before = await office.head()
    answers = await asyncio.gather(*(me(office, token) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await office.head() == before + 2


async def test_tokens_of_one_sign_in_share_a_session_and_of_another_do_not(office, idp):
    sub = uuid4().hex
    for claims, count in (
        ({"sid": "a"}, 1),
        ({"sid": "a", "exp": int(time.time()) + 600}, 1),
        ({"sid": "b"}, 2),
    ):
        token = idp.token(sub, **claims)
        await me(office, token)
        found = (await office.stranger.get("/auth/sessions", headers=bearer(token))).json()["data"]
        assert len(found) == count


async def test_a_blocked_user_is_out_at_once_and_his_next_token_too(office, idp):
    sub = uuid4().hex
    token = idp.token(sub)
    user_id = (await me(office, token)).json()["id"]
    blocked = await office.admin.post(f"/users/{user_id}/block", json={"reason": "left"})
    assert blocked.status_code == 200, blocked.text
    await refused(office, token)
    await refused(office, idp.token(sub))
    assert (await office.admin.post(f"/users/{user_id}/unblock")).status_code == 200
    await refused(office, token)  # its session is over
    assert (await me(office, idp.token(sub))).status_code == 200


async def test_after_signing_out_the_token_is_refused(office, idp):
    sub = uuid4().hex
    token, same_sign_in = idp.token(sub, sid="s"), idp.token(sub, sid="s", jti="2")
    assert (await me(office, token)).status_code == 200
    assert (await office.stranger.post("/auth/logout", headers=bearer(token))).status_code == 204
    await refused(office, token)
    await refused(office, same_sign_in)
    assert (await me(office, idp.token(sub, sid="t"))).status_code == 200


async def test_the_same_address_from_a_second_issuer_is_another_account(office, idp, other_idp):
    sub = uuid4().hex
    mine = f"{sub}@example.org"
    first = (await me(office, idp.token(sub, email=mine))).json()
    taken = other_idp.token(sub, email=mine, email_verified=True, header={"typ": "at+jwt"})
    second = (await me(office, taken)).json()
    assert second["id"] != first["id"]
    assert (second["email"], second["identities"][0]["last_error"]) == (None, "email_taken")
    admin = (await office.admin.get("/me")).json()
    third = await me(office, idp.token(email=admin["email"], email_verified=True))
    assert (third.json()["email"], third.json()["role"]) == (None, "user")
    unverified = await me(office, idp.token(email=f"{uuid4().hex}@example.org", email_verified=False))
    assert (unverified.status_code, unverified.json()["email"]) == (200, None)


async def test_what_the_issuer_says_anew_is_taken_over_with_the_next_sign_in(office, idp):
    sub = uuid4().hex
    assert (await me(office, idp.token(sub, name="Ann Lee"))).json()["display_name"] == "Ann Lee"
    token = idp.token(sub, name="Ann Smith")
    await me(office, token)
    assert (await me(office, token)).json()["display_name"] == "Ann Smith"


async def test_a_password_proved_at_the_issuer_counts_as_a_step_up(office, idp):
    sub, sid, now = uuid4().hex, uuid4().hex, int(time.time())
    stale = idp.token(sub, sid=sid, auth_time=now - 3600)
    never = idp.token(sub, without=("auth_time",))
    for token in (stale, never):
        answer = await office.stranger.delete("/me", headers=bearer(token))
        assert (answer.status_code, answer.json()["code"]) == (401, "step_up_required")
    proved = idp.token(sub, sid=sid, auth_time=now)
    left = await office.stranger.delete("/me", headers=bearer(proved))
    assert left.status_code == 200, left.text
    await refused(office, proved)


async def test_the_guards_of_outside_people_follow_from_the_log(office, idp):
    sub, sid, now = uuid4().hex, uuid4().hex, int(time.time())
    token = idp.token(sub, sid=sid, auth_time=now - 3600, email=f"{sub}@example.org")
    assert (await me(office, token)).status_code == 200
    assert (await me(office, idp.token(sub, sid=sid, auth_time=now))).status_code == 200
    assert await verify(office.addresses.app, wrapping_of(office.system.settings)) == []


async def test_an_audience_is_ours_alone_where_one_is_set(office, idp, other_idp):
    for wrong in ("other", ["portal", "other"], ["other"], [], None, 7, {"portal": 1}):
        await refused(office, idp.token(aud=wrong))
    await refused(office, idp.token(without=("aud",)))
    assert (await me(office, idp.token(aud=["portal"]))).status_code == 200
    assert (await me(office, other_idp.token(aud=["x", "y"], header={"typ": "at+jwt"}))).status_code == 200


async def test_a_type_that_is_no_access_token_is_refused(office, idp, other_idp):
    for typ in ("rt+jwt", "id+jwt", "", None, "application/json", ["JWT"]):
        await refused(office, idp.token(header={"typ": typ}))
    await refused(office, other_idp.token(header={"typ": "JWT"}))
    assert (await me(office, idp.token(header={"typ": "at+JWT"}))).status_code == 200


async def test_an_id_token_opens_nothing_unless_that_is_set(office, idp, other_idp):
    for claim in ("nonce", "at_hash", "c_hash"):
        await refused(office, idp.token(**{claim: "x"}))
        token = other_idp.token(**{claim: "x"}, header={"typ": "at+jwt"})
        assert (await me(office, token)).status_code == 200


async def test_an_unknown_issuer_is_asked_nothing(office, idp, other_idp):
    await me(office, idp.token())
    before = len(idp.asked), len(other_idp.asked)
    for iss in (
        idp.url.rstrip("/"),
        idp.url + "/",
        idp.url.upper(),
        idp.url.replace("portal", "pοrtal"),
        idp.url + "\n",
        "",
        None,
        [idp.url],
        idp.admin_url,
        "https://127.0.0.1:1/",
    ):
        await refused(office, idp.token(iss=iss, header={"kid": uuid4().hex}))
    await refused(office, idp.token(without=("iss",)))
    assert (len(idp.asked), len(other_idp.asked)) == before


async def test_a_header_that_brings_a_key_or_wants_more_is_refused(office, idp):
    await me(office, idp.token())
    theirs = generate_private_key(65537, 2048)
    before = len(idp.asked)
    for header in (
        {"jku": f"{idp.admin_url}/evil"},
        {"x5u": f"{idp.admin_url}/evil"},
        {"x5c": ["MIIB"]},
        {"jwk": jwk(theirs, idp.kid)},
        {"crit": ["x"], "x": 1},
        {"b64": False},
        {"kid": None},
        {"kid": ["first"]},
        {"kid": ""},
    ):
        await refused(office, idp.token(header=header))
        await refused(office, idp.token(header=header, key=theirs))
    assert len(idp.asked) == before, "nothing was asked outside"
    for kid in ("../../etc/passwd", "' OR 1=1", "x" * 300):
        await refused(office, idp.token(header={"kid": kid}))
    assert not [each for each in idp.asked if "evil" in each]


async def test_no_algorithm_but_the_keys_own(office, idp):
    _, claims, signature = idp.token().split(".")
    pem = idp.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    for alg in ("none", "NonE", "HS256", "ES256", "PS256", "RS512", "", ["RS256"], None):
        head = b64(f'{{"typ":"JWT","kid":"{idp.kid}","alg":{_json(alg)}}}')
        for tail in ("", signature, b64(mac.sign(f"{head}.{claims}".encode(), pem))):
            await refused(office, f"{head}.{claims}.{tail}")


def _json(value):
    return (
        "null" if value is None else f'"{value}"' if isinstance(value, str) else str(value).replace("'", '"')
    )


async def test_claims_of_a_wrong_kind_are_refused(office, idp):
    now = int(time.time())
    for claims in (
        {"exp": now - 31},
        {"exp": str(now + 60)},
        {"exp": True},
        {"exp": now + 60.5},
        {"exp": 10**40},
        {"exp": None},
        {"nbf": now + 40},
        {"iat": now + 3600},
        {"auth_time": now + 3600},
        {"sub": None},
        {"sub": 7},
        {"sub": "x" * 10_000},
        {"sub": "x" * 256},
        {"sub": "a\nb"},
        {"sub": " a"},
        {"sub": "a\0b"},
    ):
        await refused(office, idp.token(**claims) if "sub" not in claims else _of_sub(idp, claims["sub"]))
    for absent in ("sub", "exp"):
        await refused(office, idp.token(without=(absent,)))
    await refused(office, _of_sub(idp, ""))
    header = {"typ": "JWT", "alg": "RS256", "kid": idp.kid}
    for text in (
        f'{{"iss":"{idp.url}","sub":"a","sub":"b","aud":"portal","exp":{now + 60}}}',
        f'{{"iss":"{idp.url}","sub":"a","aud":"portal","exp":1e400}}',
        f'{{"iss":"{idp.url}","sub":"a","aud":"portal","exp":NaN}}',
        "[" * 5000,
        "[]",
    ):
        await refused(office, signed(header, text, idp.key))


def _of_sub(idp, sub):
    now = int(time.time())
    claims = {"iss": idp.url, "sub": sub, "aud": "portal", "exp": now + 60}
    return signed({"typ": "JWT", "alg": "RS256", "kid": idp.kid}, claims, idp.key)


async def test_there_is_one_spelling_of_a_token(office, idp):
    token = idp.token()
    for other in (
        token + "==",
        token + " x",
        token + ".",
        "." + token,
        token[:-4],
        token.replace(".", "%2E"),
    ):
        await refused(office, other)
    answer = await office.stranger.get("/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "missing_bearer_token")


async def test_an_outage_of_the_issuer_is_not_noticed(office, idp):
    token = idp.token()
    await me(office, token)

    async def gone(*_):
        return of({}, 500)

    idp.behaves = gone
    try:
        assert (await me(office, token)).status_code == 200
        assert (await me(office, idp.token())).status_code == 200, "a first sign-in needs only the keys"
        await refused(office, idp.token(header={"kid": "unknown"}))
        ready = (await office.stranger.get("http://testserver/readyz")).json()
        assert not [each for each in ready["parts"] if "issuer" in each["name"]]
    finally:
        idp.behaves = None


async def test_where_no_key_was_ever_heard_of_the_answer_is_come_again(database, nats_server):
    async with provider() as away:

        async def gone(*_):
            return None

        away.behaves = gone
        async with offices.opened(database, nats_server.url, oidc_issuers=(away.url,)) as office:
            answer = await me(office, away.token())
            assert (answer.status_code, answer.json()["code"]) == (503, "identity_provider_unavailable")
            assert answer.headers["retry-after"]
            assert (await office.admin.get("/me")).status_code == 200
            away.behaves = None
            assert (await office.admin.get("/me")).status_code == 200
