"""Sign-ins: how many a process does, what another route's callers notice of them, and what a refused guess costs."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
from msgspec import json, structs

from bench import load
from bench.figures import Figure, Sample, figure
from bench.http import Asking, Turns, served
from bench.load import Found, Plan
from bench.machine import Machine

PART = "signin"
ROUNDS = 3
SECONDS = 4.0
SIGNING_IN, READING = 16, 4
"""Connections. Eighteen passwords at once have a place in one process; who comes on top is told to come back."""
LOGIN, SNAPSHOT = "/api/v1/auth/login", "/api/v1/me/permissions/snapshot"


def run(machine: Machine) -> list[Figure]:
    """Three quarters of a minute."""
    machine.settings = structs.replace(machine.settings, stranger_requests_per_minute=10_000_000)
    with served(machine) as (serve, client):
        asking = Asking(machine, client)
        pids = {"serve": serve.pid, "PostgreSQL": machine.postgres.child.pid}
        people = [_credentials(client, number) for number in range(SIGNING_IN)]
        sign_in = _short(asking.plan([asking.post(LOGIN, each) for each in people], 200), SIGNING_IN)
        read = _short(asking.plan([asking.head("GET", SNAPSHOT)], 200), READING)
        guess = _short(asking.plan([asking.post(LOGIN, _closed(machine, client))], 429), 64)
        turns = {name: Turns(**pids) for name in ("sign-ins", "alone", "guesses")}
        meanwhile: list[Sample] = []
        for _ in range(ROUNDS):
            turns["alone"].run(read)
            turns["sign-ins"].run(sign_in)
            turns["guesses"].run(guess)
            meanwhile.append(_at_once(read, sign_in).sample)
    return [
        turns["sign-ins"].figure(f"POST /auth/login, {SIGNING_IN} connections", part=PART),
        turns["alone"].figure(f"GET /me/permissions/snapshot, {READING} connections", part=PART),
        figure(PART, "the same while 16 people sign in", meanwhile),
        turns["guesses"].figure("a guess at a login that must wait: 429", part=PART),
    ]


def _short(plan: Plan, connections: int) -> Plan:
    return structs.replace(plan, connections=connections, seconds=SECONDS)


def _at_once(read: Plan, other: Plan) -> Found:
    """What is found of the first plan while the second goes on."""
    with ThreadPoolExecutor(2) as clients:
        first, _ = clients.map(load.measure, (read, other))
    return first


def _credentials(client: httpx.Client, number: int) -> bytes:
    email = f"signin-{number}@example.org"
    person = {"email": email, "first_name": "Jeanne", "last_name": "Dupont"}
    made = client.post("/api/v1/users", json=person).raise_for_status().json()
    return json.encode({"login": email, "password": made["temporary_password"]})


def _closed(machine: Machine, client: httpx.Client) -> bytes:
    """A guess at a login that was guessed at too often and must wait for an hour."""
    guess = {"login": "nobody@example.org", "password": "not it at all"}
    for _ in range(5):
        client.post(LOGIN, json=guess)
    with psycopg.connect(machine.main.owner) as owner:
        owner.execute("update sign_in_failures set opens_at = now() + interval '1 hour' where kind = 'login'")
    return json.encode(guess)
