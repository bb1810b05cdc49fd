"""The whole path over real HTTP: granian, a real token, 64 connections; the client's own processor time told apart."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import httpx
from msgspec import structs

from bench import companies, load
from bench.figures import Figure, Sample, figure
from bench.load import Plan
from bench.machine import Machine, Meter
from domain.organisation.events import Identifiers
from infrastructure.embedded.children import Child, die_with_parent
from infrastructure.first_start import start
from infrastructure.migrations import apply

PART = "http"
CONNECTIONS = 64
ROUNDS = 3
SECONDS = 5.0
READY_SECONDS = 60.0
API = "/api/v1/organisations"


def run(machine: Machine) -> list[Figure]:
    """About a minute and a half."""
    with served(machine) as (serve, client):
        asking = Asking(machine, client)
        pids = {"serve": serve.pid, "PostgreSQL": machine.postgres.child.pid}
        with machine.program("work") as work:
            until(lambda: client.get("/readyz").status_code == 200)
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


@contextmanager
def served(machine: Machine) -> Generator[tuple[Child, httpx.Client]]:
    """`chancery serve` and the first admin, signed in."""
    apply(machine.settings)
    asyncio.run(start(machine.settings))
    settings = machine.settings
    with machine.program("serve") as serve, httpx.Client(base_url=settings.base_url) as client:
        try:
            until(lambda: answers(client))
        except TimeoutError:
            raise TimeoutError(serve.last_words()) from None
        client.headers["authorization"] = (
            f"Bearer {token(client, settings.admin_email, settings.admin_password)}"
        )
        yield serve, client


class Turns:
    """Runs of one plan, with what the processes spend on each."""

    def __init__(self, **pids: int) -> None:
        self._pids = pids
        self._found: list[Sample] = []

    def run(self, *plans: Plan) -> None:
        """Several plans at once count as one."""
        meter = Meter(**self._pids)
        with ThreadPoolExecutor(len(plans)) as clients:
            found = list(clients.map(load.measure, plans))
        spent = meter.spent() | {"client": sum(each.cpu for each in found)}
        del spent["here"]  # this process only waits
        whole = Sample(
            sum(each.answers for each in found),
            max(each.seconds for each in found),
            max(each.p50 for each in found),
            max(each.p99 for each in found),
        )
        self._found.append(whole._replace(cost=spent))

    def like(self) -> "Turns":
        """Another one of the same processes, empty."""
        return Turns(**self._pids)

    @property
    def rate(self) -> float:
        return self.figure("").rate

    def figure(self, what: str, *, part: str = PART, base: float | None = None, note: str = "") -> Figure:
        return figure(part, what, self._found, base=base, note=note)


class Asking:
    """The requests, with a token in them."""

    def __init__(self, machine: Machine, client: httpx.Client) -> None:
        self._port, self._client = machine.settings.port, client
        self._next = 0

    def command(self) -> Plan:
        """Each one adds another company."""
        body = companies.body(Identifiers(siren="{siren}", nic="{nic}"))
        self._next += 1_000_000
        request = self.post(API, body, longer=14 - len("{siren}{nic}"))
        return self.plan([request], 201, start=self._next)

    def reads(self) -> tuple[Plan, Plan]:
        """Of one record, each connection its own: whole, and when the caller has it already."""
        receipts = [self._added(number) for number in range(CONNECTIONS)]
        at_least = {"x-min-position": str(receipts[-1]["position"])}
        found = [
            self._client.get(f"{API}/{each['id']}", headers=at_least).raise_for_status() for each in receipts
        ]
        whole = [self.head("GET", answer.url.path) for answer in found]
        same = [
            self.head("GET", each.url.path, f"if-none-match: {each.headers['etag']}\r\n") for each in found
        ]
        return self.plan(whole, 200), self.plan(same, 304)

    def _added(self, number: int) -> dict[str, str]:
        body = companies.body(companies.identifiers(number))
        answer = self._client.post(API, content=body, headers={"content-type": "application/json"})
        receipt: dict[str, str] = answer.raise_for_status().json()
        return receipt

    def head(self, method: str, path: str, more: str = "") -> bytes:
        lines = [
            f"{method} {path} HTTP/1.1",
            "host: 127.0.0.1",
            "user-agent: bench",
            f"authorization: {self._client.headers['authorization']}",
        ]
        return ("\r\n".join(lines) + f"\r\n{more}\r\n").encode()

    def post(self, path: str, body: bytes, *, longer: int = 0) -> bytes:
        """`longer`: by how much the body grows when its placeholders are filled."""
        length = len(body) + longer
        return (
            self.head("POST", path, f"content-type: application/json\r\ncontent-length: {length}\r\n") + body
        )

    def plan(self, requests: list[bytes], status: int, start: int = 1) -> Plan:
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


def token(client: httpx.Client, login: str, password: str) -> str:
    answer = client.post("/api/v1/auth/login", json={"login": login, "password": password})
    found: str = answer.raise_for_status().json()["access_token"]
    return found


def answers(client: httpx.Client, path: str = "/healthz") -> bool:
    try:
        return client.get(path).status_code == 200
    except httpx.TransportError:
        return False


def until(ready: Callable[[], bool], seconds: float = READY_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not ready after {seconds:.0f} s")
        time.sleep(0.05)
