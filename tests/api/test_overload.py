"""What happens past the limits: who comes too many is told so at once, loses nothing, and takes nothing from others."""

import asyncio
import socket
from uuid import uuid4

import httpx
import pytest
from httpx import ASGITransport, AsyncClient
from structlog.testing import capture_logs

from api.admission import Admission, kind_of
from api.edge import Edge
from api.impatience import impatient
from api.streams import Stream, Streams
from infrastructure import postgres
from infrastructure.postgres import open_pool
from tests import office as offices
from tests import servers
from tests.waiting import until

pytestmark = pytest.mark.anyio

ONE_EACH = {"commands": 1, "reads": 1, "uploads": 1, "sign-ins": 1}
FORM = {"content-type": "multipart/form-data; boundary=x"}
OF_EACH = {
    "commands": ("POST", "/api/v1/organisations", {}),
    "reads": ("GET", "/api/v1/organisations", {}),
    "uploads": ("POST", "/api/v1/files", FORM),
    "sign-ins": ("POST", "/api/v1/auth/login", {}),
}
ALWAYS = ["/healthz", "/readyz", "/metrics", "/docs/errors/overloaded", "/.well-known/jwks.json"]


class Slow:
    """An application that answers when it is told to; `began` is how many requests have reached it."""

    def __init__(self) -> None:
        self.began, self.answers = 0, asyncio.Event()

    async def __call__(self, scope, receive, send) -> None:
        self.began += 1
        if scope["path"].startswith("/api/"):
            await self.answers.wait()
        if scope["path"].endswith("/broken"):
            raise RuntimeError("broken")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


@pytest.fixture
async def slow():
    """The application, the admission before it with room for one of each kind, and a client."""
    app, admission = Slow(), Admission(ONE_EACH)
    transport = ASGITransport(Edge(app, admission=admission))
    async with AsyncClient(transport=transport, base_url="http://chancery.test") as client:
        yield app, admission, client


@pytest.mark.parametrize("kind", OF_EACH)
async def test_who_comes_past_the_limit_is_told_to_come_again_before_any_work_is_done(slow, kind):
    app, admission, client = slow
    method, path, headers = OF_EACH[kind]
    first = asyncio.create_task(client.request(method, path, headers=headers))
    await until(lambda: app.began == 1)
    refused = await client.request(method, path, headers=headers)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == "overloaded"
    assert refused.json()["request_id"] == refused.headers["x-request-id"]
    assert app.began == 1
    app.answers.set()
    assert (await first).status_code == 200
    assert (await client.request(method, path, headers=headers)).status_code == 200
    assert set(admission.inside.values()) == {0}


@pytest.mark.parametrize("kind", OF_EACH)
async def test_a_storm_of_one_kind_takes_no_place_from_another(slow, kind):
    app, admission, client = slow
    admission.inside[kind] = 1
    app.answers.set()
    said = {
        other: (await client.request(method, path, headers=headers)).status_code
        for other, (method, path, headers) in OF_EACH.items()
    }
    assert said == {other: 503 if other == kind else 200 for other in OF_EACH}


@pytest.mark.parametrize("path", ALWAYS)
async def test_how_the_process_is_can_always_be_asked(slow, path):
    _, admission, client = slow
    admission.inside.update(ONE_EACH)
    assert (await client.get(path)).status_code == 200
    assert admission.inside == ONE_EACH


async def test_a_place_is_given_back_whatever_becomes_of_its_request(slow):
    app, admission, client = slow
    given_up = asyncio.create_task(client.get("/api/v1/organisations"))
    await until(lambda: app.began == 1)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    app.answers.set()
    with capture_logs():
        assert (await client.get("/api/v1/broken")).status_code == 500
    assert (await client.get("/api/v1/organisations%00")).status_code == 400
    assert admission.inside["reads"] == 0


async def test_a_storm_is_told_in_one_line_and_again_after_it_was_over(slow):
    _, admission, client = slow
    with capture_logs() as lines:
        for _ in range(2):
            admission.inside["commands"] = 1
            for _ in range(5):
                await client.post("/api/v1/organisations")
            admission.inside["commands"] = 0
            admission.enter({"path": "/api/v1/x", "method": "POST", "h": {}}).leave()
    told = [line["event"] for line in lines if line["log_level"] == "warning"]
    assert told == ["full", "full"]


def test_a_place_given_back_twice_is_one_place():
    admission = Admission({"reads": 2})
    first, _ = (admission.enter({"path": "/api/v1/x", "method": "GET", "h": {}}) for _ in range(2))
    first.leave()
    first.leave()
    assert admission.inside == {"reads": 1}


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("HEAD", "/api/v1/organisations", "reads"),
        ("OPTIONS", "/api/v1/organisations", "reads"),
        ("PATCH", "/api/v1/organisations/1", "commands"),
        ("POST", "/api/v1/internal/users/upsert-by-sub", "commands"),
        ("POST", "/api/v1/auth/refresh", "sign-ins"),
        ("GET", "/healthz", None),
        ("POST", "/nowhere", None),
    ],
)
def test_a_request_is_of_a_kind_by_its_first_line(method, path, kind):
    assert kind_of({"path": path, "method": method, "h": {}}) == kind


async def test_an_open_stream_keeps_no_place_of_a_read():
    """It has one of its own kind."""
    admission, streams, leaves = Admission(ONE_EACH), Streams(), asyncio.Event()
    place = admission.enter({"path": "/api/v1/events/stream", "method": "GET", "h": {}})

    async def receive():
        await leaves.wait()
        return {"type": "http.disconnect"}

    async def send(_):
        pass

    async def pieces():
        await asyncio.Event().wait()
        yield b""

    answer = Stream(streams, uuid4(), pieces()).to_asgi_response()
    flowing = asyncio.create_task(answer({"place": place}, receive, send))
    await until(lambda: streams.count == 1)
    assert admission.inside["reads"] == 0
    leaves.set()
    await flowing


# --- a whole API --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def narrow(cluster, nats_server):
    """An office that takes two commands at once."""
    with servers.database(cluster) as addresses:
        async with offices.opened(addresses, nats_server.url, commands_at_once=2) as opened:
            yield opened


async def test_of_a_storm_of_commands_none_is_lost_and_none_is_done_twice(narrow):
    """Whoever was refused comes again with the same key, as long as he is refused."""

    async def ask(number: int) -> httpx.Response:
        headers, body = {"idempotency-key": f"storm-{number}"}, {"full_name": f"Storm {number}"}
        return await narrow.admin.post("/organisations", json=body, headers=headers)

    before, made = await narrow.head(), set()
    for number, answer in enumerate(await asyncio.gather(*map(ask, range(12)))):
        if answer.status_code == 503:
            assert answer.json()["code"] == "overloaded"
            made.add((await ask(number)).json()["id"])
        else:
            assert answer.status_code == 201
            assert (await ask(number)).json()["id"] == answer.json()["id"]
    assert len(made) == 10
    assert await narrow.head() == before + 12


async def test_who_gives_up_in_the_middle_leaves_whole_pools_and_whole_commands(narrow):
    """psycopg#1123: a storm of cancellations; here of people who hang up at any moment of their request."""
    before = await narrow.head()

    async def hang_up(number: int) -> None:
        body = {"full_name": f"Hung up {number}"}
        asks = [
            narrow.admin.post("/organisations", json=body),
            narrow.admin.get("/organisations"),
            narrow.admin.get("/search", params={"q": "storm"}),
        ]
        asking = asyncio.create_task(asks.pop(number % 3))
        for each in asks:
            each.close()
        for _ in range(number % 40):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    narrow.transport.follows = False
    try:
        await asyncio.gather(*(hang_up(number) for number in range(120)))
    finally:
        narrow.transport.follows = True
    pool = narrow.system.pool
    await until(lambda: pool.get_stats()["pool_available"] == pool.get_stats()["pool_size"])
    assert pool.get_stats().get("requests_waiting", 0) == 0
    answer = await narrow.admin.post("/organisations", json={"full_name": "After"})
    assert answer.status_code == 201
    after = await narrow.head()
    stored = await narrow.system.log.read(before, 1_000)
    assert [each.topic for each in stored] == ["organisation.added.v1"] * (after - before)


# --- a pool -------------------------------------------------------------------------------------------------------


async def test_a_pool_is_whole_after_everybody_gave_up_at_once(dsn):
    pool = await open_pool(dsn, size=4)
    try:

        async def ask() -> None:
            async with pool.connection() as connection:
                await connection.execute("select pg_sleep(0.01)")

        for turn in range(5):
            asking = [asyncio.create_task(ask()) for _ in range(100)]
            for _ in range(turn * 7):
                await asyncio.sleep(0)
            for each in asking:
                each.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        await asyncio.gather(*(ask() for _ in range(20)))
        await until(lambda: pool.get_stats()["pool_available"] == pool.get_stats()["pool_size"])
        assert pool.get_stats()["pool_size"] <= 4
    finally:
        await pool.close()


async def test_who_would_wait_behind_too_many_for_a_connection_is_told_at_once(dsn, monkeypatch):
    monkeypatch.setattr(postgres, "WAITING", 1)
    pool = await open_pool(dsn, size=1)
    try:
        async with pool.connection():
            waiting = asyncio.create_task(pool.getconn())
            await until(lambda: pool.get_stats().get("requests_waiting") == 1)
            with pytest.raises(postgres.LOST):
                await pool.getconn()
        await pool.putconn(await waiting)
    finally:
        await pool.close()


# --- a reader who takes nothing -----------------------------------------------------------------------------------


async def test_connections_inherit_how_long_their_reader_may_take_nothing():
    waiting = asyncio.create_task(impatient(7))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        await waiting
        with socket.create_connection(listening.getsockname()):
            accepted, _ = listening.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 7_000
                assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
