"""How many commands a second, by how many ask at once; how long each takes below that; what a second process brings.

All draft the same contract over HTTP: Chancery with everything that follows it at work, Chancery alone, and the plain
application of `bench/peers/crm.py`. The library's recorder appends without HTTP, rights, or anything to decide.
"""

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import httpx
import psycopg
from eventsourcing.persistence import StoredEvent
from msgspec import json, structs

from api.server import free_port
from bench import arrivals, library, load, markdown, plot
from bench.arrivals import Found
from bench.contracts import API, peer, steps
from bench.figures import Sample
from bench.http import Turns, answers, served, until
from bench.load import Plan
from bench.machine import Machine

CONNECTIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
SECONDS = float(os.environ.get("BENCH_SECONDS", "2.5"))
SHARES = (0.5, 0.8, 0.95)
OPEN_CONNECTIONS = 256
THREADS = (1, 4, 16)
ROUNDS = 3
DRAWN = Path(__file__).parents[1] / "docs" / "saturation.svg"
OURS, ALONE, PEER, LIBRARY = (
    "Chancery, followed",
    "Chancery alone",
    "FastAPI and SQLAlchemy",
    "eventsourcing recorder, no HTTP",
)
_starts = count(1, 1_000_000)


class Step(NamedTuple):
    callers: int
    sample: Sample


Ask = Callable[[int], Sample]


def run(machine: Machine) -> None:
    """About four minutes. Prints tables, and draws docs/saturation.svg."""
    with ExitStack() as stack:
        serve, client = stack.enter_context(served(machine))
        _, port, theirs = stack.enter_context(peer(machine))
        organisation = (
            client.post(f"{API}/organisations", json={"full_name": "Alpha"}).raise_for_status().json()
        )
        draft = _draft(API, client.headers["authorization"], organisation["id"], ours=True)
        beside = _draft("", f"Bearer {theirs['token']}", theirs["organisation_id"], ours=False)
        found: dict[str, list[Step]] = {}
        with machine.program("work"):
            until(lambda: client.get("/readyz").status_code == 200)
            found[OURS] = _climbed(OURS, _asking(machine.settings.port, draft))
            opened = _opened(OURS, machine.settings.port, draft, found[OURS], lambda: _followed(machine))
            _followed(machine)
        found[ALONE] = _climbed(ALONE, _asking(machine.settings.port, draft))
        found[PEER] = _climbed(PEER, _asking(port, beside))
        opened += _opened(PEER, port, beside, found[PEER], lambda: None)
        recorder = stack.enter_context(_recorder(machine))
        found[LIBRARY] = _climbed(LIBRARY, recorder)
        second = _second(machine, draft, serve.pid)
    print("\n" + _table(found))
    print("\n" + _open_table(opened))
    print("\n" + second)
    DRAWN.write_text(_drawing(found))


def _draft(api: str, authorization: str, organisation_id: str, *, ours: bool) -> bytes:
    """With a key of its own each time."""
    return steps(api, authorization, organisation_id, ours=ours)[0].request.replace(b"{key}", b"{id}")


def _plan(port: int, request: bytes, callers: int, seconds: float = SECONDS) -> Plan:
    return Plan(
        port=port, connections=callers, seconds=seconds, requests=[request], status=201, start=next(_starts)
    )


def _asking(port: int, request: bytes) -> Ask:
    load.measure(_plan(port, request, 16, 1.0))  # warm
    return lambda callers: load.measure(_plan(port, request, callers)).sample


def _climbed(who: str, ask: Ask) -> list[Step]:
    """More and more callers, beyond the point where it grows no longer."""
    found: list[Step] = []
    for callers in CONNECTIONS:
        found.append(Step(callers, ask(callers)))
        print(f"{who}, {callers} callers: {found[-1].sample.rate:,.0f} a second", flush=True)
    return found


def _most(found: Sequence[Step]) -> float:
    return max(each.sample.rate for each in found)


class Open(NamedTuple):
    who: str
    share: float
    found: Found


def _opened(
    who: str, port: int, request: bytes, climbed: Sequence[Step], ready: Callable[[], None]
) -> list[Open]:
    """At a constant rate, each command timed from when it was due."""
    found: list[Open] = []
    for share in SHARES:
        ready()
        plan = arrivals.Plan(
            port=port,
            connections=OPEN_CONNECTIONS,
            rate=share * _most(climbed),
            seconds=4 * SECONDS,
            request=request,
            status=201,
            start=next(_starts),
        )
        found.append(Open(who, share, arrivals.measure(plan)))
        print(f"{who} at {share:.0%}: p99 {found[-1].found.p99 * 1e3:.1f} ms", flush=True)
    return found


def _followed(machine: Machine) -> None:
    """Until every read model has seen all: what is behind would take its share of the next turn."""
    behind = """select count(*) from projections where place in ('read', 'work')
                and position < (select max(notification_id) from stored_events)"""
    with psycopg.connect(machine.main.app, autocommit=True) as connection:

        def caught_up() -> bool:
            row = connection.execute(behind).fetchone()
            return row is not None and row[0] == 0

        until(caught_up, 180)


@contextmanager
def _recorder(machine: Machine) -> Generator[Ask]:
    """The library's, with the number of threads that suits it best; an event as large as ours."""
    empty = machine.database("saturation_library", migrated=False)
    with library.recorder(empty.owner, max(THREADS)) as recorder:
        events = _events()

        def ask(callers: int, threads: int, seconds: float) -> Sample:
            return library.closed_loop(recorder, callers, threads, seconds, events)

        best = max(THREADS, key=lambda threads: ask(64, threads, 1.0).rate)
        yield lambda callers: ask(callers, best, SECONDS)


def _events() -> Iterator[StoredEvent]:
    state = json.encode({"kind": "sale", "title": "Maintenance of the north site", "more": "x" * 200})
    while True:
        yield StoredEvent(uuid4(), 1, "contract.drafted.v1", state)


def _second(machine: Machine, request: bytes, serve: int) -> str:
    """The same callers on one process and on two, commands and answers from the guards, with nothing following."""
    port = free_port("127.0.0.1", 0)
    database = machine.postgres.child.pid
    with (
        machine.program("serve", port) as second,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        until(lambda: answers(client))
        me = request.partition(b"\r\n")[2].partition(b"content-type")[0]
        read = b"GET " + API.encode() + b"/me/permissions/snapshot HTTP/1.1\r\n" + me + b"\r\n"
        turns = []
        for what, asked, status in (
            ("POST /contracts", request, 201),
            ("GET of one's own rights", read, 200),
        ):
            one, two = (
                Turns(serve=serve, PostgreSQL=database),
                Turns(serve=serve, second=second.pid, PostgreSQL=database),
            )
            for _ in range(ROUNDS):
                plan = structs.replace(_plan(machine.settings.port, asked, 64), status=status)
                one.run(plan)
                half = structs.replace(plan, connections=32, start=next(_starts))
                two.run(half, structs.replace(half, port=port, start=next(_starts)))
            turns += [(f"{what}, one process", one, one), (f"{what}, two processes", two, one)]
    return markdown.of([turn.figure(what, base=base.rate) for what, turn, base in turns])


def _table(found: dict[str, list[Step]]) -> str:
    by_callers = {who: {each.callers: each.sample for each in steps} for who, steps in found.items()}
    head = ["callers", *(each for who in found for each in (f"{who}: per second", "p50 and p99, ms"))]
    rows: list[list[markdown.Cell]] = []
    for callers in CONNECTIONS:
        row: list[markdown.Cell] = [str(callers)]
        for who in found:
            sample = by_callers[who].get(callers)
            row += _cells(sample)
        if any(cell is not None for cell in row[1:]):
            rows.append(row)
    return markdown.table(head, rows)


def _cells(sample: Sample | None) -> list[markdown.Cell]:
    if sample is None:
        return [None] * 2
    assert sample.p50 is not None
    assert sample.p99 is not None
    return [sample.rate, f"{sample.p50 * 1e3:.1f}, {sample.p99 * 1e3:.1f}"]


def _open_table(opened: Sequence[Open]) -> str:
    head = [
        "open loop",
        "per second",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "most, ms",
        "waiting at its end",
        "not accepted",
    ]
    return markdown.table(
        head,
        [
            (
                f"{who}, {share:.0%} of its most",
                found.rate,
                *(each * 1e3 for each in (found.p50, found.p99, found.p999, found.most)),
                found.behind,
                sum(found.others.values()),
            )
            for who, share, found in opened
        ],
    )


def _drawing(found: dict[str, list[Step]]) -> str:
    """By the doublings of callers, since they are doubled from step to step."""
    rates = {
        who: [(each.callers.bit_length() - 1, each.sample.rate) for each in steps]
        for who, steps in found.items()
    }
    waits = {
        who: [(each.callers.bit_length() - 1, (each.sample.p99 or 0) * 1e3) for each in steps]
        for who, steps in found.items()
    }
    return plot.svg(
        [plot.Panel("commands a second", rates), plot.Panel("p99, ms", waits)],
        "callers at once, doubled from mark to mark: 0 is one, 9 is 512",
    )
