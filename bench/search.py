"""The search over 1,000,000 letters over HTTP: rare and common words, numbers, parts, somebody with few rights."""

import asyncio
import os

import httpx
from msgspec import structs

from bench import seed_letters
from bench.figures import Figure
from bench.http import Asking, Turns, served
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
    return [turn.figure(what, part=PART) for what, turn in turns.items()]


def _plan(asking: Asking, client: httpx.Client, asked: dict[str, str]) -> Plan:
    request = client.build_request("GET", API, params=asked)
    head = asking.head("GET", request.url.raw_path.decode())
    return structs.replace(asking.plan([head], 200), connections=CONNECTIONS, seconds=SECONDS)
