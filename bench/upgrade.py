"""`python -m bench upgrade`: the longest a command waits while migrations run, and wait for a lock themselves."""

import asyncio
import time
from collections.abc import Awaitable
from typing import NamedTuple

import psycopg
import uvloop

from application.access import Need
from bench.companies import companies
from bench.figures import quantile
from bench.machine import Database, Machine
from bench.markdown import Cell, table
from bench.path import signed_in, write_path
from domain.organisation.aggregate import ORGANISATION
from infrastructure.embedded.postgres import APP
from infrastructure.event_store import new_id
from infrastructure.migrations import migrate, migrations
from infrastructure.migrations.files import Migration

CALLERS = 16
ROUNDS = 5
QUIET = 10.0
HELD = 1.0
"""Seconds somebody reads on in a transaction, so that no migration of `claims` gets its lock."""
NEED = Need(right="organisation:create")


class Took(NamedTuple):
    """When a command was answered, and after how long, in seconds."""

    at: float
    seconds: float


def run(machine: Machine) -> None:
    """About a minute; prints the table."""
    uvloop.run(_run(machine.database("upgrade")))


async def _run(database: Database) -> None:
    took: list[Took] = []
    phases: list[tuple[str, float, float]] = []

    files = migrations()

    async def phase(what: str, work: Awaitable[None]) -> None:
        began = time.perf_counter()
        await work
        phases.append((what, began, time.perf_counter()))

    async with write_path(database) as (_, execute):
        context, named = signed_in(database), companies()

        async def caller() -> None:
            while True:
                began = time.perf_counter()
                await execute(ORGANISATION, new_id(), next(named), context, NEED, new=True)
                took.append(Took(now := time.perf_counter(), now - began))

        callers = [asyncio.create_task(caller()) for _ in range(CALLERS)]
        await asyncio.sleep(1)
        await phase("nothing else", asyncio.sleep(QUIET))
        for number in range(1, ROUNDS + 1):
            files.append(_column(number))
            await phase("a column added, while a reader holds on for 1 s", _held(database, files))
            files.append(_index(number))
            await phase("an index built concurrently", _upgraded(database, files))
            files.append(_anew(database, number))
            await phase("`append` written anew", _upgraded(database, files))
            files.append(_without(number))
            await phase("index and column dropped", _upgraded(database, files))
        for each in callers:
            each.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
    _show(took, phases)


def _show(took: list[Took], phases: list[tuple[str, float, float]]) -> None:
    rows: list[list[Cell]] = []
    for what in dict.fromkeys(what for what, _, _ in phases):
        spans = [(begin, end) for name, begin, end in phases if name == what]
        seconds = sorted(
            each.seconds for each in took if any(begin <= each.at <= end for begin, end in spans)
        )
        length = sum(end - begin for begin, end in spans)
        waits = [1000 * each for each in (quantile(seconds, 0.5), quantile(seconds, 0.99), seconds[-1])]
        rows.append([what, len(spans), len(seconds) / length, *waits])
    print(table(("meanwhile", "times", "commands/s", "median ms", "99 of 100, ms", "longest ms"), rows))
    print(
        f"\n{CALLERS} callers without a pause, {len(took)} commands; claims has a row for each number of each"
    )


async def _upgraded(database: Database, files: list[Migration]) -> None:
    await asyncio.to_thread(migrate, database.owner, APP, files)


async def _held(database: Database, files: list[Migration]) -> None:
    with psycopg.connect(database.owner) as reader:
        reader.execute("select from claims limit 1")
        upgrade = asyncio.create_task(_upgraded(database, files))
        await asyncio.sleep(HELD)
    await upgrade


def _column(number: int) -> Migration:
    return Migration(90_000 + 10 * number, f"alter table claims add column note_{number} text")


def _index(number: int) -> Migration:
    made = f"create index concurrently if not exists claims_note on claims (note_{number})"
    return Migration(90_001 + 10 * number, f"-- outside a transaction\n{made}")


def _anew(database: Database, number: int) -> Migration:
    with psycopg.connect(database.owner) as owner:
        row = owner.execute("select pg_get_functiondef('append'::regproc)").fetchone()
    assert row is not None
    return Migration(90_002 + 10 * number, row[0])


def _without(number: int) -> Migration:
    return Migration(
        90_003 + 10 * number, f"drop index claims_note; alter table claims drop column note_{number}"
    )
