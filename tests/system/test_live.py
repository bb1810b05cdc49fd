"""Both sides of a dialog as they meet it: a stream and a socket each, through the server that is deployed."""

import json
import secrets
from contextlib import ExitStack, contextmanager
from socket import SHUT_RDWR
from uuid import uuid4

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from infrastructure.embedded.children import wait_until
from tests import servers, whole

LONG = 30.0
"""Seconds within which what is said is heard, on two busy cores."""
CHANGED = "another horse, another battery"


@pytest.fixture(scope="module")
def chancery():
    with whole.up(servers.place("live"), CHANCERY_HTTP_WORKERS="1") as running:
        yield running


@pytest.fixture(scope="module")
def admin(chancery):
    with chancery.signed_in() as client:
        yield client


class Person:
    def __init__(self, chancery, admin, stack: ExitStack) -> None:
        self.email = f"{secrets.token_hex(6)}@example.org"
        body = {"email": self.email, "first_name": "Ada", "last_name": "Byron"}
        made = admin.post("/users", json=body).raise_for_status().json()
        self.id, self.client = made["id"], stack.enter_context(chancery.client())
        login = {"login": self.email, "password": made["temporary_password"]}
        token = self.client.post("/auth/login", json=login).raise_for_status().json()["access_token"]
        self.client.headers["Authorization"] = self.credential = f"Bearer {token}"
        change = {"old": made["temporary_password"], "new": CHANGED}
        self.client.post("/me/password", json=change).raise_for_status()


@pytest.fixture
def pair(chancery, admin):
    """Anna, Bert, and the id of their dialog."""
    with ExitStack() as stack:
        anna, bert = [Person(chancery, admin, stack) for _ in range(2)]
        opened = anna.client.post("/dialogs", json={"user_id": bert.id}).raise_for_status()
        yield anna, bert, opened.json()["id"]


class Stream:
    """An open stream. `next` is the next event: its name, its position, its data."""

    def __init__(self, answer: httpx.Response) -> None:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")
        self._lines = answer.iter_lines()

    def next(self) -> tuple[str, int | None, dict]:
        name = position = None
        for line in self._lines:
            field, _, value = line.partition(": ")
            match field:
                case "event":
                    name = value
                case "id":
                    position = int(value)
                case "data":
                    assert name is not None
                    return name, position, json.loads(value)
        raise EOFError

    def until(self, wanted: str) -> tuple[int | None, dict]:
        while (heard := self.next())[0] != wanted:
            pass
        return heard[1:]

    def ended(self) -> bool:
        try:
            self.next()
        except EOFError:
            return True
        return False


@contextmanager
def listening(person: Person, last: int | None = None):
    """Once it is heard that one listens."""
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    with person.client.stream("GET", "/me/stream", headers=headers, timeout=LONG) as answer:
        yield Stream(answer)


def address(chancery, dialog: object, query: str = "") -> str:
    return f"{chancery.url.replace('http', 'ws', 1)}/api/v1/dialogs/{dialog}/ws{query}"


def socket(
    chancery, dialog: object, credential: str | None = None, query: str = "", **more
) -> ClientConnection:
    headers = {} if credential is None else {"Authorization": credential}
    headers |= more.pop("headers", {})
    return connect(address(chancery, dialog, query), additional_headers=headers, proxy=None, **more)


def joined(opened: ClientConnection) -> ClientConnection:
    """Once the handshake was judged and he hears: what he says is answered."""
    opened.send("?")
    assert frame(opened, "problem")["code"] == "body.malformed"
    return opened


def frame(opened: ClientConnection, wanted: str) -> dict:
    while True:
        found = json.loads(opened.recv(timeout=LONG))
        if found["event"] == wanted:
            return found


def closed(opened: ClientConnection) -> tuple[int, str]:
    """With which code, and why."""
    try:
        while True:
            opened.recv(timeout=LONG)
    except ConnectionClosed as ended:
        if ended.rcvd is None:
            raise
        return ended.rcvd.code, ended.rcvd.reason


def said_after_all(person: Person, dialog: str) -> list[str]:
    """What stands in the dialog when one honest message has come."""
    place = f"/dialogs/{dialog}/messages"
    sent = person.client.post(place, json={"text": "honest"}).raise_for_status()
    asked = {"X-Min-Position": sent.headers["x-event-position"]}
    while (answer := person.client.get(place, headers=asked)).status_code == 503:
        pass  # it has waited for two seconds
    return [each["text"] for each in answer.json()["data"]]


def test_what_is_said_is_heard_on_both_sides_by_stream_and_socket_and_can_be_read(chancery, pair):
    anna, bert, dialog = pair
    with (
        listening(bert) as his,
        socket(chancery, dialog, anna.credential) as hers,
        socket(chancery, dialog, bert.credential) as his_socket,
    ):
        assert his.until("unread")[1] == {"total": 0, "dialogs": {}}
        joined(his_socket)
        upload = {"file": ("note.txt", b"What we spoke of.\n")}
        attached = anna.client.post("/files", files=upload).raise_for_status().json()["id"]
        hers.send(json.dumps({"text": " Hello Bert ", "attachments": [attached]}))
        position, message = his.until("message.new")
        assert (message["text"], message["attachments"], message["sender_id"]) == (
            "Hello Bert",
            [attached],
            anna.id,
        )
        assert bert.client.get(f"/messages/{message['id']}").json() == message
        assert bert.client.get(f"/files/{attached}/content").content == b"What we spoke of.\n"
        assert his.until("unread")[1] == {"total": 1, "dialogs": {dialog: 1}}
        assert bert.client.get("/messages/unread-count").json() == {"total": 1, "dialogs": {dialog: 1}}
        for side in (hers, his_socket):
            assert frame(side, "message.new") == {"event": "message.new", **message}
        body = {"message_id": message["id"]}
        bert.client.post(f"/dialogs/{dialog}/read-up-to", json=body).raise_for_status()
        assert frame(hers, "dialog.read")["reader_id"] == bert.id
        assert his.until("unread")[1] == {"total": 0, "dialogs": {}}
    missed = [
        anna.client.post(f"/dialogs/{dialog}/messages", json={"text": text}).raise_for_status().json()
        for text in ("one", "two")
    ]
    with listening(bert, last=position) as his:
        his.until("dialog.read")
        assert [his.until("message.new")[0] for _ in missed] == [each["position"] for each in missed]
        assert his.until("unread")[1]["total"] == 2
    with socket(chancery, dialog, bert.credential, f"?after={position}") as his_socket:
        assert [frame(his_socket, "message.new")["text"] for _ in missed] == ["one", "two"]


REFUSED_FRAMES = [
    ("no json", "body.malformed"),
    ("[1]", "body.invalid"),
    ("{}", "message.empty"),
    ('{"text": ""}', "body.invalid"),
    ('{"text": "a", "to": "b"}', "body.invalid"),
    ('{"text": "a", "text": "b"}', "body.malformed"),
    ('{"text": "a\\u0000b"}', "body.malformed"),
    (json.dumps({"text": "x" * 4097}), "body.invalid"),
    (json.dumps({"attachments": [str(uuid4())]}), "file.not_yours"),
    (json.dumps({"attachments": [str(uuid4())] * 11}), "body.invalid"),
    (json.dumps({"text": "a", "idempotency_key": "ü"}), "idempotency_key_malformed"),
]


def test_what_is_no_message_is_answered_and_the_next_honest_one_is_sent(chancery, pair):
    anna, _, dialog = pair
    with socket(chancery, dialog, anna.credential) as opened:
        for sent, code in REFUSED_FRAMES:
            opened.send(sent)
            problem = frame(opened, "problem")
            assert problem["code"] == code, sent
            assert {"status", "title", "detail", "request_id"} <= problem.keys()
        opened.send(json.dumps({"text": "honest"}))
        assert frame(opened, "message.new")["text"] == "honest"
        assert opened.ping().wait(LONG)
    found = anna.client.get(f"/dialogs/{dialog}/messages").json()["data"]
    assert [each["text"] for each in found] == ["honest"]


def test_a_key_makes_a_frame_that_is_sent_again_the_same_message_here_and_by_post(chancery, pair):
    anna, _, dialog = pair
    said = {"text": "once", "idempotency_key": "frame-1"}
    with socket(chancery, dialog, anna.credential) as opened:
        opened.send(json.dumps(said))
        first = frame(opened, "sent")
        opened.send(json.dumps(said))
        assert frame(opened, "sent") == first
        opened.send(json.dumps(said | {"text": "another"}))
        assert frame(opened, "problem")["code"] == "idempotency_key_reused"
    by_post = anna.client.post(
        f"/dialogs/{dialog}/messages", json={"text": "once"}, headers={"Idempotency-Key": "frame-1"}
    )
    assert (by_post.json()["id"], by_post.headers["idempotent-replayed"]) == (first["id"], "true")


def test_a_frame_that_is_no_text_or_too_large_ends_it(chancery, pair):
    anna, _, dialog = pair
    for sent, expected in (
        (b'{"text": "bytes"}', (1003, "frame.no_text")),
        (json.dumps({"text": "x" * (64 << 10)}), (1009, "frame.too_large")),
    ):
        with socket(chancery, dialog, anna.credential) as opened:
            opened.send(sent)
            assert closed(opened) == expected
    assert said_after_all(anna, dialog) == ["honest"]


def test_a_handshake_is_judged_like_a_request_and_told_why(chancery, admin, pair):
    anna, _, dialog = pair
    made = admin.post("/api-clients", json={"name": "A program"}).raise_for_status().json()
    keys = {"X-Client-Key": made["client_key"], "X-API-Key": made["api_key"]}
    with ExitStack() as stack:
        carl = Person(chancery, admin, stack)
        both = {"Authorization": anna.credential, **keys}
        for place, headers, expected in (
            (dialog, {}, (4401, "missing_bearer_token")),
            (dialog, {"Authorization": "Bearer x"}, (4401, "invalid_bearer_token")),
            (dialog, keys, (4403, "people_only")),
            (dialog, both, (4400, "credentials.ambiguous")),
            (dialog, {"Authorization": carl.credential}, (4404, "dialog.unknown")),
            (uuid4(), {"Authorization": anna.credential}, (4404, "dialog.unknown")),
            (anna.id, {"Authorization": anna.credential}, (4404, "dialog.unknown")),
            ("mine", {"Authorization": anna.credential}, (4404, "not_found")),
            (f"{dialog}/ws?after=-1#", {"Authorization": anna.credential}, (4400, "query.invalid")),
            (f"{dialog}/ws?after={10**17}#", {"Authorization": anna.credential}, (4400, "position.unknown")),
            (f"{dialog}/ws?since=1#", {"Authorization": anna.credential}, (4400, "query.unknown_parameter")),
        ):
            path = str(place).partition("#")[0]
            target = address(chancery, path) if "ws?" not in path else address(chancery, path)[: -len("/ws")]
            with connect(target, additional_headers=headers, proxy=None) as opened:
                assert closed(opened) == expected, (place, headers)


def test_a_cookie_opens_a_socket_from_an_origin_of_ours_alone(chancery, pair):
    anna, _, dialog = pair
    login = {"login": anna.email, "password": CHANGED, "transport": "cookie"}
    with chancery.client() as browser:
        answer = browser.post("/auth/login", json=login, headers={"Origin": chancery.url})
        answer.raise_for_status()
        cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
    for origin in (None, "https://evil.example", f"{chancery.url}.evil.example", "null"):
        with socket(chancery, dialog, headers=cookie, origin=origin) as opened:
            assert closed(opened) == (4403, "origin_not_allowed"), origin
    with socket(chancery, dialog, headers=cookie, origin=chancery.url) as opened:
        opened.send(json.dumps({"text": "from a browser"}))
        assert frame(opened, "message.new")["sender_id"] == anna.id
    refresh = {"Cookie": next(each for each in cookie["Cookie"].split("; ") if "refresh" in each)}
    with socket(chancery, dialog, headers=refresh, origin=chancery.url) as opened:
        assert closed(opened) == (4401, "invalid_bearer_token")


def test_who_is_blocked_hears_and_says_nothing_more_at_once(chancery, admin, pair):
    anna, bert, dialog = pair
    with (
        listening(bert) as his,
        socket(chancery, dialog, bert.credential) as his_socket,
        socket(chancery, dialog, anna.credential) as hers,
    ):
        his.until("unread")
        joined(hers)
        his_socket.send(json.dumps({"text": "before"}))
        frame(hers, "message.new")
        admin.post(f"/users/{bert.id}/block", json={"reason": "x"}).raise_for_status()
        assert closed(his_socket) == (4401, "session_ended")
        while not his.ended():
            pass
        anna.client.post(f"/dialogs/{dialog}/messages", json={"text": "after"}).raise_for_status()
        assert frame(hers, "message.new")["text"] == "after"
    assert [each["text"] for each in anna.client.get(f"/dialogs/{dialog}/messages").json()["data"]] == [
        "after",
        "before",
    ]


def test_so_many_sockets_of_one_are_open_and_who_vanishes_leaves_his_place(chancery, pair):
    anna, _, dialog = pair

    def admitted() -> bool:
        with socket(chancery, dialog, anna.credential) as again:
            again.send(json.dumps({"text": "there is room"}))
            try:
                return json.loads(again.recv(timeout=LONG))["event"] == "message.new"
            except ConnectionClosed:
                return False

    with ExitStack() as stack:
        opened = [stack.enter_context(socket(chancery, dialog, anna.credential)) for _ in range(20)]
        for each in opened:
            joined(each)
        with socket(chancery, dialog, anna.credential) as refused:
            assert closed(refused) == (1013, "streams.full")
        for each in opened:
            each.socket.shutdown(SHUT_RDWR)  # without a word, as a machine that is gone
        assert wait_until(admitted, LONG)
