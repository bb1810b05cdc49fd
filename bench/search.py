"""The search over 1,000,000 letters over HTTP: rare and common words, numbers, parts; and how a notice is read."""

import asyncio
import os

import httpx
from msgspec import structs

from bench import seed_letters
from bench.figures import Figure
from bench.http import Asking, Turns, served, until
from bench.load import Plan
from bench.machine import Machine

PART = "search"
MANY = int(os.environ.get("BENCH_SEARCHED", "1000000"))
ROUNDS = 3
SECONDS = 1.0
CONNECTIONS = 4
API = "/api/v1/search"

ASKED = {
    "a number, whole": f"k{MANY // 3}x",
    "a number, in part": f"{MANY // 2}"[:5],
    "a word of a hundred letters": "perpetuum",
    "a rare word and a common one": "mobile contract",
    "a word of one in ten": "договор",
    "another form of it": "договорами",
    "two common words": "contract delivery",
    "three common words in French": "contrats livraisons équipements",
    "how common words begin": "con del",
    "a part of a common word": "оставк",
    "two words that never meet": "договор boiler",
    "a word that nobody used": "zeppelin",
    "one letter": "о",
}


def run(machine: Machine) -> list[Figure]:
    """Two to four minutes, most of them to fill the shelf."""
    with served(machine) as (serve, client):
        asyncio.run(seed_letters.fill(machine.settings.database_url, MANY))
        asking = Asking(machine, client)
        plans = {what: _plan(asking, client, {"q": q}) for what, q in ASKED.items()}
        plans["a common word, letters alone"] = _plan(asking, client, {"q": "договор", "in": "letters"})
        everything = [request for plan in plans.values() for request in plan.requests]
        mixed = "all of these in turn"
        plans[mixed] = structs.replace(next(iter(plans.values())), requests=everything, roaming=True)
        turns = {what: Turns(serve=serve.pid, PostgreSQL=machine.postgres.child.pid) for what in plans}
        for _ in range(ROUNDS):
            for what, plan in plans.items():
                turns[what].run(structs.replace(plan, seconds=3 * SECONDS) if what == mixed else plan)
        return [turn.figure(what, part=PART) for what, turn in turns.items()] + [
            _notice(machine, asking, client, serve.pid)
        ]


def _notice(machine: Machine, asking: Asking, client: httpx.Client, serve: int) -> Figure:
    """It is one command, whoever reads it: nothing is copied to anybody. So how quickly it is read."""
    with machine.program("work"):
        until(lambda: client.get("/readyz").status_code == 200)
        body = {"kind": "article", "title": "Open on Monday", "text": "From nine o'clock on."}
        receipt = client.post("/api/v1/notices", json=body).raise_for_status().json()
        place, at_least = f"/api/v1/notices/{receipt['id']}", {"x-min-position": str(receipt["position"])}
        client.get(place, headers=at_least).raise_for_status()
        read = Turns(serve=serve, PostgreSQL=machine.postgres.child.pid)
        for _ in range(ROUNDS):
            read.run(structs.replace(asking.plan([asking.head("GET", place)], 200), seconds=SECONDS))
    note = f"10,000 people in {10_000 / read.rate:.1f} s"
    return read.figure("a notice, read over 64 connections", part=PART, note=note)


def _plan(asking: Asking, client: httpx.Client, asked: dict[str, str]) -> Plan:
    request = client.build_request("GET", API, params=asked)
    head = asking.head("GET", request.url.raw_path.decode())
    return structs.replace(asking.plan([head], 200), connections=CONNECTIONS, seconds=SECONDS)
