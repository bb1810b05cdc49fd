"""What stands beside the API: alive, ready, how it is doing, and the keys of its tokens."""

import asyncio

import jwt
import pytest

from infrastructure.alarms import alarm, all_clear
from tests.serving import ADMIN, PASSWORD
from tests.waiting import until

pytestmark = pytest.mark.anyio

ROOT = "http://testserver"


async def test_it_is_alive_and_says_which_version(office):
    assert (await office.stranger.get(f"{ROOT}/healthz")).json() == {"status": "ok"}
    version = (await office.stranger.get(f"{ROOT}/version")).json()
    assert version["name"] == "chancery"
    assert version["version"]


async def test_it_is_ready_when_every_part_is(office):
    newest = {"X-Min-Position": str(await office.head())}
    await asyncio.gather(
        *(office.admin.get(path, headers=newest) for path in ("/me", "/organisations", "/audit/entries"))
    )
    answer = await office.stranger.get(f"{ROOT}/readyz")
    parts = {each["name"]: each for each in answer.json()["parts"]}
    assert (answer.status_code, answer.json()["ready"]) == (200, True), parts
    assert {"database", "projection organisation", "projection user", "projection audit_log"} <= parts.keys()
    assert parts["mail"] == {
        "name": "mail",
        "ok": True,
        "detail": "not set up: none is sent",
        "needed": False,
    }


async def test_a_task_that_died_or_a_read_model_that_stopped_makes_it_unready(office):
    office.system.failed.append("writer")
    office.owner.execute("update projections set failure = 'a poison event' where name = 'user'")
    try:
        async with asyncio.timeout(5):
            while "a poison event" not in (answer := await office.stranger.get(f"{ROOT}/readyz")).text:
                await office.system.positions.beyond(10**18, seconds=0.05)
        assert answer.status_code == 503
        assert "has died" in answer.text
    finally:
        office.system.failed.clear()
        office.owner.execute("update projections set failure = null")


async def test_requests_are_counted_by_route_never_by_address(office):
    place = await office.organisation()
    await office.admin.get(place)
    await office.stranger.get("/secret-address")
    figures = (await office.stranger.get(f"{ROOT}/metrics")).text
    assert 'route="/api/v1/organisations/{ref}"' in figures
    assert 'route="unmatched"' in figures
    assert place.rpartition("/")[2] not in figures
    assert "secret-address" not in figures


async def test_what_somebody_found_wrong_is_shown_until_he_clears_it(office, monkeypatch):
    monkeypatch.setattr("infrastructure.watch.survey.LOOK_SECONDS", 0.05)

    async def told() -> list[str]:
        answer = await office.stranger.get(f"{ROOT}/readyz")
        return [
            part["detail"]
            for part in answer.json()["parts"]
            if part["name"] == "check" and not part["needed"]
        ]

    async with office.system.pool.connection() as connection:
        await alarm(connection, "check", "one difference")
        await until(lambda: _are(told, ["one difference"]))
        await alarm(connection, "check", "two differences")
        await until(lambda: _are(told, ["two differences"]))
        await all_clear(connection, "check")
    await until(lambda: _are(told, []))


async def _are(told, expected) -> bool:
    return await told() == expected


async def test_anybody_can_check_a_token_with_the_published_keys(office):
    answer = await office.stranger.get(f"{ROOT}/.well-known/jwks.json")
    assert "max-age" in answer.headers["cache-control"]
    (key,) = answer.json()["keys"]
    assert not {"d", "p", "q"} & key.keys()
    pair = await office.stranger.post("/auth/login", json={"login": ADMIN, "password": PASSWORD})
    token = pair.json()["access_token"]
    claims = jwt.decode(
        token,
        jwt.PyJWK(key),
        algorithms=["ES256"],
        issuer="http://testserver",
        audience="http://testserver/api/v1",
    )
    assert claims["exp"] - claims["iat"] == 600
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "typ": "at+jwt", "kid": key["kid"]}
    assert not {"role", "rights", "scope", "email"} & claims.keys()


@pytest.mark.parametrize("path", ["/nope", "/api/v1/nope", "/api/v2/me", "/api", "//"])
async def test_an_unknown_address_is_a_problem_like_any_other(office, path):
    answer = await office.stranger.get(f"{ROOT}{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"] == answer.json()["request_id"]


async def test_another_method_is_told_which_ones_there_are(office):
    for method in ("PUT", "TRACE", "DELETE"):
        answer = await office.admin.request(method, "/organisations")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
    overridden = await office.admin.post(
        "/organisations", json={"full_name": "A"}, headers={"X-HTTP-Method-Override": "DELETE"}
    )
    assert overridden.status_code == 201
