"""API clients beside people: a record read with a token, with a key, with a key that is counted; the limiter alone."""

import asyncio
import time

import httpx
from msgspec import json, structs

from api.rate_limits import Limits
from application.access import Caller
from bench import companies
from bench.figures import Figure, Sample, closed_loop, figure
from bench.http import API, CONNECTIONS, Asking, Turns, served, until
from bench.load import Plan
from bench.machine import Machine
from domain.shared import Actor
from infrastructure.event_store import new_id
from infrastructure.security.rate_limit import Limiter

PART = "clients"
ROUNDS = 3
SECONDS = 3.0
MOST = 10_000_000
"""A limit that nobody reaches: what is measured is the counting."""
JSON = {"content-type": "application/json"}


def run(machine: Machine) -> list[Figure]:
    """About three quarters of a minute."""
    with served(machine) as (serve, client):
        with machine.program("work"):
            until(lambda: client.get("/readyz").status_code == 200)
            body = companies.body(companies.identifiers(1))
            made = client.post(API, content=body, headers=JSON).raise_for_status().json()
            at_least = {"x-min-position": str(made["position"])}
            client.get(f"{API}/{made['id']}", headers=at_least).raise_for_status()
        asking = Asking(machine, client)
        path = f"{API}/{made['id']}"
        plans = {
            "GET of one, with a token": asking.plan([asking.head("GET", path)], 200),
            "the same, with an API key": asking.plan([_head(path, _registered(client))], 200),
            "the same, the key's requests counted": asking.plan(
                [_head(path, _registered(client, limit=MOST))], 200
            ),
        }
        turns = {what: Turns(serve=serve.pid, PostgreSQL=machine.postgres.child.pid) for what in plans}
        for _ in range(ROUNDS):
            for what, plan in plans.items():
                turns[what].run(_short(plan))
        base = next(iter(turns.values())).rate
        figures = [each.figure(what, part=PART, base=base) for what, each in turns.items()]
    return figures + asyncio.run(_limiter(machine))


def _short(plan: Plan) -> Plan:
    return structs.replace(plan, seconds=SECONDS)


def _registered(client: httpx.Client, limit: int | None = None) -> dict[str, str]:
    """The headers of a new client that may view organisations."""
    made = _post(client, "/api/v1/api-clients", {"name": "bench", "rate_limit_per_min": limit})
    right = {"scope_type": "global", "scope_id": "*", "module": "organisation", "action": "view"}
    _post(client, "/api/v1/grants", {"subject": {"type": "client", "id": made["id"]}, **right})
    return {"x-client-key": made["client_key"], "x-api-key": made["api_key"]}


def _post(client: httpx.Client, path: str, body: object) -> dict[str, str]:
    found: dict[str, str] = (
        client.post(path, content=json.encode(body), headers=JSON).raise_for_status().json()
    )
    return found


def _head(path: str, headers: dict[str, str]) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "host: 127.0.0.1", "user-agent: bench"]
    return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items()), "\r\n"]).encode()


async def _limiter(machine: Machine) -> list[Figure]:
    """In this process: a person's request from a lease, and clients' requests that are each granted by the table."""
    limiter = Limiter(machine.settings.database_url)
    running = asyncio.create_task(limiter.run())
    limits = Limits(limiter, people=MOST, strangers=MOST)
    person = Caller(actor=Actor(kind="user", id=new_id()))
    leased, counted = [], []
    for _ in range(ROUNDS):
        began, times = time.perf_counter(), 200_000
        for _ in range(times):
            await limits.caller(person)
        leased.append(Sample(times, time.perf_counter() - began))
        counted.append(await closed_loop(CONNECTIONS, 1.0, lambda: limiter.take("client", MOST)))
    running.cancel()
    return [
        figure(PART, "the limiter: a person's request, from a lease", leased, note="one core"),
        figure(PART, f"the limiter: a client's request, {CONNECTIONS} callers", counted),
    ]
