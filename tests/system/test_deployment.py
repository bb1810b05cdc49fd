"""Two of each process behind nginx and Traefik as `deploy/` has them; and how each of them ends and is replaced."""

import json
import secrets
import socket
import ssl
from uuid import uuid4

import httpx
import psycopg
import pytest
from websockets.sync.client import connect

from infrastructure.embedded.children import wait_until
from tests import servers
from tests.fleet import PATIENCE, Fleet
from tests.outside import Outside
from tests.proxies import HOST, in_front
from tests.traffic import HalfSent, Traffic
from tests.whole import ADMIN, PASSWORD

STRANGER = "127.0.0.3"
"""An address on loopback that is no proxy's."""
HANDED_OVER = 20.0
"""Seconds: an order of magnitude more than a role takes to change hands on a machine of its own."""
SPOOFED = {"X-Forwarded-For": "203.0.113.9"}


@pytest.fixture(scope="module")
def fleet(redis_url):
    place = servers.place("fleet")
    place.mkdir(mode=0o711)
    outside = Outside(place)
    try:
        made = Fleet(outside, redis_url)
        yield made
        made.hurried()
    finally:
        outside.stop()


@pytest.fixture(scope="module", params=["nginx", "traefik"])
def proxy(request, fleet):
    """Its address."""
    with in_front(request.param, servers.place(request.param), fleet.ports) as url:
        assert wait_until(lambda: lets_through(url), PATIENCE)
        yield url


def lets_through(url: str) -> bool:
    try:
        told = httpx.get(f"{url}/healthz", verify=False, headers={"Host": HOST}, timeout=30)
    except httpx.TransportError:
        return False
    return told.status_code == 200


@pytest.fixture
def admin(fleet, proxy):
    with fleet.signed_in(proxy, verify=False, headers={"Host": HOST}) as client:
        yield client


def made(admin: httpx.Client) -> httpx.Response:
    answer = admin.post("/organisations", json={"full_name": f"Behind a proxy {uuid4()}"})
    assert answer.status_code == 201, answer.text
    return answer


def test_addresses_and_links_are_those_that_callers_see(admin, proxy):
    document = admin.get(f"{proxy}/openapi.json").json()
    assert document["servers"] == [{"url": "/chancery"}]
    position = [made(admin).headers["x-event-position"] for _ in range(2)][-1]
    path, followed = "/organisations?page_size=1", {"X-Min-Position": position}
    assert wait_until(lambda: admin.get(path, headers=followed).status_code == 200, PATIENCE)
    listed = admin.get(path)
    link = listed.headers["link"]
    assert link.startswith("</chancery/api/v1/organisations?")
    following = admin.get(f"{proxy.removesuffix('/chancery')}{link[1:].partition('>')[0]}")
    assert (following.status_code, len(following.json()["data"])) == (200, 1)
    file = admin.post("/files", files={"file": ("note.txt", uuid4().hex.encode())})
    assert file.headers["location"].startswith("/chancery/api/v1/files/")


def test_cookies_are_for_the_site_alone_and_secure(admin, proxy):
    login = {"login": ADMIN, "password": PASSWORD, "transport": "cookie"}
    given = admin.post("/auth/login", json=login).headers.get_list("set-cookie")
    assert {cookie.partition("=")[0] for cookie in given} >= {
        "__Host-chancery_access",
        "__Host-chancery_refresh",
    }
    for cookie in given:
        assert {"Path=/", "Secure", "HttpOnly"} <= {part.strip() for part in cookie.split(";")}


def address_of(client: httpx.Client) -> str:
    """Where the administrator's session is from, as he is told."""

    def current() -> list[str]:
        sessions = client.get("/auth/sessions").raise_for_status().json()["data"]
        return [session["address"] for session in sessions if session["is_current"]]

    assert wait_until(lambda: bool(current()), PATIENCE)
    return current()[0]


def test_an_address_is_the_proxys_word_and_never_the_callers(fleet, proxy):
    there = httpx.HTTPTransport(verify=False, local_address=STRANGER)
    with fleet.signed_in(proxy, transport=there, headers={"Host": HOST, **SPOOFED}) as behind:
        assert address_of(behind) == STRANGER


def test_who_comes_past_the_proxy_is_not_believed(fleet):
    straight = httpx.HTTPTransport(local_address=STRANGER)
    with fleet.signed_in(transport=straight, headers=SPOOFED) as client:
        assert address_of(client) == STRANGER


def test_a_request_keeps_the_name_its_caller_gave_it(admin):
    named = admin.get("/me", headers={"X-Request-Id": "mine-1"})
    assert named.headers["x-request-id"] == "mine-1"
    other = admin.get("/me", headers={"X-Request-Id": "no name; at all"})
    assert (other.status_code, len(other.headers["x-request-id"])) == (200, 32)


def test_a_slash_inside_a_number_arrives_as_it_was_written(admin):
    answer = admin.get("/contracts/12%2F2026")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), answer.text


def test_bodies_are_as_large_as_the_api_takes_them(admin):
    too_large = admin.post("/organisations", json={"full_name": "a" * (1 << 20)})
    assert too_large.status_code == 413
    text = secrets.token_hex(1 << 20).encode()  # 2 MiB
    file = admin.post("/files", files={"file": ("long.txt", text)})
    assert file.status_code == 201, file.text


def test_figures_are_not_for_outside(admin, proxy):
    assert admin.get(f"{proxy}/metrics").status_code in (404, 503)
    assert admin.get(f"{proxy}/healthz").status_code == 200


def test_what_happens_is_heard_at_once_by_stream_and_socket(admin, proxy):
    person = {"email": f"{uuid4().hex}@example.org", "first_name": "Ada", "last_name": "Byron"}
    user = admin.post("/users", json=person).raise_for_status().json()["id"]
    dialog = admin.post("/dialogs", json={"user_id": user}).raise_for_status().json()["id"]
    path = f"/chancery/api/v1/dialogs/{dialog}/ws"
    credential = {"Authorization": admin.headers["Authorization"]}
    unchecked = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    port = httpx.URL(proxy).port
    with (
        admin.stream("GET", "/me/stream") as stream,
        socket.create_connection(("127.0.0.1", port)) as wire,
        connect(f"wss://{HOST}{path}", sock=wire, ssl=unchecked, additional_headers=credential) as talk,
    ):
        pieces = stream.iter_text()
        assert ": ping" in next(pieces), "its first piece comes before any other is there"
        talk.send(json.dumps({"text": "through the proxy", "idempotency_key": uuid4().hex}))
        heard = set()
        while not heard >= {"sent", "message.new"}:
            heard.add(json.loads(talk.recv(PATIENCE))["event"])
        told = ""
        while "through the proxy" not in told:
            told += next(pieces)


# --- how they end ---------------------------------------------------------------------------------------------------


def test_what_is_in_flight_is_finished_and_nothing_else_begins(fleet):
    with fleet.signed_in() as client, client.stream("GET", "/me/stream") as stream:
        pieces = stream.iter_text()
        assert ": ping" in next(pieces)
        half = HalfSent(fleet, 0, client.headers["Authorization"])
        # The request is in when a later one on another connection has been answered.
        assert client.get("/me").status_code == 200

        readiness = fleet.told_to_stop(0)
        assert readiness.status_code == 503
        assert readiness.json()["parts"][0]["detail"].startswith("is stopping")
        refused = client.post("/organisations", json={"full_name": "Too late"})
        assert (refused.status_code, refused.json()["code"]) == (503, "server.stopping")
        assert {"retry-after": "1", "connection": "close"}.items() <= refused.headers.items()
        assert client.get("/me").status_code == 200, "who only reads is served"
        assert "the server stops, come again" in "".join(pieces)

        told = half.finished()
        assert told.startswith(b"HTTP/1.1 201 "), told
    fleet.stopped(0)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{fleet.url(0)}/healthz")
    fleet.served_again(0)


def test_each_process_is_replaced_in_turn_and_nothing_is_lost_or_doubled(fleet):
    with fleet.signed_in() as admin:
        traffic = Traffic(fleet, admin.headers["Authorization"])
        try:
            for number in range(2):
                traffic.goes_on()
                fleet.told_to_stop(number)
                traffic.goes_on()
                fleet.stopped(number)
                traffic.goes_on()
                fleet.served_again(number)
            for number in range(2):
                traffic.goes_on()
                handed = fleet.worker_replaced(number)
                assert all(seconds < HANDED_OVER for seconds in handed.values()), handed
        finally:
            traffic.end()
        assert traffic.strange == []
        last = max(max(positions) for positions in traffic.said.values())
        followed = {"X-Min-Position": str(last)}
        path = "/organisations?filter=name:rolling&page_size=1&include_total=true"
        assert wait_until(lambda: admin.get(path, headers=followed).status_code == 200, PATIENCE)
        assert admin.get(path).json()["total"] == len(traffic.said)
    with psycopg.connect(fleet.outside.database_url) as app:
        added = "select count(*), count(distinct originator_id) from stored_events where notification_id = any(%s)"
        positions = [position for each in traffic.said.values() for position in each]
        assert app.execute(added, (positions,)).fetchone() == (len(traffic.said), len(traffic.said))
