"""Filtered lists of a register of 1,000,000 organisations over HTTP: found by name, numbers, region, documents."""

import asyncio
import os

import httpx
from msgspec import structs

from bench import seed
from bench.figures import Figure
from bench.http import Asking, Turns, served
from bench.load import Plan
from bench.machine import Machine

PART = "lists"
MANY = int(os.environ.get("BENCH_ORGANISATIONS", seed.MANY))
ROUNDS = 3
SECONDS = 1.0
CONNECTIONS = 4
API = "/api/v1/organisations"
DEEP = 200
"""Pages of 100 that lie before the deep one."""

ASKED: dict[str, dict[str, str]] = {
    "newest first": {},
    "by name": {"order_by": "full_name"},
    "name, rare": {"filter": 'name:"пекарня"'},
    "name, folded: елка": {"filter": 'name:"елка-77"'},
    "name, folded: peche": {"filter": "name:pecherie-theatre"},
    "name, common": {"filter": "name:север"},
    "inn": {"filter": "inn=7700000400"},
    "region, common": {"filter": "region=77"},
    "region, rare": {"filter": "region=05"},
    "okrug=[5,8], by name": {"filter": "okrug=[5,8]", "order_by": "full_name"},
    "documents, common": {"filter": "documents:[charter,licence]"},
    "documents, rare": {"filter": "documents:[charter,order]"},
    "agreement=yes": {"filter": "agreement=yes"},
    "agreement by day": {"filter": "agreement=01-03-2020"},
    "region, documents and agreement": {
        "filter": "region=[16,63] AND documents:[charter,licence] AND agreement=no"
    },
    "rare in a common region": {"filter": "region=77 AND documents:secrecy"},
    "rare, by name": {"filter": "region=05 AND is_gov=yes", "order_by": "full_name"},
    "nothing has all of it": {"filter": "region=05 AND documents:secrecy AND name:север"},
    "region, with total": {"filter": "region=16", "include_total": "true"},
    "all, with total": {"include_total": "true"},
}


def run(machine: Machine) -> list[Figure]:
    """Two to four minutes, most of them to fill the register."""
    with served(machine) as (serve, client):
        asyncio.run(seed.fill(machine.main.app, MANY))
        asking = Asking(machine, client)
        plans = {what: _plan(asking, client, asked) for what, asked in ASKED.items()}
        plans["page deep in the list"] = _plan(asking, client, _deep(client, {}))
        plans["page deep in the list, by name"] = _plan(
            asking, client, _deep(client, {"order_by": "full_name"})
        )
        turns = {what: Turns(serve=serve.pid, PostgreSQL=machine.postgres.child.pid) for what in plans}
        for _ in range(ROUNDS):
            for what, plan in plans.items():
                turns[what].run(plan)
    return [turn.figure(what, part=PART) for what, turn in turns.items()]


def _plan(asking: Asking, client: httpx.Client, asked: dict[str, str]) -> Plan:
    request = client.build_request("GET", API, params=asked)
    head = asking.head("GET", request.url.raw_path.decode())
    return structs.replace(asking.plan([head], 200), connections=CONNECTIONS, seconds=SECONDS)


def _deep(client: httpx.Client, asked: dict[str, str]) -> dict[str, str]:
    token = ""
    for _ in range(DEEP):
        page = {"page_size": "100", **asked, **({"page_token": token} if token else {})}
        token = client.get(API, params=page).raise_for_status().json()["next_page_token"]
    return {**asked, "page_token": token}
