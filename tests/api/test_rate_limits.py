"""Limits of people and of strangers over HTTP: whose requests count as one, and what costs nothing."""

import os
import time

import httpx
import pytest

from api.app import edge_of
from api.rate_limits import Limits, site
from application.access import Caller
from domain.shared import Actor
from infrastructure.event_store import new_id
from tests import office as offices
from tests import servers
from tests.conftest import CLUSTER

pytestmark = pytest.mark.anyio

PEOPLE, STRANGERS = 40, 30


@pytest.fixture(scope="module")
async def narrow(nats_server):
    """An office where people have few requests, and strangers fewer."""
    with servers.database(servers.Addresses(*os.environ[CLUSTER].split("\n"))) as addresses:
        limits = {"requests_per_minute": PEOPLE, "stranger_requests_per_minute": STRANGERS}
        async with offices.opened(addresses, nats_server.url, **limits) as opened:
            opened.edge = edge_of(opened.system)
            yield opened


def stranger(office, address):
    transport = httpx.ASGITransport(office.edge, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://testserver/api/v1")


async def statuses(client, times, path):
    return [(await client.get(path)).status_code for _ in range(times)]


async def test_a_person_has_a_number_of_requests_whatever_the_session(narrow):
    anna, boris = await narrow.user(), await narrow.user()
    again = await narrow.signed_in(anna.email)
    found = await statuses(anna.client, PEOPLE // 2, "/me") + await statuses(again, PEOPLE, "/me")
    assert found.count(200) == PEOPLE
    assert set(found[PEOPLE:]) == {429}
    refused = await anna.client.post("/dialogs", json={"user_id": str(boris.id)})
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert (await boris.client.get("/me")).status_code == 200


async def test_an_address_has_a_number_of_requests_to_what_is_open(narrow):
    async with stranger(narrow, "203.0.113.7") as one, stranger(narrow, "203.0.113.8") as other:
        found = await statuses(one, STRANGERS + 5, "/audit/keys")
        assert (found.count(200), found.count(429)) == (STRANGERS, 5)
        async with narrow.nothing_stored():
            refused = await one.post("/auth/login", json={"login": "a@example.org", "password": "x"})
        assert refused.json()["code"] == "rate_limited"
        assert (await other.get("/audit/keys")).status_code == 200


async def test_an_ipv6_subscriber_is_one_however_many_addresses_he_takes(narrow):
    found = []
    for number in range(STRANGERS + 5):
        async with stranger(narrow, f"2001:db8:7:{number:x}::{number:x}") as one:
            found.append((await one.get("/audit/keys")).status_code)
    assert found.count(200) == STRANGERS
    async with stranger(narrow, "2001:db8:7:100::1") as neighbour:
        assert (await neighbour.get("/audit/keys")).status_code == 200


async def test_health_is_never_limited(narrow):
    async with stranger(narrow, "203.0.113.9") as one:
        for path in ("/healthz", "/readyz", "/version"):
            url = f"http://testserver{path}"
            assert 429 not in [(await one.get(url)).status_code for _ in range(STRANGERS + 5)]


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:0:1ff::1", "2001:db8:0:100::/56"),
        (None, "stranger"),
        ("no address", "stranger"),
    ],
)
def test_who_is_counted_as_one(address, counted):
    assert site(address) == counted


async def test_a_request_in_a_lease_costs_next_to_nothing(narrow):
    """Under 2 us when the machine is idle; ten times that is where somebody has put a statement in."""
    limits = Limits(narrow.system.limiter, people=10_000_000, strangers=1)
    caller = Caller(actor=Actor(kind="user", id=new_id()))
    await limits.caller(caller)
    began = time.perf_counter()
    for _ in range(10_000):
        await limits.caller(caller)
    assert (time.perf_counter() - began) / 10_000 < 20e-6
