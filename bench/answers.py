"""Answers about rights over HTTP: snapshots of many sizes, could they, who can; 100,000 grants in the guards."""

import httpx
import psycopg
from msgspec import json, structs

from bench.figures import Figure
from bench.http import Asking, Turns, served, token
from bench.load import Plan
from bench.machine import Machine

PART = "answers"
ROUNDS = 3
SECONDS = 2.0
CONNECTIONS = 16
PEOPLE, SITES, EACH = 10_000, 1_000, 10
SIZES = (10, 100, 1_000)
EVALUATION, SEARCH = "/api/v1/access/v1/evaluation", "/api/v1/access/v1/search/subject"
SNAPSHOT = "/api/v1/me/permissions/snapshot"

_FILL = f"""
insert into principals (user_id, role, state, must_change_password)
  select ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'user', 'active', false
  from generate_series(1, {PEOPLE}) n;
insert into rights (grant_id, subject_kind, subject_id, scope_type, scope_id, module, action, grantable)
  select gen_random_uuid(), 'user', ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid,
    'site', 's' || (n + k * 97) % {SITES}, 'campaign', 'edit', false
  from generate_series(1, {PEOPLE}) n, generate_series(1, {EACH}) k;
analyze principals, rights
"""


def run(machine: Machine) -> list[Figure]:
    """Three quarters of a minute."""
    with served(machine) as (serve, client):
        with psycopg.connect(machine.main.owner) as owner:
            owner.execute(_FILL)
            row = owner.execute("select user_id from principals where role = 'admin'").fetchone()
        asking, me = Asking(machine, client), str(row and row[0])
        plans = {
            **{f"snapshot of {size:,} rights": _snapshot(machine, client, size) for size in SIZES},
            "evaluation: allowed by a grant": _posts(
                asking, EVALUATION, [_could(n, 97) for n in range(1, 65)]
            ),
            "evaluation: denied, and why": _posts(asking, EVALUATION, [_could(n, 50) for n in range(1, 65)]),
            "evaluation: as of a position": _posts(
                asking, EVALUATION, [_could(n, 97, me=me, as_of=1) for n in range(1, 65)]
            ),
            f"who can, of {PEOPLE * EACH:,} grants; 100 answers": _posts(
                asking, SEARCH, [_who(n) for n in range(64)]
            ),
        }
        turns = {what: Turns(serve=serve.pid, PostgreSQL=machine.postgres.child.pid) for what in plans}
        for _ in range(ROUNDS):
            for what, plan in plans.items():
                turns[what].run(plan)
    return [turn.figure(what, part=PART) for what, turn in turns.items()]


def _posts(asking: Asking, path: str, bodies: list[object]) -> Plan:
    requests = [asking.post(path, json.encode(body)) for body in bodies]
    return structs.replace(asking.plan(requests, 200), connections=CONNECTIONS, seconds=SECONDS, roaming=True)


def _could(number: int, step: int, me: str | None = None, **context: object) -> object:
    """The site that the number's person holds as his first, or one that he does not hold."""
    return {
        "subject": {"type": "user", "id": me or f"00000000-0000-7000-8000-{number:012}"},
        "action": {"name": "campaign:edit"},
        "resource": {"type": "site", "id": f"s{(number + step) % SITES}"},
        "context": context,
    }


def _who(number: int) -> object:
    return {
        "subject": {"type": "user"},
        "action": {"name": "campaign:edit"},
        "resource": {"type": "site", "id": f"s{number}"},
        "page": {"limit": 100},
    }


def _snapshot(machine: Machine, client: httpx.Client, size: int) -> Plan:
    """As somebody who holds so many rights."""
    email = f"holder-{size}@example.org"
    person = {"email": email, "first_name": "Jeanne", "last_name": "Dupont"}
    made = client.post("/api/v1/users", json=person).raise_for_status().json()
    with psycopg.connect(machine.main.owner) as owner:
        owner.execute("update principals set must_change_password = false where user_id = %s", (made["id"],))
        owner.execute(
            "insert into rights (grant_id, subject_kind, subject_id, scope_type, scope_id, module, action, grantable)"
            " select gen_random_uuid(), 'user', %s, 'site', 'x' || n, 'campaign', 'edit', false"
            " from generate_series(1, %s) n",
            (made["id"], size),
        )
    with httpx.Client(base_url=machine.settings.base_url) as holder:
        holder.headers["authorization"] = f"Bearer {token(holder, email, made['temporary_password'])}"
        holder.get(SNAPSHOT).raise_for_status()
        request = Asking(machine, holder).head("GET", SNAPSHOT)
        return structs.replace(
            Asking(machine, holder).plan([request], 200), connections=CONNECTIONS, seconds=SECONDS
        )
