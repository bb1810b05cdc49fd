"""The CRM's commands over HTTP beside a plain application's (`bench/peers/crm.py`), and what a worker sets in a second.

Both are on the same PostgreSQL, with the same settings, and asked by the same client in turns.
"""

import json
import os
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import httpx
import psycopg

from api.server import free_port
from bench import mix
from bench.figures import Figure, Sample, figure
from bench.http import answers, served, until
from bench.machine import Machine, Meter
from bench.mix import Found, Step
from infrastructure.embedded.children import Child

PART = "contracts"
CALLERS, ROUNDS = 32, 3
SECONDS = float(os.environ.get("BENCH_SECONDS", "4"))
COMMANDS = 4
"""Steps of the mix that write."""
INVOICES = 200
API = "/api/v1"


def run(machine: Machine) -> list[Figure]:
    """About a minute and a half."""
    database = machine.postgres.child.pid
    with served(machine) as (serve, client), peer(machine) as (other, port, theirs):
        organisation = _made(client, "/organisations", {"full_name": "Alpha"})
        ours = steps(API, client.headers["authorization"], organisation, ours=True)
        beside = steps("", f"Bearer {theirs['token']}", theirs["organisation_id"], ours=False)
        with machine.program("work") as work:
            until(lambda: client.get("/readyz").status_code == 200)
            invoices = _rendered(
                machine, client, organisation
            )  # before signatures leave certificates to be set
            turns = [
                Turns("Chancery", machine.settings.port, serve=serve.pid, work=work.pid, PostgreSQL=database),
                Turns("FastAPI and SQLAlchemy", port, peer=other.pid, PostgreSQL=database),
            ]
            for turn, asked in zip(turns, (ours, beside), strict=True):
                turn.run(asked)  # what is cached and prepared is so at both, and not counted
            commands, whole = [each.like() for each in turns], [each.like() for each in turns]
            for _ in range(ROUNDS):
                for turn, wanted in ((commands, COMMANDS), (whole, len(ours))):
                    turn[0].run(ours[:wanted])
                    turn[1].run(beside[:wanted])
            compared = [
                each.figure(what, base=turn[1].rate)
                for what, turn in (("draft, sign, amend, pay", commands), ("the same, read, list", whole))
                for each in turn
            ]
            return [*compared, invoices]


class Turns:
    """Runs of one application's steps, with what its processes spend on each answer."""

    def __init__(self, who: str, port: int, **pids: int) -> None:
        self.who, self._port, self._pids = who, port, pids
        self._samples: list[Sample] = []
        self._found: list[Found] = []

    def like(self) -> "Turns":
        return Turns(self.who, self._port, **self._pids)

    def run(self, asked: list[Step]) -> None:
        meter = Meter(**self._pids)
        found = mix.measure(mix.Plan(port=self._port, connections=CALLERS, seconds=SECONDS, steps=asked))
        spent = meter.spent() | {"client": found.cpu}
        del spent["here"]  # this process only waits
        taken = found.whole
        self._found.append(found)
        self._samples.append(Sample(taken.answers, found.seconds, taken.p50, taken.p99, spent))

    @property
    def rate(self) -> float:
        return median(each.rate for each in self._samples)

    def figure(self, what: str, *, base: float) -> Figure:
        names = self._found[0].steps
        p99 = {name: median(each.steps[name].p99 for each in self._found) * 1e3 for name in names}
        note = "p99 " + ", ".join(f"{name} {ms:.0f}" for name, ms in p99.items())
        if again := sum(each.again for each in self._found):
            note += f"; {again} reads waited 2 s for the read model, and asked again"
        return figure(PART, f"{what}: {self.who}", self._samples, base=base, note=note)


def steps(api: str, authorization: str, organisation_id: str, *, ours: bool) -> list[Step]:
    """The same day at both; a read sees what its caller has just written."""

    def step(name: str, line: str, status: int, body: Any = None, more: str = "") -> Step:
        content = b"" if body is None else json.dumps(body).encode()
        head = [f"{line} HTTP/1.1", "host: 127.0.0.1", f"authorization: {authorization}"]
        if line.startswith("POST"):
            head += ["content-type: application/json"] * (body is not None)
            head += [f"content-length: {len(content)}", "idempotency-key: {key}"]
        lines = "\r\n".join(head) + f"\r\n{more}\r\n"
        return Step(name=name, request=lines.encode() + content, status=status)

    one, newest = f"{api}/contracts/{{id}}", "x-min-position: {position}\r\n" if ours else ""
    body = {"kind": "sale", "organisation_id": organisation_id, "title": "Maintenance of the north site"}
    paid = {"amount": _euros("2500.00"), "paid_on": "2026-03-01", "reference": "VIR ALPHA 0301"}
    amended = {"amount": _euros("13000.00"), "reason": "More work."}
    signed = "filter=status%3Dsigned" if ours else "status=signed"
    return [
        step("draft", f"POST {api}/contracts", 201, {**body, "amount": _euros("12500.00")}),
        step("sign", f"POST {one}/sign", 200),
        step("amend", f"POST {one}/amend", 200, amended),
        step("pay", f"POST {one}/payments", 201, paid),
        step("read", f"GET {one}", 200, more=newest),
        step("list", f"GET {api}/contracts?{signed}", 200),
    ]


def _euros(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


@contextmanager
def peer(machine: Machine) -> Generator[tuple[Child, int, dict[str, str]]]:
    """On a database of its own; its port, and what it says a caller needs."""
    port, database = free_port("127.0.0.1", 0), machine.database("peer", migrated=False)
    with tempfile.TemporaryDirectory() as folder, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        told = Path(folder) / "told.json"
        command = [sys.executable, "-m", "bench.peers.crm", database.owner, str(port), str(told)]
        with machine.beside("peer", command) as child:
            until(lambda: answers(client, "/docs"))
            yield child, port, json.loads(told.read_text())


def _rendered(machine: Machine, client: httpx.Client, organisation_id: str) -> Figure:
    """One worker sets what has been waiting; counted from its first invoice to its last."""
    contract = {"kind": "sale", "organisation_id": organisation_id, "amount": _euros("1000.00")}
    path = f"/contracts/{_made(client, '/contracts', contract)}"
    _said(client, f"{path}/sign", None)
    issued = [_said(client, f"{path}/invoices", {"amount": _euros("5.00")}) for _ in range(INVOICES)]
    with psycopg.connect(machine.main.app, autocommit=True) as connection, machine.program("jobs") as jobs:
        meter = Meter(jobs=jobs.pid, PostgreSQL=machine.postgres.child.pid)
        until(lambda: _made_of(connection, issued)[0] == INVOICES)
        spent = meter.spent()
        _, took = _made_of(connection, issued)
    del spent["here"]
    sample = Sample(INVOICES - 1, took.total_seconds(), cost=spent)
    return figure(PART, "invoices set as PDF/A-3b and stored, one worker", [sample])


def _made_of(connection: psycopg.Connection[Any], issued: list[str]) -> tuple[int, timedelta]:
    """How many have been set, and what lies between the first and the last."""
    row = connection.execute(
        "select count(*), max(made_at) - min(made_at) from papers where id = any(%s::uuid[])", (issued,)
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def _made(client: httpx.Client, path: str, body: Any) -> str:
    made: str = client.post(f"{API}{path}", json=body).raise_for_status().json()["id"]
    return made


def _said(client: httpx.Client, path: str, body: Any) -> str:
    key = {"idempotency-key": str(uuid4())}
    said: str = client.post(f"{API}{path}", json=body, headers=key).raise_for_status().json()["id"]
    return said
