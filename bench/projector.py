"""What follows the log: a read model built again, its lag behind appends, and the relay to NATS."""

import asyncio
import time
from collections.abc import Callable

import structlog
import uvloop

from bench import runner
from bench.companies import companies
from bench.figures import Figure, Sample, figure, sample
from bench.machine import Machine
from bench.path import signed_in
from cli.migrate import apply
from infrastructure.bootstrap import System, running, wrapping_of
from infrastructure.event_codec import EventCodec
from infrastructure.event_log import EventLog
from infrastructure.nats import STREAM, Nats
from infrastructure.personal_data import Vault
from infrastructure.postgres import open_pool
from infrastructure.tasks import end
from projections.organisation import ORGANISATIONS
from workers.rebuild import rebuild
from workers.relay import Relay

PART = "projector"
EVENTS = 40_000
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
            seconds = await asyncio.to_thread(runner.projected, theirs_at.owner, LIBRARY_EVENTS, turn)
            theirs.append(LIBRARY_EVENTS / seconds)
            relayed.append(await _relayed(machine, system))
        with machine.program("work"):
            await _until(lambda: system.positions.known.get("organisation", 0) >= EVENTS)
            lag = await _lag(system, context)
    base = figure(PART, "", theirs).rate
    return [
        figure(PART, "rebuild: Chancery", built, base=base, note="organisations, 17 columns, 11 indexes"),
        figure(PART, "rebuild, then compared and swapped", whole[1:], base=base),
        figure(PART, "eventsourcing ProjectionRunner", theirs, base=base, note="one table of three columns"),
        figure(PART, "relay to NATS", relayed),
        figure(PART, "append to readable, at a steady rate", [lag], note="aim: p50 10, p99 50 ms"),
    ]
