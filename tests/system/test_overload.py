"""Connections that do nothing, too little or too much, against the server that is deployed: none of them costs."""

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path

import httpx
import pytest

from infrastructure.embedded.children import wait_until
from tests import servers, whole

SECONDS = 3
"""After which a head, a body and a reader are too slow here."""
LONG = 60.0
UPLOADS = 2
IDLE, QUICK, GONE = 500, 2_000, 100
LIMITS = {
    "CHANCERY_HTTP_WORKERS": "1",
    "CHANCERY_HEADER_SECONDS": str(SECONDS),
    "CHANCERY_BODY_SECONDS": str(SECONDS),
    "CHANCERY_SLOW_READER_SECONDS": str(SECONDS),
    "CHANCERY_UPLOADS_AT_ONCE": str(UPLOADS),
}
LISTENS = "0A"
"""A state in /proc/net/tcp."""
_names = count()


@pytest.fixture(scope="module")
def chancery():
    with whole.up(servers.place("overload"), **LIMITS) as running:
        yield running


@pytest.fixture(scope="module")
def token(chancery):
    with chancery.signed_in() as admin:
        return admin.headers["authorization"]


@pytest.fixture(autouse=True)
def whole_again(chancery, token):
    """After each of them the same worker answers, with not one connection of theirs left."""
    (worker,) = chancery.http_workers()
    assert wait_until(lambda: connections(worker) == 0, LONG)
    yield
    assert wait_until(lambda: added(chancery, token) == 201, LONG)
    assert wait_until(lambda: connections(worker) == 0, LONG), "connections are left"
    assert chancery.http_workers() == [worker]


def added(chancery, token: str) -> int:
    answer = httpx.post(
        f"{chancery.url}/api/v1/organisations",
        json={"full_name": f"Overload {next(_names)}"},
        headers={"authorization": token},
        timeout=LONG,
    )
    return answer.status_code


def connections(worker: int) -> int:
    """Open connections of callers: what the worker listens on, and asks itself, is not among them."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets = set()
    for entry in Path(f"/proc/{worker}/fd").iterdir():
        with suppress(FileNotFoundError):
            sockets.add(str(entry.readlink()))
    ours = [row for row in rows if f"socket:[{row[9]}]" in sockets]
    port = next(row[1][-5:] for row in ours if row[3] == LISTENS)
    return sum(row[1].endswith(port) for row in ours if row[3] != LISTENS)


def connected(chancery, receives: int = 0) -> socket.socket:
    """`receives`: bytes that the kernel keeps for one who does not read."""
    host, port = chancery.url.removeprefix("http://").split(":")
    connection = socket.socket()
    if receives:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
    connection.settimeout(LONG)
    connection.connect((host, int(port)))
    return connection


def head(method: str, path: str, token: str, *more: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: a", f"authorization: {token}", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def said(connection: socket.socket) -> bytes:
    """All that comes until the server closes."""
    told = b""
    try:
        while part := connection.recv(65_536):
            told += part
    except ConnectionResetError:
        pass
    return told


def test_idle_connections_are_let_go_and_nobody_waits_behind_them(chancery, token):
    with ExitStack() as stack:
        silent = [stack.enter_context(connected(chancery)) for _ in range(IDLE)]
        assert wait_until(lambda: connections(*chancery.http_workers()) > 0, LONG)
        assert wait_until(lambda: added(chancery, token) == 201, LONG)
        assert httpx.get(f"{chancery.url}/healthz", timeout=LONG).status_code == 200
        assert {said(each) for each in silent} == {b""}


def test_a_head_that_comes_byte_by_byte_is_not_waited_for(chancery):
    with connected(chancery) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: ")
        assert b" 200 " not in said(connection)


def test_uploads_that_trickle_take_no_more_than_their_places_and_give_them_back(chancery, token):
    form = ("content-type: multipart/form-data; boundary=x", "content-length: 100000")
    begun = head("POST", "/api/v1/files", token, *form) + b"--x\r\n"
    told = []

    def upload() -> int:
        url, headers = f"{chancery.url}/api/v1/files", {"authorization": token}
        file = {"file": ("a.pdf", b"%PDF-1.7 a", "application/pdf")}
        told.append(httpx.post(url, files=file, headers=headers, timeout=LONG))
        return told[-1].status_code

    with ExitStack() as stack:
        for _ in range(UPLOADS):
            stack.enter_context(connected(chancery)).sendall(begun)
        assert wait_until(lambda: upload() == 503, LONG)
        assert (told[-1].json()["code"], told[-1].headers["retry-after"]) == ("overloaded", "1")
        assert added(chancery, token) == 201
    assert wait_until(lambda: upload() == 201, LONG)


def test_a_json_body_that_trickles_is_answered_408(chancery, token):
    with connected(chancery) as connection:
        kind = ("content-type: application/json", "content-length: 100")
        connection.sendall(head("POST", "/api/v1/organisations", token, *kind) + b"{")
        assert said(connection)[9:12] == b"408"


def test_a_reader_who_takes_nothing_is_left(chancery, token):
    """The kernel ends the connection, whatever stands in the buffers."""
    (worker,) = chancery.http_workers()
    size = len(httpx.get(f"{chancery.url}/openapi.json", timeout=LONG).content)
    assert wait_until(lambda: connections(worker) == 0, LONG)
    with connected(chancery, receives=4096) as connection:
        connection.sendall(head("GET", "/openapi.json", token) * (8_000_000 // size + 1))
        assert connection.recv(1) == b"H", "the answers are on their way"
        assert wait_until(lambda: connections(worker) == 0, LONG)
        assert len(said(connection)) < 8_000_000


def test_connections_opened_and_closed_at_once_leave_nothing(chancery):
    for _ in range(QUICK):
        connected(chancery).close()


def test_who_hangs_up_after_asking_has_asked_once_or_not_at_all(chancery, token):
    """The command comes to its end without him, and no connection to the database is lost over it."""
    before = names(chancery, token)

    def ask(number: int) -> None:
        body = b'{"full_name":"Gone %03d"}' % number
        kind = ("content-type: application/json", f"content-length: {len(body)}")
        with connected(chancery) as connection:
            connection.sendall(head("POST", "/api/v1/organisations", token, *kind) + body)

    with ThreadPoolExecutor(20) as people:
        list(people.map(ask, range(GONE)))
    with chancery.superuser() as admin:
        busy = b"select count(*) from pg_stat_activity where usename = 'chancery_app' and state like '%in transaction%'"
        assert wait_until(lambda: admin.execute(busy).fetchone() == (0,), LONG)
    found = names(chancery, token) - before
    assert found
    assert found <= {f"Gone {number:03}" for number in range(GONE)}


def names(chancery, token: str) -> set[str]:
    """Of the organisations called Gone, each of which there is once."""
    with chancery.client(patient=True) as client:
        client.headers["authorization"] = token
        position = client.post("/organisations", json={"full_name": "Seen"}).json()["position"]
        rows = client.get(
            "/organisations",
            params={"filter": 'full_name : "Gone"', "page_size": 200},
            headers={"x-min-position": str(position)},
        ).json()["data"]
    found = [row["full_name"] for row in rows]
    assert len(found) == len(set(found))
    return set(found)


@pytest.mark.parametrize("header", ["cookie: " + "c=" + "x" * 200_000, "x-a: b\r\n" * 5_000])
def test_giant_heads_are_refused(chancery, header):
    with connected(chancery) as connection:
        try:
            connection.sendall(head("GET", "/healthz", "none", header.removesuffix("\r\n")))
        except ConnectionError:
            return
        assert said(connection)[9:12] in (b"431", b"400", b"")
