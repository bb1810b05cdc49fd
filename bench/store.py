"""Appends per second: ours with everything in, the library's recorder, and the bare limit, turn by turn in one run."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from itertools import count
from uuid import UUID, uuid4

import msgspec
import uvloop
from eventsourcing.persistence import StoredEvent

from application.access import Need
from bench import library
from bench.bare import Bare, Row
from bench.companies import companies
from bench.figures import Figure, Sample, closed_loop, figure
from bench.machine import Database, Machine, Meter
from bench.path import signed_in, write_path
from domain.organisation.aggregate import ORGANISATION
from domain.organisation.events import Management, OrganisationAdded
from domain.shared import Actor, Metadata
from infrastructure.event_codec import EventCodec
from infrastructure.event_store import new_id

PART = "store"
CALLERS = (1, 16, 64, 256)
THREADS = (1, 4, 16)
ROUNDS = 3
SECONDS = 1.5
NEED = Need(right="organisation:create")
OURS, PERSON, LIBRARY, BARE = (
    "Chancery, a command",
    "Chancery, with a person",
    "eventsourcing recorder",
    "bare limit",
)
NOTES = {OURS: "all in", PERSON: "a new person's key, a field sealed", BARE: "the same rows, nothing judged"}

Contender = Callable[[int, float], Awaitable[Sample]]


def run(machine: Machine) -> list[Figure]:
    """About a minute and a half."""
    return uvloop.run(_run(machine))


async def _run(machine: Machine) -> list[Figure]:
    async with AsyncExitStack() as stack:
        contenders = {
            OURS: await stack.enter_async_context(_ours(machine.database("store_ours"), None)),
            PERSON: await stack.enter_async_context(
                _ours(machine.database("store_person"), Management(name="Jean Dupont"))
            ),
            BARE: await stack.enter_async_context(_bare(machine.database("store_bare"))),
        }
        empty = machine.database("store_library", migrated=False)
        recorder = stack.enter_context(library.recorder(empty.owner, max(THREADS)))
        with_threads = {threads: _library(recorder, threads) for threads in THREADS}
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)  # as `chancery serve` does
        for contender in contenders.values():
            await contender(64, 0.5)
        tried = {threads: (await contender(64, 1.0)).rate for threads, contender in with_threads.items()}
        best = max(tried, key=tried.__getitem__)
        contenders[LIBRARY] = with_threads[best]
        found: dict[tuple[str, int], list[Sample]] = {}
        for _ in range(ROUNDS):
            for callers in CALLERS:
                for name, contender in contenders.items():
                    if name != PERSON or callers == 64:
                        meter = Meter(PostgreSQL=machine.postgres.child.pid)
                        measured = await contender(callers, SECONDS)
                        measured = measured._replace(cost=meter.spent())
                        found.setdefault((name, callers), []).append(measured)
    return list(_figures(found, NOTES | {LIBRARY: f"{best} threads, the best of {THREADS}"}))


def _figures(found: dict[tuple[str, int], list[Sample]], notes: dict[str, str]) -> Iterator[Figure]:
    """Every rate as a multiple of the library's with as many callers."""
    for callers in CALLERS:
        base = figure(PART, "", found[LIBRARY, callers]).rate
        for name in (OURS, PERSON, BARE, LIBRARY):
            if samples := found.get((name, callers)):
                yield figure(PART, f"{callers:>3} callers: {name}", samples, base=base, note=notes[name])


@contextlib.asynccontextmanager
async def _ours(database: Database, person: Management | None) -> AsyncGenerator[Contender]:
    async with write_path(database) as (_, execute):
        context = signed_in(database)
        commands = (msgspec.structs.replace(each, management=person) for each in companies())

        async def once() -> None:
            await execute(ORGANISATION, new_id(), next(commands), context, NEED, new=True)

        async def measure(callers: int, seconds: float) -> Sample:
            return await closed_loop(callers, seconds, once)

        yield measure


@contextlib.asynccontextmanager
async def _bare(database: Database) -> AsyncGenerator[Contender]:
    bare, rows = Bare(database.admin), _rows()
    running = asyncio.create_task(bare.run())

    async def once() -> None:
        await bare.append(next(rows))

    async def measure(callers: int, seconds: float) -> Sample:
        return await closed_loop(callers, seconds, once)

    try:
        yield measure
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _library(recorder: library.Recorder, threads: int) -> Contender:
    events = (StoredEvent(each.stream_id, 1, each.topic, each.state) for each in _rows())

    async def measure(callers: int, seconds: float) -> Sample:
        return await asyncio.to_thread(library.closed_loop, recorder, callers, threads, seconds, events)

    return measure


def _rows() -> Iterator[Row]:
    """What an append would write, encoded once and for all: only ids and claims differ."""
    codec = EventCodec()
    user, session, stream = uuid4(), uuid4(), UUID(int=1)
    meta = Metadata(
        actor=Actor(kind="user", id=user), request_id=uuid4().hex, session_id=session, allowed_by=str(uuid4())
    )
    sealed = codec.encode_metadata(meta, stream, 1, {})
    company = next(companies())
    state = codec.encode(OrganisationAdded(**msgspec.structs.asdict(company)), stream, 1, {})
    for number in count():
        yield Row(
            uuid4(),
            uuid4(),
            OrganisationAdded.TOPIC,
            state,
            sealed,
            ("organisation.siren_nic", f"{number:09d}:00010"),
        )
