"""A process that is about to end: what is in flight is finished, reads go on, nothing else begins."""

import asyncio

import httpx
import pytest

from api.admission import admission_of
from api.edge import Edge
from infrastructure.settings_parts import Limits
from tests.api.tiny import tiny_app

pytestmark = pytest.mark.anyio
HOUSES = "/api/v1/houses"


class Stop:
    """Whether it was told to end."""

    told = False

    def __call__(self) -> bool:
        return self.told


@pytest.fixture
def stop() -> Stop:
    return Stop()


@pytest.fixture
async def client(stop: Stop):
    edge = Edge(tiny_app(), admission=admission_of(Limits(), stop))  # type: ignore[arg-type]
    transport = httpx.ASGITransport(edge)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as asking:
        yield asking


@pytest.mark.parametrize("path", [HOUSES, "/api/v1/auth/login", "/api/v1/files"])
async def test_what_would_begin_is_told_to_come_again(client, stop, path):
    stop.told = True
    answer = await client.post(path, json={})
    assert (answer.status_code, answer.json()["code"]) == (503, "server.stopping")
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["connection"] == "close"
    assert answer.headers["x-request-id"] == answer.json()["request_id"]


async def test_a_read_is_answered_and_the_connection_let_go(client, stop):
    assert "connection" not in (await client.get(HOUSES)).headers
    stop.told = True
    answer = await client.get(HOUSES)
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")


async def test_what_is_in_flight_is_finished(client, stop):
    """Its body is still on its way when the process is told to end."""
    arriving, rest = asyncio.Event(), asyncio.Event()

    async def body():
        yield b'{"name":'
        arriving.set()
        await rest.wait()
        yield b'"a"'  # no whole house: what is told of it shows that it was read

    sending = asyncio.create_task(
        client.post(HOUSES, content=body(), headers={"Content-Type": "application/json"})
    )
    await arriving.wait()
    stop.told = True
    rest.set()
    answer = await sending
    assert (answer.status_code, answer.json()["code"]) == (400, "body.malformed")
