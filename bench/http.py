"""The whole path over real HTTP: granian, a real token, 64 connections; the client's own processor time told apart."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial

import httpx
from msgspec import structs

from bench import companies, load
from bench.figures import Figure, Sample, figure
from bench.load import Plan
from bench.machine import Machine, Meter
from cli.migrate import apply
from domain.organisation.events import Identifiers
from infrastructure.bootstrap import ensure_admin
from infrastructure.embedded.children import die_with_parent

PART = "http"
CONNECTIONS = 64
ROUNDS = 3
SECONDS = 5.0
READY_SECONDS = 60.0
API = "/api/v1/organisations"


def run(machine: Machine) -> list[Figure]:
    """About a minute and a half."""
    apply(machine.settings)
    asyncio.run(ensure_admin(machine.settings))
    with machine.program("serve") as serve, httpx.Client(base_url=machine.settings.base_url) as client:
        _until(lambda: _answers(client))
        client.headers["authorization"] = f"Bearer {_token(client, machine)}"
        asking = Asking(machine, client)
        pids = {"serve": serve.pid, "PostgreSQL": machine.postgres.child.pid}
        with machine.program("work") as work:
            _until(lambda: client.get("/readyz").status_code == 200)
            reads, again = asking.reads()
            followed = Turns(**pids, work=work.pid)
            for _ in range(ROUNDS):
                followed.run(asking.command())
        commands, found, same = Turns(**pids), Turns(**pids), Turns(**pids)
        for _ in range(ROUNDS):
            commands.run(asking.command())
            found.run(reads)
            same.run(again)
    return [
        commands.figure("POST /organisations"),
        followed.figure("POST, relay and projections following"),
        found.figure("GET of one, 200"),
        same.figure("GET of one, 304"),
        _client_alone(asking.command()),
    ]


class Turns:
    """Runs of one plan, with what the processes spend on each."""

    def __init__(self, **pids: int) -> None:
        self._pids = pids
        self._found: list[Sample] = []

    def run(self, plan: Plan) -> None:
        meter = Meter(**self._pids)
        found = load.measure(plan)
        spent = meter.spent() | {"client": found.cpu}
        del spent["here"]  # this process only waits
        self._found.append(found.sample._replace(cost=spent))

    def figure(self, what: str) -> Figure:
        return figure(PART, what, self._found)


class Asking:
    """The requests, with a token in them."""

    def __init__(self, machine: Machine, client: httpx.Client) -> None:
        self._port, self._client = machine.settings.port, client
        self._next = 0

    def command(self) -> Plan:
        """Each one adds another company."""
        body = companies.body(Identifiers(siren="{siren}", nic="{nic}"))
        length = len(body) - len("{siren}{nic}") + 14
        self._next += 1_000_000
        head = self._head("POST", API, f"content-type: application/json\r\ncontent-length: {length}\r\n")
        return self._plan([head + body], 201, start=self._next)

    def reads(self) -> tuple[Plan, Plan]:
        """Of one record, each connection its own: whole, and when the caller has it already."""
        receipts = [self._added(number) for number in range(CONNECTIONS)]
        at_least = {"x-min-position": str(receipts[-1]["position"])}
        found = [
            self._client.get(f"{API}/{each['id']}", headers=at_least).raise_for_status() for each in receipts
        ]
        whole = [self._head("GET", answer.url.path) for answer in found]
        same = [
            self._head("GET", each.url.path, f"if-none-match: {each.headers['etag']}\r\n") for each in found
        ]
        return self._plan(whole, 200), self._plan(same, 304)

    def _added(self, number: int) -> dict[str, str]:
        body = companies.body(companies.identifiers(number))
        answer = self._client.post(API, content=body, headers={"content-type": "application/json"})
        receipt: dict[str, str] = answer.raise_for_status().json()
        return receipt

    def _head(self, method: str, path: str, more: str = "") -> bytes:
        lines = [
            f"{method} {path} HTTP/1.1",
            "host: 127.0.0.1",
            "user-agent: bench",
            f"authorization: {self._client.headers['authorization']}",
        ]
        return ("\r\n".join(lines) + f"\r\n{more}\r\n").encode()

    def _plan(self, requests: list[bytes], status: int, start: int = 1) -> Plan:
        return Plan(
            port=self._port,
            connections=CONNECTIONS,
            seconds=SECONDS,
            requests=requests,
            status=status,
            start=start,
        )


def _client_alone(plan: Plan) -> Figure:
    """The same requests against a server that does nothing."""
    with _trivial() as port:
        found = load.measure(structs.replace(plan, port=port, seconds=2.0))
    return figure(
        PART,
        "the client against a server that does nothing",
        [found.sample._replace(cost={"client": found.cpu})],
    )


@contextmanager
def _trivial() -> Generator[int]:
    server = subprocess.Popen(
        [sys.executable, "-m", "bench.load", "trivial"],
        stdout=subprocess.PIPE,
        preexec_fn=partial(die_with_parent, signal.SIGTERM, os.getpid()),  # noqa: PLW1509 - no threads here
    )
    try:
        assert server.stdout is not None
        yield int(server.stdout.readline())
    finally:
        server.terminate()
        server.wait()


def _token(client: httpx.Client, machine: Machine) -> str:
    settings = machine.settings
    said = {"login": settings.admin_email, "password": settings.admin_password}
    answer = client.post("/api/v1/auth/login", json=said)
    token: str = answer.raise_for_status().json()["access_token"]
    return token


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False


def _until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError("the API did not become ready")
        time.sleep(0.05)
