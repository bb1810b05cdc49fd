"""`python -m bench growth --events N`: what the same things cost with a tenth of the events, and with all of them."""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median
from typing import NamedTuple

import httpx
import psycopg
import uvloop
from msgspec import structs

from bench import markdown
from bench.figures import Figure
from bench.http import Asking, Turns, served, token, until
from bench.load import Plan
from bench.machine import Load, Machine, Meter, machine
from bench.seed_log import Register
from infrastructure.event_codec import EventCodec
from infrastructure.event_log import EventLog
from infrastructure.personal_data import Vault, wrapping_of
from infrastructure.postgres import connect, open_pool
from infrastructure.settings import environment
from projections.audit_log import AuditLog
from projections.organisation import ORGANISATIONS
from projections.projection import discover
from projections.search import SEARCH
from workers import checkpoint
from workers.places import LIVE

EVENTS = 1_000_000
ROUNDS = 3
SECONDS = float(os.environ.get("BENCH_SECONDS", "1"))
CALLERS = 4
BATCH, BATCHES = 500, 10
FOLLOWED = (ORGANISATIONS.name, SEARCH.name, AuditLog.name)
API = "/api/v1"


class Cost(NamedTuple):
    """Seconds at the median, and of PostgreSQL's processor time for one."""

    p50: float
    database: float


def main(arguments: list[str]) -> int:
    """With a million events about four minutes, most of them to fill the log and to have it followed."""
    parser = argparse.ArgumentParser(prog="python -m bench growth")
    parser.add_argument("--events", type=int, default=EVENTS)
    events = parser.parse_args(arguments).events
    found: dict[int, dict[str, Cost]] = {}
    sizes: dict[int, str] = {}
    with Load() as load, machine() as servers, served(servers) as (serve, client):
        register, asking = Register(servers, events), Asking(servers, client)
        for size in _sizes(events):
            filled, followed = register.grow(size), _followed(servers)
            print(f"{size:,} events: {filled:.0f} s to fill, {followed:.0f} s to follow", flush=True)
            found[size] = _measured(servers, asking, client, serve.pid, size)
            sizes[size] = _on_disk(servers)
        described = servers.describe()
    print("\n" + _table(found))
    print("".join(f"\n{size:,} events: {said}" for size, said in sizes.items()))
    print(f"\n{described}\nother processes took {load.others:.2f} cores meanwhile: compare ratios, not rates")
    return 0


def _sizes(events: int) -> list[int]:
    """Ten times as many from one to the next, from 100,000 on; of fewer, a tenth and all."""
    first = min(100_000, max(events // 10, 1_000))
    sizes = [size for power in range(8) if (size := first * 10**power) < events]
    return [*sizes, events]


def _followed(machine: Machine) -> float:
    """Seconds until the read models that are asked, and the audit log, have it all, each in a process of its own."""
    began = time.perf_counter()
    query = (
        "select min(position) from projections where place = 'read' and name = any(%s) having count(*) = %s"
    )
    signed = "select coalesce(max(size), 0) from audit.checkpoints where note is not null"
    with ExitStack() as stack, psycopg.connect(machine.main.admin, autocommit=True) as connection:
        for name in FOLLOWED:
            command = [sys.executable, "-m", "bench.audit_workers", name]
            stack.enter_context(machine.beside(f"follows-{name}", command, environment(machine.settings)))
        head = _one(connection, "select max(notification_id) from stored_events")

        def there() -> bool:
            return (
                _one(connection, query, list(FOLLOWED), len(FOLLOWED)) >= head
                and _one(connection, signed) >= head
            )

        until(there, 120 + head / 500)
    with psycopg.connect(machine.main.owner, autocommit=True) as connection:
        connection.execute("vacuum analyze")
    return time.perf_counter() - began


def _one(connection: psycopg.Connection, query: str, *parameters: object) -> int:
    row = connection.execute(query.encode(), parameters).fetchone()
    return 0 if row is None else int(row[0] or 0)


def _measured(
    machine: Machine, asking: Asking, client: httpx.Client, serve: int, size: int
) -> dict[str, Cost]:
    settings, database = machine.settings, machine.postgres.child.pid
    client.headers["authorization"] = f"Bearer {token(client, settings.admin_email, settings.admin_password)}"
    plans = _plans(machine, asking, client, size)
    turns = {what: Turns(serve=serve, PostgreSQL=database) for what in plans}
    for number in range(ROUNDS + 1):
        if number == 1:  # the first was to warm up
            turns = {what: turn.like() for what, turn in turns.items()}
        for what, plan in plans.items():
            turns[what].run(plan())
    found = {what: _cost(turn.figure(what)) for what, turn in turns.items()}
    return found | uvloop.run(_batches(machine))


def _cost(figure: Figure) -> Cost:
    assert figure.p50 is not None
    return Cost(figure.p50, figure.cost["PostgreSQL"] / 1e6)


def _plans(
    machine: Machine, asking: Asking, client: httpx.Client, size: int
) -> dict[str, Callable[[], Plan]]:
    with psycopg.connect(machine.main.admin) as connection:
        rows = connection.execute(
            "select originator_id from stored_events where topic = 'organisation.added.v1'"
            " and notification_id = any(%s)",
            ([number * size // 200 for number in range(1, 200)],),
        ).fetchall()
    ids = [str(each) for (each,) in rows]
    name = client.get(f"{API}/organisations/{ids[0]}").raise_for_status().json()["full_name"]
    proofs = [f"{API}/audit/entries/{number * size // 200 + 1}/proof" for number in range(200)]

    def reads(*paths: str) -> Callable[[], Plan]:
        plan = asking.plan([asking.head("GET", path) for path in paths], 200)
        return lambda: structs.replace(plan, connections=CALLERS, seconds=SECONDS, roaming=True)

    def listed(path: str, **asked: str) -> Callable[[], Plan]:
        return reads(client.build_request("GET", f"{API}{path}", params=asked).url.raw_path.decode())

    return {
        "POST /organisations": lambda: structs.replace(
            asking.command(), connections=CALLERS, seconds=SECONDS
        ),
        "GET of one": reads(*(f"{API}/organisations/{each}" for each in ids)),
        "GET of one as it was": reads(*(f"{API}/organisations/{each}?as_of=v1" for each in ids)),
        "list, newest first": listed("/organisations"),
        "list, one register number": listed("/organisations", filter="siren=300000001"),
        "list, a rare region": listed("/organisations", filter="region=05"),
        "search, a whole name": listed("/search", q=name),
        "proof of an entry": reads(*proofs),
    }


async def _batches(machine: Machine) -> dict[str, Cost]:
    """The commands of just now are applied: each batch with its checkpoint, durably or not as the projector does it."""
    found: dict[str, Cost] = {}
    async with (
        await open_pool(machine.main.app, size=2) as pool,
        await connect(machine.main.app, options="-c synchronous_commit=off") as connection,
    ):
        log = EventLog(pool, EventCodec(), Vault(pool, wrapping_of(machine.settings)))
        for name in FOLLOWED:
            model, applied = discover()[name], 0
            took: list[float] = []
            at = await checkpoint.load(connection, name, LIVE)
            assert at is not None
            meter = Meter(PostgreSQL=machine.postgres.child.pid)
            while len(took) < BATCHES and (stored := await log.read(at.position, BATCH)):
                batch = await log.opened(stored, model.takes)
                began = time.perf_counter()
                at = await checkpoint.advance(connection, model, LIVE, at, batch)
                took.append(time.perf_counter() - began)
                applied += len(batch)
            spent = meter.spent()["PostgreSQL"]
            found[f"{name}: a batch of {BATCH} events"] = Cost(median(took), spent / applied * BATCH)
            await asyncio.sleep(0)
    return found


def _on_disk(machine: Machine) -> str:
    query = """select pg_size_pretty(pg_total_relation_size('stored_events')),
                      pg_size_pretty(pg_database_size(current_database()))"""
    with psycopg.connect(machine.main.admin) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return f"the log takes {row[0]} with its indexes, all together {row[1]}"


def _table(found: dict[int, dict[str, Cost]]) -> str:
    sizes, names = list(found), list(next(iter(found.values())))
    head = [
        "p50 ms",
        *(f"{size:,} events" for size in sizes),
        *(f"PostgreSQL µs, {size:,}" for size in sizes),
        "grows by",
    ]
    rows: list[list[markdown.Cell]] = []
    for name in names:
        costs = [found[size][name] for size in sizes]
        grown = f"{costs[-1].p50 / costs[0].p50:.2f}x"
        rows.append(
            [name, *(each.p50 * 1e3 for each in costs), *(each.database * 1e6 for each in costs), grown]
        )
    return markdown.table(head, rows)
