"""What only bytes on a socket can do wrong, against the server that is deployed; docs/hostile.md, rows H1 and H2."""

import os
import socket
from pathlib import Path

import pytest

from tests import servers, whole
from tests.api.test_hostile import BODIES

BODY = b'{"refresh_token":"nothing"}'
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
SMUGGLED = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
LENGTH = b"Content-Length: %d"
TIMES = 10
"""Each hostile body is sent so often, for its cost to show on a clock that ticks a hundred times a second."""


@pytest.fixture(scope="module")
def chancery():
    with whole.up(servers.place("transport"), CHANCERY_HTTP_WORKERS="1") as running:
        yield running


@pytest.fixture(autouse=True)
def going_on(chancery):
    """After each attack the next honest request succeeds, from the same worker."""
    before = chancery.http_workers()
    yield
    with chancery.signed_in() as admin:
        assert admin.get("/me").status_code == 200
    assert chancery.http_workers() == before


def said(chancery, sent: bytes) -> tuple[list[int], bool]:
    """The statuses that came back for these bytes, and whether the server then closed the connection."""
    host, port = chancery.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 30) as connection:
        connection.sendall(sent)
        connection.settimeout(1)
        told, closed = b"", False
        try:
            while part := connection.recv(65_536):
                told += part
            closed = True
        except TimeoutError:
            pass
    return [int(part[:3]) for part in told.split(b"HTTP/1.1 ")[1:]], closed


def refresh(*headers: bytes, body: bytes = BODY) -> bytes:
    lines = [b"POST /api/v1/auth/refresh HTTP/1.1", b"Host: a", b"Content-Type: application/json", *headers]
    return b"\r\n".join([*lines, b"", body])


LENGTHS_THAT_DISAGREE = {
    "two lengths": refresh(LENGTH % 4, LENGTH % len(BODY)),
    "a list of lengths": refresh(b"Content-Length: 4, %d" % len(BODY)),
    "a signed length": refresh(b"Content-Length: +%d" % len(BODY)),
    "a negative length": refresh(b"Content-Length: -1"),
    "another base": refresh(b"Content-Length: 0x%x" % len(BODY)),
    "an unknown coding": refresh(b"Transfer-Encoding: xchunked", body=CHUNKED),
    "chunked and more": refresh(b"Transfer-Encoding: chunked, identity", body=CHUNKED),
    "two codings": refresh(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", body=CHUNKED),
    "a blank before the colon": refresh(b"Transfer-Encoding : chunked", body=CHUNKED),
    "a vertical tab": refresh(b"Transfer-Encoding: \x0bchunked", body=CHUNKED),
    "a folded line": refresh(b"X-A: b", b" Transfer-Encoding: chunked", LENGTH % len(BODY)),
    "a bare return": refresh(b"X-A: b\rTransfer-Encoding: chunked", LENGTH % len(BODY)),
    "a NUL": refresh(b"X-A: b\0c", LENGTH % len(BODY)),
    "chunks in HTTP/1.0": refresh(b"Transfer-Encoding: chunked", body=CHUNKED).replace(
        b"HTTP/1.1", b"HTTP/1.0"
    ),
    "TLS": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(100),
}


@pytest.mark.parametrize("what", LENGTHS_THAT_DISAGREE)
def test_a_request_whose_end_is_in_doubt_is_refused_and_the_connection_closed(chancery, what):
    assert said(chancery, LENGTHS_THAT_DISAGREE[what] + SMUGGLED) == ([400], True)


@pytest.mark.parametrize("given", [0, 4, len(BODY), len(CHUNKED + SMUGGLED)])
@pytest.mark.parametrize("chunked_first", [True, False])
def test_a_length_beside_chunks_smuggles_nothing(chancery, given, chunked_first):
    """granian reads the chunks, as RFC 9112 6.3 has it, answers that one request, and closes as 6.1 demands."""
    headers = [b"Transfer-Encoding: chunked", LENGTH % given]
    sent = refresh(*(headers if chunked_first else headers[::-1]), body=CHUNKED)
    assert said(chancery, sent + SMUGGLED) == ([401], True)


@pytest.mark.parametrize(
    "chunks",
    [
        b"0x5\r\nabcde\r\n0\r\n\r\n",
        b"5\nabcde\n0\n\n",
        b"5\r\nabcdeX0\r\n\r\n",
        b"-5\r\nabcde\r\n0\r\n\r\n",
        b"f" * 18 + b"\r\nabcde",
    ],
)
def test_chunks_that_are_none_end_the_connection(chancery, chunks):
    sent = refresh(b"Transfer-Encoding: chunked", body=chunks)
    statuses, closed = said(chancery, sent + SMUGGLED)
    assert statuses in ([400], [499]), "499: the server takes the caller for gone, since his body broke off"
    assert closed


def test_a_bare_line_feed_ends_a_line_and_nothing_else(chancery):
    """RFC 9112 2.2 allows to read it so; what matters is that one request stays one."""
    assert said(chancery, b"GET /healthz HTTP/1.1\nHost: a\n\n") == ([200], False)
    assert said(chancery, b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-A: b\nX-B: c\r\n\r\n") == ([200], False)


def test_there_is_no_other_protocol(chancery):
    assert said(chancery, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SMUGGLED) == ([], True)
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
    assert said(chancery, SMUGGLED[:-2] + upgrade) == ([200], False), "not 101"


def test_hostile_json_costs_little_time_and_no_memory(chancery):
    (worker,) = chancery.http_workers()
    with chancery.signed_in() as admin:

        def send(what: str) -> None:
            kind = {"Content-Type": "application/json"}
            for _ in range(TIMES):
                answer = admin.post("/organisations", content=BODIES[what], headers=kind)
                assert answer.status_code == 400, what

        for what in BODIES:
            send(what)
        before = resident(worker)
        costs = {}
        for what in BODIES:
            since = spent(worker)
            send(what)
            costs[what] = (spent(worker) - since) / TIMES
    assert max(costs.values()) < 0.15, costs  # 0.03 on a free processor
    assert resident(worker) - before < 16 * 1024 * 1024


def spent(pid: int) -> float:
    """Seconds of processor time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> int:
    """Bytes of memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
