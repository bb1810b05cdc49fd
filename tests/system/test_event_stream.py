"""The event stream as its readers meet it: through the server that is deployed."""

import json
import time
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from infrastructure.embedded.children import wait_until
from tests import servers, whole

SOON = 5.0
"""Seconds in which what ends at once has ended, on two busy cores."""
ENDED = 15.0
"""And in which a whole Chancery has; a worker that will not end is killed after 20."""


@pytest.fixture(scope="module")
def chancery():
    with whole.up(servers.place("streams"), CHANCERY_HTTP_WORKERS="1") as running:
        yield running


class Reading:
    """One open stream. `next` is the next event, `ended` whether nothing more comes."""

    def __init__(self, answer: httpx.Response) -> None:
        assert answer.headers["content-type"] == "text/event-stream"
        self._lines = answer.iter_lines()
        assert next(self._lines) == ": ping"

    def next(self) -> tuple[int, dict]:
        position = None
        for line in self._lines:
            name, _, value = line.partition(": ")
            if name == "id":
                position = int(value)
            if name == "data":
                return position, json.loads(value)
        raise EOFError

    def ended(self) -> bool:
        """Whether nothing comes any more, not even the event that ended it."""
        try:
            self.next()
        except EOFError:
            return True
        return False


@contextmanager
def reading(client: httpx.Client, last: int | None = None, **params):
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    with client.stream("GET", "/events/stream", headers=headers, params=params, timeout=30) as answer:
        assert answer.status_code == 200, answer.read()
        yield Reading(answer)


def admitted(client: httpx.Client) -> bool:
    with client.stream("GET", "/events/stream") as answer:
        return answer.status_code == 200


def add(admin: httpx.Client, name: str) -> int:
    answer = admin.post("/organisations", json={"full_name": name}).raise_for_status()
    return int(answer.headers["x-event-position"])


@pytest.fixture
def admin(chancery):
    with chancery.signed_in() as client:
        yield client


@contextmanager
def reader(chancery, admin):
    """Somebody who may read events, and the grant that says so."""
    email = f"reader-{time.time_ns()}@example.org"
    body = {"email": email, "first_name": "Ada", "last_name": "Byron"}
    made = admin.post("/users", json=body).raise_for_status().json()
    right = {"scope_type": "global", "scope_id": "*", "module": "events", "action": "read"}
    grant = admin.post("/grants", json={"subject": {"type": "user", "id": made["id"]}, **right}).json()["id"]
    with chancery.client() as client:
        login = {"login": email, "password": made["temporary_password"]}
        answer = client.post("/auth/login", json=login).raise_for_status()
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        change = {"old": made["temporary_password"], "new": "another horse, another battery"}
        client.post("/me/password", json=change).raise_for_status()
        yield client, grant


def test_a_stream_begins_with_now_and_goes_on_where_its_reader_was(admin):
    with reading(admin) as stream:
        first = add(admin, "One")
        position, event = stream.next()
        assert (position, event["position"], event["data"]["full_name"]) == (first, first, "One")
    missed = [add(admin, name) for name in ("Two", "Three")]
    with reading(admin, first) as stream:
        assert [stream.next()[0] for _ in missed] == missed
        newest = add(admin, "Four")
        assert stream.next()[0] == newest
    with reading(admin, after=0) as stream:
        assert [stream.next()[0] for _ in range(first)] == list(range(1, first + 1))


def test_it_ends_with_its_session(chancery, admin):
    with reader(chancery, admin) as (client, _), reading(client) as stream:
        add(admin, "Seen")
        assert stream.next()[1]["data"]["full_name"] == "Seen"
        began = time.monotonic()
        with chancery.client() as beside:
            beside.headers["Authorization"] = client.headers["Authorization"]
            assert beside.post("/auth/logout", json={}).status_code == 204
        add(admin, "Not seen any more")
        assert stream.ended()
        assert time.monotonic() - began < SOON


def test_it_ends_with_its_right(chancery, admin):
    with reader(chancery, admin) as (client, grant), reading(client) as stream:
        began = time.monotonic()
        admin.post(f"/grants/{grant}/revoke", json={"reason": "Leaves."}).raise_for_status()
        assert stream.ended()
        assert time.monotonic() - began < SOON
        assert client.get("/events").status_code == 403


def test_an_api_client_reads_until_it_is_disabled(chancery, admin):
    made = admin.post("/api-clients", json={"name": "A follower"}).raise_for_status().json()
    right = {"scope_type": "global", "scope_id": "*", "module": "events", "action": "read"}
    admin.post("/grants", json={"subject": {"type": "client", "id": made["id"]}, **right}).raise_for_status()
    with chancery.client() as client:
        client.headers.update({"X-Client-Key": made["client_key"], "X-API-Key": made["api_key"]})
        with reading(client) as stream:
            added = add(admin, "For programs")
            assert stream.next()[0] == added
            admin.post(f"/api-clients/{made['id']}/disable", json={}).raise_for_status()
            assert stream.ended()


def test_so_many_streams_are_open_and_no_more(admin):
    with ExitStack() as stack:
        opened = [stack.enter_context(reading(admin)) for _ in range(20)]
        refused = admin.get("/events/stream")
        assert (refused.status_code, refused.json()["code"]) == (503, "streams.full")
        assert refused.headers["retry-after"] == "5"
        assert admin.get("/me").status_code == 200
        position = add(admin, "Told to all")
        assert [stream.next()[0] for stream in opened] == [position] * 20
    assert wait_until(lambda: admitted(admin), SOON)  # a reader who left is noticed a moment later


def test_the_end_of_the_server_waits_for_no_stream():
    with ExitStack() as readers:
        with whole.up(servers.place("stopping"), CHANCERY_HTTP_WORKERS="1") as running:
            admin = readers.enter_context(running.signed_in())
            stream = readers.enter_context(reading(admin, after=0))
            assert stream.next()[0] == 1
            opened = readers.enter_context(socket(running, admin))
            began = time.monotonic()
        assert time.monotonic() - began < ENDED
        with pytest.raises(ConnectionClosed) as ended:
            opened.recv(timeout=SOON)
        told = ended.value.rcvd  # None: its worker had ended before the close was on its way
        assert told is None or (told.code, told.reason) == (1001, "server.stopping")


@contextmanager
def socket(running, admin):
    """Of a dialog with somebody; what is said in it is answered already."""
    body = {"email": "somebody@example.org", "first_name": "Ada", "last_name": "Byron"}
    user_id = admin.post("/users", json=body).raise_for_status().json()["id"]
    dialog = admin.post("/dialogs", json={"user_id": user_id}).raise_for_status().json()["id"]
    url = f"{running.url.replace('http', 'ws', 1)}/api/v1/dialogs/{dialog}/ws"
    headers = {"Authorization": admin.headers["Authorization"]}
    with connect(url, additional_headers=headers, proxy=None) as opened:
        opened.send("?")
        while json.loads(opened.recv(timeout=30))["event"] != "problem":
            pass
        yield opened
