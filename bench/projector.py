"""What follows the log: a read model built again, its lag behind appends, and the relay to NATS."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import structlog
import uvloop
from nats.js.errors import NotFoundError

from application.context import Context
from application.ports import Answer
from bench import runner
from bench.companies import companies
from bench.figures import Figure, Sample, figure, sample
from bench.machine import Machine, Meter
from bench.path import signed_in
from infrastructure.bootstrap import System, running
from infrastructure.event_codec import EventCodec
from infrastructure.event_log import EventLog
from infrastructure.migrations import apply
from infrastructure.nats import STREAM, Nats
from infrastructure.personal_data import Vault, wrapping_of
from infrastructure.postgres import open_pool
from infrastructure.tasks import end
from projections.organisation import ORGANISATIONS
from projections.projection import discover
from workers.rebuild import rebuild
from workers.relay import Relay

PART = "projector"
EVENTS = 25_600
CALLERS = 256
LIBRARY_EVENTS = 4_000
ROUNDS = 3
STEADY = 500
"""Commands a second while the lag is measured."""
STEADY_SECONDS = 10.0
PATIENCE = 60.0


def run(machine: Machine) -> list[Figure]:
    """About a minute and a half."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    apply(machine.settings)
    return uvloop.run(_run(machine))


async def _run(machine: Machine) -> list[Figure]:
    theirs_at = machine.database("projector_library", migrated=False)
    context = signed_in(machine.main)
    async with running(machine.settings) as system:
        await _fill(system, context)
        built, whole, theirs, relayed = [], [], [], []
        for turn in range(ROUNDS):
            build, with_comparison = await _rebuilt(machine)
            built.append(build)
            whole.append(with_comparison)
            meter = _meter(machine)
            seconds = await asyncio.to_thread(runner.projected, theirs_at.owner, LIBRARY_EVENTS, turn)
            theirs.append(Sample(LIBRARY_EVENTS, seconds, cost=meter.spent()))
            relayed.append(await _relayed(machine, system))
        names = discover()
        with machine.program("work"):
            await _until(
                lambda: min((system.positions.known.get(name, 0) for name in names), default=0) >= EVENTS
            )
            lag = await _lag(system, context)
    base = figure(PART, "", theirs).rate
    return [
        figure(PART, "rebuild: Chancery", built, base=base, note="organisations, 17 columns, 11 indexes"),
        figure(PART, "rebuild, then compared and swapped", whole[1:], base=base),
        figure(PART, "eventsourcing ProjectionRunner", theirs, base=base, note="one table of three columns"),
        figure(PART, "relay to NATS", relayed),
        figure(PART, "append to readable, at a steady rate", [lag], note="aim: p50 10, p99 50 ms"),
    ]


async def _fill(system: System, context: Context) -> None:
    """Real events, sealed metadata and all."""
    commands = companies()

    async def caller() -> None:
        for _ in range(EVENTS // CALLERS):
            await system.organisations.add(next(commands), context)

    async with asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(caller())


async def _rebuilt(machine: Machine) -> tuple[Sample, Sample]:
    """Until every event was written beside; and until it was compared with the one in use and took its place."""
    build: Sample | None = None

    def told(at: int, up_to: int) -> None:
        nonlocal build
        if at == up_to:
            build = Sample(events, time.perf_counter() - began, cost=meter.spent())

    async with await open_pool(machine.main.app, size=2) as pool:
        log = EventLog(pool, EventCodec(), Vault(pool, wrapping_of(machine.settings)))
        events = await log.head()
        began, meter = time.perf_counter(), _meter(machine)
        await rebuild(machine.main.app, log, ORGANISATIONS, told)
        assert build is not None
        return build, Sample(events, time.perf_counter() - began, cost=meter.spent())


async def _relayed(machine: Machine, system: System) -> Sample:
    """An empty stream filled again."""
    async with Nats(machine.settings.nats_relay_url, "bench") as nats:
        await _until(lambda: nats.connected)
        with suppress(NotFoundError):
            await nats.stream.delete_stream(STREAM)
        head = await system.log.head()
        began, meter = time.perf_counter(), _meter(machine)
        relaying = asyncio.create_task(Relay(system.log, system.positions, nats).run(machine.main.app))
        try:
            while await _last(nats) < head:  # noqa: ASYNC110 - only the server knows
                await asyncio.sleep(0.02)
            return Sample(head, time.perf_counter() - began, cost=meter.spent())
        finally:
            await end(relaying)


def _meter(machine: Machine) -> Meter:
    return Meter(PostgreSQL=machine.postgres.child.pid)


async def _last(nats: Nats) -> int:
    try:
        return (await nats.stream.stream_info(STREAM)).state.last_seq
    except NotFoundError:
        return 0


async def _lag(system: System, context: Context) -> Sample:
    """From an append's answer until a read would see it, commands coming at their own pace, answered or not."""
    latencies: list[float] = []
    commands = companies(EVENTS + 1)

    async def one() -> None:
        answer = await system.organisations.add(next(commands), context)
        assert isinstance(answer, Answer)
        answered = time.perf_counter()
        await system.reached("organisation", answer.position)
        latencies.append(time.perf_counter() - answered)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(int(STEADY * STEADY_SECONDS)):
            await asyncio.sleep(began + number / STEADY - time.perf_counter())
            group.create_task(one())
    return sample(time.perf_counter() - began, latencies)


async def _until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not reached():  # noqa: ASYNC110 - nobody tells us
            await asyncio.sleep(0.02)
