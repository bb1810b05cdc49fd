"""Signed in by cookie: nothing for scripts to read, renewed in passing, and no other site writes with them."""

import asyncio
import os
from collections import Counter
from datetime import timedelta
from http.cookiejar import DefaultCookiePolicy
from http.cookies import SimpleCookie

import httpx
import pytest

from api.cookie_session import CookieSession
from api.cookies import Cookies
from tests import office as offices
from tests import servers
from tests.conftest import CLUSTER
from tests.serving import ADMIN, PASSWORD, caller

pytestmark = pytest.mark.anyio
OWN, FRIEND = {"Origin": "http://testserver"}, {"Origin": "https://app.example"}
_DAY = timedelta(days=1)
ACCESS, REFRESH = "__Host-chancery_access", "__Host-chancery_refresh"


@pytest.fixture(scope="module")
async def office(nats_server):
    with servers.database(servers.Addresses(*os.environ[CLUSTER].split("\n"))) as addresses:
        async with offices.opened(
            addresses, nats_server.url, cors_origins=("https://app.example",)
        ) as opened:
            yield opened


class Browser:
    """Keeps cookies and sends them, as one does; httpx would keep none that is Secure from plain HTTP."""

    def __init__(self, client: httpx.AsyncClient):
        self.client, self.cookies = client, {}

    async def __call__(self, method, path, *, headers=OWN, cookies=None, **more):
        sent = "; ".join(f"{k}={v}" for k, v in (self.cookies if cookies is None else cookies).items())
        answer = await self.client.request(
            method, path, headers={"Cookie": sent.encode("latin-1"), **headers}, **more
        )
        for name, morsel in set_by(answer).items():
            if morsel["max-age"] == "0":
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.value
        return answer

    def forget(self, name):
        return {k: v for k, v in self.cookies.items() if k != name}


def set_by(answer) -> SimpleCookie:
    found = SimpleCookie()
    for line in answer.headers.get_list("set-cookie"):
        found.load(line)
    return found


@pytest.fixture
async def browser(office):
    """Of somebody who has just signed in."""
    user = await office.user()
    async with caller(office.transport) as client:
        client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        signed_in = Browser(client)
        signed_in.user = user
        answer = await signed_in(
            "POST",
            "/auth/login",
            json={"login": user.email, "password": PASSWORD, "transport": "cookie"},
        )
        assert answer.status_code == 200, answer.text
        signed_in.login = answer
        yield signed_in


# --- signing in ---------------------------------------------------------------------------------------------


async def test_the_tokens_are_in_cookies_that_no_script_and_no_other_site_gets(browser):
    body, cookies = browser.login.json(), set_by(browser.login)
    assert body.keys() == {"token_type", "expires_in", "session_id"}
    assert (body["token_type"], body["expires_in"]) == ("Cookie", 600)
    for name, seconds in ((ACCESS, 600), (REFRESH, 7 * 86_400)):
        cookie = cookies[name]
        assert (cookie["httponly"], cookie["secure"], cookie["samesite"]) == (True, True, "Strict")
        assert (cookie["path"], cookie["domain"], cookie["max-age"]) == ("/", "", str(seconds))
    assert (await browser("GET", "/me", headers={})).json()["email"] == browser.user.email
    assert (await browser("PATCH", "/me", json={"first_name": "Marie"})).status_code == 200
    shown = (await browser("GET", "/auth/sessions")).json()["data"]
    assert [each["transport"] for each in shown if each["is_current"]] == ["cookie"]


async def test_a_bearer_sign_in_sets_neither(office):
    answer = await office.stranger.post("/auth/login", json={"login": ADMIN, "password": PASSWORD})
    assert not {ACCESS, REFRESH} & set_by(answer).keys()


async def test_another_site_cannot_sign_a_browser_in(office):
    body = {"login": ADMIN, "password": PASSWORD, "transport": "cookie"}
    async with office.nothing_stored():
        answer = await office.stranger.post(
            "/auth/login", json=body, headers={"Origin": "https://evil.example"}
        )
    assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed")
    assert set_by(answer) == {}


@pytest.mark.parametrize(
    ("base_url", "name"),
    [
        ("http://127.0.0.1:8400", "chancery_access"),
        ("http://localhost:8400", "chancery_access"),
        ("http://[::1]:8400", "chancery_access"),
        ("http://office.example", ACCESS),
        ("https://127.0.0.1", ACCESS),
    ],
)
def test_on_plain_loopback_http_a_cookie_has_neither_prefix_nor_secure(base_url, name):
    header, value = Cookies(base_url).set("chancery_access", "x", seconds=1)
    assert header == b"set-cookie"
    assert value.startswith(f"{name}=x;".encode())
    assert (b"Secure" in value) is name.startswith("__Host-")


@pytest.mark.parametrize(
    ("base_url", "origin"),
    [
        ("https://Office.Example:443/chancery", b"https://office.example"),
        ("http://127.0.0.1:8400", b"http://127.0.0.1:8400"),
        ("http://[::1]:80", b"http://[::1]"),
    ],
)
def test_ones_own_origin_is_written_as_browsers_write_it(base_url, origin):
    made = CookieSession(Cookies(base_url), None, None, base_url=base_url, origins=(), idle=_DAY)
    assert made._origins == {origin}


# --- other sites (row S14) ------------------------------------------------------------------------------------

FOREIGN = [
    {},
    {"Origin": "null"},
    {"Origin": "https://evil.example"},
    {"Origin": "https://testserver"},
    {"Origin": "http://testserver.evil.example"},
    {"Origin": "http://testserver:80"},
    {"Origin": "HTTPS://APP.EXAMPLE"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_a_foreign_page_writes_nothing_and_the_session_stays_as_it_was(office, browser, headers):
    """For every kind of command, also where a browser asks nobody first: a form's text/plain."""
    before = dict(browser.cookies)
    plain = {"content": '{"first_name":"Ghost"}', "headers": {**headers, "Content-Type": "text/plain"}}
    asked = [
        ("PATCH", "/me", {"json": {"first_name": "Ghost"}, "headers": headers}),
        ("POST", "/auth/logout", {"headers": headers}),
        ("POST", "/auth/logout", plain),
        ("POST", "/auth/refresh", {"headers": headers}),
        ("POST", "/auth/refresh", plain),
        ("POST", "/auth/step-up", {"json": {"password": PASSWORD}, "headers": headers}),
        ("DELETE", "/me", {"headers": headers}),
        ("DELETE", f"/auth/sessions/{browser.login.json()['session_id']}", {"headers": headers}),
    ]
    async with office.nothing_stored():
        for method, path, more in asked:
            answer = await browser(method, path, **more)
            refused = (answer.status_code, answer.json()["code"])
            assert refused == (403, "origin_not_allowed") or (
                refused == (415, "media_type.unsupported") and path == "/auth/refresh"
            ), (method, path, refused)
            assert set_by(answer) == {}
    assert browser.cookies == before
    assert (await browser("POST", "/auth/refresh")).status_code == 200, "nobody has used the refresh token"


async def test_a_foreign_page_with_an_expired_access_cookie_does_not_use_up_the_refresh_token(
    office, browser
):
    async with office.nothing_stored():
        answer = await browser("PATCH", "/me", json={}, headers={}, cookies=browser.forget(ACCESS))
    assert answer.status_code == 403
    generation = office.owner.execute(
        "select generation from refreshes where session_id = %s", (browser.login.json()["session_id"],)
    ).fetchone()
    assert generation == (1,)


async def test_a_listed_origin_reads_and_writes_and_is_told_so(browser):
    answer = await browser("PATCH", "/me", json={"first_name": "Marie"}, headers=FRIEND)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == FRIEND["Origin"]
    assert answer.headers["access-control-allow-credentials"] == "true"
    asking = {**FRIEND, "Access-Control-Request-Method": "PATCH"}
    preflight = await browser("OPTIONS", "/me", headers=asking, cookies={})
    assert preflight.headers["access-control-allow-credentials"] == "true"
    assert preflight.headers["access-control-allow-origin"] == FRIEND["Origin"]
    evil = await browser("GET", "/me", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in evil.headers, "it is answered, but no page may read it"


# --- beside other credentials ---------------------------------------------------------------------------------


async def test_a_header_given_on_purpose_counts_alone(office, browser):
    """A browser attaches cookies by itself: they neither help nor hinder."""
    other = await office.user()
    authorization = {"Authorization": other.client.headers["authorization"]}
    answer = await browser("GET", "/me", headers=authorization)
    assert answer.json()["email"] == other.email
    assert (await browser("PATCH", "/me", json={}, headers=authorization)).status_code == 200
    bad = await browser("GET", "/me", headers={"Authorization": "Bearer no.such.token"})
    assert (bad.status_code, bad.json()["code"]) == (401, "invalid_bearer_token")


@pytest.mark.parametrize("value", ["", "x", "a.b.c", "é", "a" * 5000, '"quoted"'])
async def test_what_is_no_token_is_no_credential(office, browser, value):
    async with office.nothing_stored():
        for cookies in ({ACCESS: value}, {REFRESH: value}, {ACCESS: value, REFRESH: value}):
            answer = await browser("GET", "/me", cookies=cookies)
            assert (answer.status_code, answer.json()["code"]) == (401, "invalid_bearer_token")
            assert set_by(answer) == {}


async def test_a_cookie_without_the_prefix_is_not_ours(browser):
    """Another host of the domain could have set it."""
    answer = await browser("GET", "/me", cookies={"chancery_access": browser.cookies[ACCESS]})
    assert answer.status_code == 401


# --- renewed in passing ---------------------------------------------------------------------------------------


async def test_an_expired_access_cookie_is_renewed_while_the_request_is_served(browser):
    first = dict(browser.cookies)
    answer = await browser("GET", "/me", cookies=browser.forget(ACCESS))
    assert (answer.status_code, answer.json()["email"]) == (200, browser.user.email)
    assert browser.cookies[REFRESH] != first[REFRESH]
    written = await browser(
        "PATCH", "/me", json={"first_name": "Marie"}, cookies={**browser.cookies, ACCESS: "expired"}
    )
    assert written.status_code == 200
    assert set_by(written).keys() == {ACCESS, REFRESH}
    assert (await browser("GET", "/me")).status_code == 200
    again = await browser("GET", "/me", cookies={REFRESH: first[REFRESH]})
    assert (again.status_code, again.json()["code"]) == (401, "auth.refresh_token_reused")
    assert (await browser("GET", "/me")).status_code == 401, "the session was ended"


async def test_a_refused_request_brings_the_new_cookies_all_the_same(browser):
    """The old refresh token is used up, whatever became of the request."""
    answer = await browser("GET", "/users/nobody", cookies=browser.forget(ACCESS))
    assert answer.status_code == 404
    assert set_by(answer).keys() == {ACCESS, REFRESH}


async def test_parallel_requests_with_the_same_old_cookie_are_all_served(office, browser):
    """More than a retry may repeat: they share one refresh while it is under way."""
    old = browser.forget(ACCESS)
    office.transport.follows = False  # it would let them in one after the other
    try:
        answers = await asyncio.gather(*(browser("GET", "/me", cookies=old) for _ in range(60)))
    finally:
        office.transport.follows = True
    assert Counter(answer.status_code for answer in answers) == {200: 60}
    assert len({set_by(answer)[REFRESH].value for answer in answers}) == 1
    assert (await browser("GET", "/me")).status_code == 200


async def test_who_must_change_the_password_is_renewed_once(office, browser):
    office.owner.execute(
        "update principals set must_change_password = true where user_id = %s", (browser.user.id,)
    )
    answer = await browser("GET", "/me", cookies=browser.forget(ACCESS))
    assert answer.status_code == 200
    refused = await browser("POST", "/organisations", json={"full_name": "x"}, cookies=browser.forget(ACCESS))
    assert (refused.status_code, refused.json()["code"]) == (403, "password_change_required")
    assert len(refused.headers.get_list("set-cookie")) == 2


async def test_a_refresh_on_purpose_brings_new_cookies_and_says_no_token(browser):
    before = dict(browser.cookies)
    answer = await browser("POST", "/auth/refresh")
    assert answer.status_code == 200
    assert answer.json().keys() == {"token_type", "expires_in", "session_id"}
    assert set_by(answer).keys() == {ACCESS, REFRESH}
    assert browser.cookies[REFRESH] != before[REFRESH]


async def test_a_refresh_of_nothing_is_told_so(office):
    async with office.nothing_stored():
        answer = await office.stranger.post("/auth/refresh", json={})
    assert (answer.status_code, answer.json()["code"]) == (400, "body.missing")


# --- step-up and out ------------------------------------------------------------------------------------------


async def test_a_step_up_brings_a_new_access_cookie_alone(browser):
    answer = await browser("POST", "/auth/step-up", json={"password": PASSWORD})
    assert (answer.status_code, answer.json()["token_type"]) == (200, "Cookie")
    assert answer.json().keys() == {"token_type", "expires_in", "session_id"}
    assert set_by(answer).keys() == {ACCESS}


async def test_signing_out_takes_both_cookies_away_with_every_attribute_a_browser_wants(browser):
    kept = dict(browser.cookies)
    answer = await browser("POST", "/auth/logout", cookies=browser.forget(ACCESS))
    assert (answer.status_code, answer.content) == (204, b"")
    gone = set_by(answer)
    assert {name: cookie.value for name, cookie in gone.items()} == {ACCESS: "", REFRESH: ""}
    for cookie in gone.values():
        assert (cookie["max-age"], cookie["secure"], cookie["path"]) == ("0", True, "/")
    assert not {ACCESS, REFRESH} & browser.cookies.keys()
    assert (await browser("GET", "/me", cookies=kept)).status_code == 401
    assert (await browser("POST", "/auth/refresh", cookies=kept)).status_code == 401
