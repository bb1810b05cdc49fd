"""The whole path over real HTTP: granian, a real token, 64 connections; the client's own processor time told apart."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

import httpx
import msgspec

from bench import load
from bench.companies import COMPANY
from bench.figures import Figure, figure
from bench.load import Found, Plan
from bench.machine import Machine, cpu
from cli.migrate import apply
from infrastructure.bootstrap import ensure_admin

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
            followed = Meter(pids | {"work": work.pid})
            for _ in range(ROUNDS):
                followed.run(asking.command())
        commands, found, same = Meter(pids), Meter(pids), Meter(pids)
        for _ in range(ROUNDS):
            commands.run(asking.command())
            found.run(reads)
            same.run(again)
    return [
        *commands.figures("POST /organisations"),
        *followed.figures("POST, relay and projections following"),
        *found.figures("GET of one, 200"),
        *same.figures("GET of one, 304"),
        *_client_alone(asking.command()),
    ]


class Meter:
    """Runs a plan again and again, and watches what the processes spend on it."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._pids = pids
        self._found: list[Found] = []
        self._spent: list[dict[str, float]] = []

    def run(self, plan: Plan) -> None:
        before = {name: cpu(pid) for name, pid in self._pids.items()}
        found = load.measure(plan)
        self._found.append(found)
        spent = {name: cpu(pid) - before[name] for name, pid in self._pids.items()} | {"client": found.cpu}
        self._spent.append({name: seconds / found.answers * 1e6 for name, seconds in spent.items()})

    def figures(self, what: str) -> Iterator[Figure]:
        each = ", ".join(f"{name} {median(s[name] for s in self._spent):.0f}" for name in self._spent[0])
        yield figure(PART, what, [found.sample for found in self._found], note=f"us a request: {each}")


class Asking:
    """The requests, with a token in them."""

    def __init__(self, machine: Machine, client: httpx.Client) -> None:
        self._port, self._client = machine.settings.port, client
        self._next = 0

    def command(self) -> Plan:
        """Each one adds another company."""
        body = _body(b"{siren}", b"{nic}")
        length = len(body) - len(b"{siren}{nic}") + 14
        self._next += 1_000_000
        head = self._head("POST", API, f"content-type: application/json\r\ncontent-length: {length}\r\n")
        return self._plan([head + body], 201, start=self._next)

    def reads(self) -> tuple[Plan, Plan]:
        """Of one record, each connection its own: whole, and when the caller has it already."""
        receipts = [self._added(number) for number in range(CONNECTIONS)]
        at_least = {"x-min-position": str(receipts[-1]["position"])}
        found = [self._client.get(f"{API}/{each['id']}", headers=at_least).raise_for_status() for each in receipts]
        whole = [self._head("GET", answer.url.path) for answer in found]
        same = [self._head("GET", each.url.path, f"if-none-match: {each.headers['etag']}\r\n") for each in found]
        return self._plan(whole, 200), self._plan(same, 304)

    def _added(self, number: int) -> dict[str, str]:
        numbered = load.identifiers(number)
        body = _body((numbered.siren or "").encode(), (numbered.nic or "").encode())
        answer = self._client.post(API, content=body, headers={"content-type": "application/json"})
        receipt: dict[str, str] = answer.raise_for_status().json()
        return receipt

    def _head(self, method: str, path: str, more: str = "") -> bytes:
        token = self._client.headers["authorization"]
        return f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: bench\r\nauthorization: {token}\r\n{more}\r\n".encode()

    def _plan(self, requests: list[bytes], status: int, start: int = 1) -> Plan:
        return Plan(
            port=self._port, connections=CONNECTIONS, seconds=SECONDS, requests=requests, status=status, start=start
        )


def _body(siren: bytes, nic: bytes) -> bytes:
    company = msgspec.to_builtins(COMPANY)
    known = {name: value for name, value in company.items() if value is not None and name not in ("type", "identifiers")}
    return msgspec.json.encode(known | {"identifiers": {"siren": "{siren}", "nic": "{nic}"}}).replace(
        b"{siren}", siren
    ).replace(b"{nic}", nic)


def _client_alone(plan: Plan) -> Iterator[Figure]:
    """The same requests against a server that does nothing."""
    with _trivial() as port:
        found = load.measure(msgspec.structs.replace(plan, port=port, seconds=2.0))
    note = f"us a request: client {found.cpu / found.answers * 1e6:.0f}"
    yield figure(PART, "the client against a server that does nothing", [found.sample], note=note)


@contextmanager
def _trivial() -> Iterator[int]:
    server = subprocess.Popen([sys.executable, "-m", "bench.load", "trivial"], stdout=subprocess.PIPE)
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
