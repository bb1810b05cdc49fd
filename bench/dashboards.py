"""What is owed and what there is to do, of 1,000,000 contracts: balances, dashboards, lists behind their counts."""

import asyncio
import os
from uuid import uuid4

import httpx
from msgspec import structs

from bench import seed_contracts
from bench.figures import Figure
from bench.http import Asking, Turns, served, until
from bench.load import Plan
from bench.machine import Machine

PART = "dashboards"
MANY = int(os.environ.get("BENCH_CONTRACTS", seed_contracts.MANY))
PARTIES, MANAGERS, CONNECTIONS, ROUNDS = 64, 499, 4, 3
SECONDS = 1.0
API = "/api/v1"
OWED = "status=signed AND remaining>0"


def run(machine: Machine) -> list[Figure]:
    """About two minutes, most of them to fill the read models."""
    with served(machine) as (serve, client):
        me: str = client.get(f"{API}/me/permissions/snapshot").raise_for_status().json()["sub"]
        parties = [_organisation(client) for _ in range(PARTIES)]
        others = [str(uuid4()) for _ in range(MANY // 10)]
        managers = [me, *(str(uuid4()) for _ in range(MANAGERS - 1))]
        asyncio.run(seed_contracts.fill(machine.main.app, MANY, [*parties, *others], managers))
        with machine.program("work"):
            until(lambda: client.get(f"{API}/organisations/{parties[-1]}").status_code == 200)
        asking = Asking(machine, client)
        plans = {
            "balance of an organisation": [f"/organisations/{each}/balance" for each in parties],
            "dashboard contracts: all that there are": ["/dashboards/contracts"],
            "dashboard mine: 2,000 of one's own": ["/dashboards/mine"],
            "dashboard unsigned, one count": ["/dashboards/unsigned"],
            "list of the owed, newest first": [_list(client, {"filter": OWED})],
            "list of the owed, due first": [_list(client, {"filter": OWED, "order_by": "due_on"})],
            "list of one's own": [_list(client, {"filter": f"account_manager_id={me}"})],
        }
        turns = {what: Turns(serve=serve.pid, PostgreSQL=machine.postgres.child.pid) for what in plans}
        for _ in range(ROUNDS):
            for what, paths in plans.items():
                turns[what].run(_plan(asking, paths))
    return [turn.figure(what, part=PART) for what, turn in turns.items()]


def _organisation(client: httpx.Client) -> str:
    made: str = (
        client.post(f"{API}/organisations", json={"full_name": "Alpha"}).raise_for_status().json()["id"]
    )
    return made


def _list(client: httpx.Client, asked: dict[str, str]) -> str:
    return client.build_request("GET", "/contracts", params=asked).url.raw_path.decode()


def _plan(asking: Asking, paths: list[str]) -> Plan:
    plan = asking.plan([asking.head("GET", f"{API}{path}") for path in paths], 200)
    return structs.replace(plan, connections=CONNECTIONS, seconds=SECONDS, roaming=True)
