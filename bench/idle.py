"""What 5,000 who are connected and ask nothing cost: memory of the server, and latency of those who do ask."""

import os
import resource
import socket
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager

from msgspec import structs

from bench import watched
from bench.figures import Figure
from bench.http import Asking, Turns, served, until
from bench.machine import Machine

PART = "idle"
CONNECTIONS = int(os.environ.get("BENCH_IDLE", "5000"))
ROUNDS = 3
SECONDS = 3.0
PATIENCE = 60.0
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"


def run(machine: Machine) -> list[Figure]:
    """About a minute and a half."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < (needed := CONNECTIONS + 1_000):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed, hard), hard))
    machine.settings = structs.replace(
        machine.settings,
        header_seconds=300,  # an idle connection is let go after that
        streams_of_one=CONNECTIONS,  # all by one caller, who is told nothing
        listeners_at_once=CONNECTIONS,
        connections_at_once=2 * CONNECTIONS + 3_000,
    )
    with served(machine) as (serve, client), machine.program("work"):
        until(lambda: client.get("/readyz").status_code == 200)
        asking = Asking(machine, client)
        pids = {"serve": serve.pid, "PostgreSQL": machine.postgres.child.pid}

        def commands() -> Turns:
            turns = Turns(**pids)
            for _ in range(ROUNDS):
                turns.run(structs.replace(asking.command(), seconds=SECONDS))
            return turns

        def own() -> float:
            return watched.held({"serve": serve.pid})["serve"].own

        commands()  # caches fill
        alone = commands()
        figures = [alone.figure("POST /organisations, nobody else connected", part=PART)]
        listen = asking.head("GET", "/api/v1/me/stream")
        for what, opened in {
            "HTTP connections": _all(machine.settings.port, HEALTH, b"}"),
            "event streams": _all(machine.settings.port, listen, b": ping"),
        }.items():
            figures.append(_beside(what, opened, commands, own, alone.rate))
    return figures


def _beside(
    what: str,
    opened: Callable[[], Generator[None]],
    commands: Callable[[], Turns],
    own: Callable[[], float],
    base: float,
) -> Figure:
    before = own()
    with contextmanager(opened)():
        each = (own() - before) * 1024 / CONNECTIONS
        found = commands()
    return found.figure(
        f"POST, beside {CONNECTIONS:,} idle {what}",
        part=PART,
        base=base,
        note=f"{each:.1f} KB of the server's memory each",
    )


def _all(port: int, asks: bytes, answered: bytes) -> Callable[[], Generator[None]]:
    """So many connections, each of which has asked once, was answered, and stays."""

    def opened() -> Generator[None]:
        with ExitStack() as stack:
            for _ in range(CONNECTIONS):
                connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))
                connection.sendall(asks)
                told = b""
                while answered not in told:
                    if not (part := connection.recv(4096)):
                        raise ConnectionError(told.decode())
                    told += part
            yield

    return opened
