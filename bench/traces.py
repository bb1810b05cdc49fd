"""What tracing costs: the same commands to processes that send no spans, few, and all, in turns."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import partial

import httpx
from msgspec import structs

from api.server import free_port
from bench import markdown
from bench.http import Asking, Turns, answers, served, until
from bench.machine import Machine
from infrastructure.embedded.children import Child, die_with_parent
from infrastructure.settings import environment

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "4"))
CONNECTIONS = 64
SHARES = {"1 % of the traces": 0.01, "10 %": 0.1, "all of them": 1.0}


def run(machine: Machine) -> None:
    """About two minutes; prints a table. The collector is a process beside, on the same cores."""
    with ExitStack() as stack:
        serve, client = stack.enter_context(served(machine))
        port, sink = stack.enter_context(_sink())
        asking, database = Asking(machine, client), machine.postgres.child.pid
        turns = {"no collector set": (machine.settings.port, Turns(serve=serve.pid, PostgreSQL=database))}
        for what, share in SHARES.items():
            own, child = stack.enter_context(_serving(machine, f"http://127.0.0.1:{port}", share))
            turns[what] = own, Turns(serve=child.pid, PostgreSQL=database, collector=sink)
        nobody = f"http://127.0.0.1:{free_port('127.0.0.1', 0)}"
        own, child = stack.enter_context(_serving(machine, nobody, 1.0))
        turns["all, the collector away"] = own, Turns(serve=child.pid, PostgreSQL=database)
        order = list(turns.values())
        for number in range(ROUNDS + 1):
            if number == 1:  # the first was to warm up
                order = [(each, turn.like()) for each, turn in order]
                turns = dict(zip(turns, order, strict=True))
            for own, turn in order[number % len(order) :] + order[: number % len(order)]:
                turn.run(
                    structs.replace(asking.command(), port=own, connections=CONNECTIONS, seconds=SECONDS)
                )
    (_, without), *_ = turns.values()
    figures = [turn.figure(what, base=without.rate) for what, (_, turn) in turns.items()]
    print("\n" + markdown.of(figures))


@contextmanager
def _serving(machine: Machine, url: str, share: float) -> Generator[tuple[int, Child]]:
    """Another `chancery serve` on the same database."""
    port = free_port("127.0.0.1", 0)
    settings = structs.replace(
        machine.settings, port=port, public_url=machine.settings.base_url, traces_url=url, traces_share=share
    )
    command = [sys.executable, "-m", "cli.main", "serve"]
    with (
        machine.beside(f"serve-{port}", command, environment(settings)) as child,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        until(lambda: answers(client))
        yield port, child


@contextmanager
def _sink() -> Generator[tuple[int, int]]:
    """Its port, and its process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.sink"],
        stdout=subprocess.PIPE,
        preexec_fn=partial(die_with_parent, signal.SIGTERM, os.getpid()),  # noqa: PLW1509 - no threads here
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline()), process.pid
    finally:
        process.terminate()
        process.wait()
