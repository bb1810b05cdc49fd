"""Letters over HTTP: into one register, where each number waits for the one before, and drafts, which wait for none."""

from datetime import UTC, datetime

from msgspec import json, structs

from bench.figures import Figure
from bench.http import CONNECTIONS, Asking, Turns, served
from bench.load import Plan
from bench.machine import Machine

PART = "letters"
ROUNDS = 3
SECONDS = 3.0


def run(machine: Machine) -> list[Figure]:
    """About half a minute."""
    with served(machine) as (serve, client):
        asking = Asking(machine, client)
        alpha = client.post("/api/v1/organisations", json={"full_name": "Alpha"}).raise_for_status().json()
        told = {"organisation_ids": [alpha["id"]], "subject": "On the measurements of the north site"}
        today = datetime.now(UTC).date()
        came = {**told, "sender_number": "17/3-204", "sender_date": today, "received_on": today}
        incoming = asking.plan([asking.post("/api/v1/letters/incoming", json.encode(came))], 201)
        outgoing = asking.plan([asking.post("/api/v1/letters/outgoing", json.encode(told))], 201)
        plans = {
            "POST /letters/outgoing, drafts without a number": outgoing,
            f"POST /letters/incoming, one register, {CONNECTIONS} callers": incoming,
            "POST /letters/incoming, one register, one caller": structs.replace(incoming, connections=1),
        }
        turns = {what: Turns(serve=serve.pid, PostgreSQL=machine.postgres.child.pid) for what in plans}
        for _ in range(ROUNDS):
            for what, plan in plans.items():
                turns[what].run(_short(plan))
    base = next(iter(turns.values())).rate
    return [each.figure(what, part=PART, base=base) for what, each in turns.items()]


def _short(plan: Plan) -> Plan:
    return structs.replace(plan, seconds=SECONDS)
