"""Tokens over HTTP: signed by our own key and still wrong; keys and sessions that end while several processes serve."""

import asyncio
import base64
import json
import os
import time
from collections import Counter
from contextlib import asynccontextmanager
from uuid import uuid4

import jwt
import pytest

from tests import office as offices
from tests import servers
from tests.conftest import CLUSTER
from tests.serving import PASSWORD, caller, settings, sign_in, whole
from tests.waiting import until

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def office(nats_server):
    """One of several processes on one database."""
    with servers.database(servers.Addresses(*os.environ[CLUSTER].split("\n"))) as addresses:
        async with offices.opened(addresses, nats_server.url) as opened:
            opened.nats_url = nats_server.url
            yield opened


@asynccontextmanager
async def another_process(office):
    """A stranger to a second API on the same database."""
    async with (
        whole(settings(office.addresses.app, office.nats_url)) as (_, transport),
        caller(transport) as client,
    ):
        yield client


def b64(raw: str) -> str:
    return base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")


@pytest.fixture
async def claims(office):
    """Those of a good token."""
    token = (await sign_in(office.stranger))["Authorization"].removeprefix("Bearer ")
    return jwt.decode(token, options={"verify_signature": False})


def signed(office, claims: str, header: dict | None = None) -> str:
    """By our own active key, whatever stands in it."""
    kid, key = office.system.tokens.ring.signer
    head = json.dumps({"typ": "at+jwt", "alg": "ES256", "kid": kid} | (header or {}))
    message = f"{b64(head)}.{b64(claims)}"
    signature = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256).sign(message.encode(), key)
    return f"{message}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def wrong(office, claims: dict) -> dict[str, str]:
    now, issuer, audience = int(time.time()), claims["iss"], claims["aud"]
    text = json.dumps(claims)
    changed = {
        "another issuer": {"iss": "https://elsewhere.example"},
        "issuer with a slash": {"iss": f"{issuer}/"},
        "issuer in upper case": {"iss": issuer.upper()},
        "issuer with a homoglyph": {"iss": issuer.replace("e", "\u0435")},
        "another audience": {"aud": "https://elsewhere.example"},
        "audience as a list": {"aud": [audience]},
        "two audiences": {"aud": [audience, "https://elsewhere.example"]},
        "end as text": {"exp": str(now + 60)},
        "end as true": {"exp": True},
        "end as a fraction": {"exp": now + 60.5},
        "ended": {"exp": now - 31},
        "begins later": {"nbf": now + 45},
        "issued in an hour": {"iat": now + 3600},
        "no session": {"sid": None},
        "a session of nobody": {"sid": str(uuid4())},
        "another user's session": {"sub": str(uuid4())},
    }
    headers = {
        "a refresh type": {"typ": "rt+jwt"},
        "an id token": {"typ": "JWT"},
        "no type": {"typ": None},
        "critical": {"crit": ["x"], "x": 1},
        "unencoded": {"b64": False},
        "a key inside": {"jwk": {"kty": "EC"}},
        "keys elsewhere": {"jku": "http://127.0.0.1:1/keys"},
        "a certificate elsewhere": {"x5u": "http://127.0.0.1:1/cert"},
        "a file for a key": {"kid": "../../etc/passwd"},
        "a statement for a key": {"kid": "' or 1=1 --"},
    }
    return {
        **{what: signed(office, json.dumps(claims | change)) for what, change in changed.items()},
        **{what: signed(office, text, header) for what, header in headers.items()},
        "end beyond numbers": signed(office, text.replace(str(claims["exp"]), "1e400")),
        "end is no number": signed(office, text.replace(str(claims["exp"]), "NaN")),
        "a claim twice": signed(office, f'{text[:-1]},"sub":"{claims["sub"]}"}}'),
        "very deep": signed(office, "[" * 4000),
        "padded": signed(office, text) + "==",
        "a space behind": signed(office, text) + " ",
        "quoted twice": signed(office, text).replace(".", "%252E"),
    }


async def test_our_own_signature_excuses_nothing(office, claims):
    good = {"Authorization": f"Bearer {signed(office, json.dumps(claims))}"}
    assert (await office.stranger.get("/me", headers=good)).status_code == 200
    for what, token in wrong(office, claims).items():
        headers = {"Authorization": f"Bearer {token}"}
        async with office.nothing_stored():
            read = await office.stranger.get("/me", headers=headers)
            command = await office.stranger.patch("/me", json={"first_name": "Ghost"}, headers=headers)
        for answer in (read, command):
            assert (answer.status_code, answer.json()["code"]) == (401, "invalid_bearer_token"), what
    assert (await office.stranger.get("/me", headers=good)).status_code == 200


async def test_a_flood_of_unknown_keys_harms_nobody(office, claims):
    text = json.dumps(claims)

    async def forged(number):
        token = signed(office, text, {"kid": f"key-{number}"})
        return (await office.stranger.get("/me", headers={"Authorization": f"Bearer {token}"})).status_code

    async def honest():
        return (await office.admin.patch("/me", json={})).status_code

    asked = [forged(number) for number in range(300)] + [honest() for _ in range(20)]
    assert Counter(await asyncio.gather(*asked)) == {401: 300, 200: 20}


async def test_a_signed_out_token_is_worth_nothing_in_any_process_at_once(office):
    user = await office.user()
    async with another_process(office) as one, another_process(office) as two:
        for each in (one, two):
            each.headers["authorization"] = user.client.headers["authorization"]
            assert (await each.get("/me")).status_code == 200
            assert (await each.patch("/me", json={"first_name": "Marie"})).status_code == 200, (
                "and remembered"
            )
        assert (await user.client.post("/auth/logout")).status_code == 204
        async with office.nothing_stored():
            for each in (one, two, user.client):
                assert (await each.get("/me")).status_code == 401
                assert (await each.patch("/me", json={"first_name": "Ghost"})).status_code == 401
                assert (await each.delete("/me")).status_code == 401


async def test_a_rotation_under_load_refuses_nobody(office):
    """Requests to two processes all the while, with tokens of before and of both processes."""
    people = [await office.user() for _ in range(4)]
    async with another_process(office) as other:
        refused, asked, done = [], 0, asyncio.Event()

        async def honest(person):
            nonlocal asked
            while not done.is_set():
                for client in (office.stranger, other):
                    pair = await client.post("/auth/refresh", json={"refresh_token": tokens[person.email]})
                    tokens[person.email] = pair.json()["refresh_token"]
                    headers = {"Authorization": f"Bearer {pair.json()['access_token']}"}
                    answers = [
                        await each.patch("/me", json={}, headers=headers) for each in (office.stranger, other)
                    ]
                    answers += [await person.client.patch("/me", json={})]
                    refused.extend(each for each in answers if each.status_code != 200)
                    asked += len(answers)

        tokens = {}
        for person in people:
            body = {"login": person.email, "password": PASSWORD}
            tokens[person.email] = (await office.stranger.post("/auth/login", json=body)).json()[
                "refresh_token"
            ]
        load = [asyncio.create_task(honest(person)) for person in people]
        before = office.system.tokens.ring.signer[0]
        kid = await office.system.signing_keys.add()
        await until(lambda: kid in office.system.tokens.ring.public, 5)
        await until(lambda: published(other, kid), 5)
        await office.system.signing_keys.activate(kid)
        await until(lambda: office.system.tokens.ring.signer[0] == kid != before, 5)
        done.set()
        await asyncio.gather(*load)
    assert refused == []
    assert asked > 50


async def published(client, kid) -> bool:
    jwks = await client.get("http://testserver/.well-known/jwks.json")
    return kid in {key["kid"] for key in jwks.json()["keys"]}


async def test_after_a_compromise_everybody_refreshes_and_nothing_old_is_believed_in_any_process(office):
    user = await office.user()
    body = {"login": user.email, "password": PASSWORD}
    pair = (await office.stranger.post("/auth/login", json=body)).json()
    async with another_process(office) as other:
        stolen = {"Authorization": f"Bearer {pair['access_token']}"}
        assert (await other.get("/me", headers=stolen)).status_code == 200
        kid = jwt.get_unverified_header(pair["access_token"])["kid"]
        began = time.monotonic()
        await office.system.signing_keys.compromise(kid, "seen in a log")

        async def nowhere():
            answers = [await each.get("/me", headers=stolen) for each in (other, office.stranger)]
            return {answer.status_code for answer in answers} == {401}

        await until(nowhere, 5)
        assert time.monotonic() - began < 1.5
        assert not await published(other, kid)
        renewed = await other.post("/auth/refresh", json={"refresh_token": pair["refresh_token"]})
        headers = {"Authorization": f"Bearer {renewed.json()['access_token']}"}
        for each in (other, office.stranger):
            assert (await each.get("/me", headers=headers)).status_code == 200
    office.admin.headers.update(await sign_in(office.admin))
