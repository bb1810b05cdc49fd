"""What watching costs: figures of one command, lines with and without something to hide, a scrape, a survey."""

import asyncio
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path

import structlog

from api import metrics
from bench.figures import Figure, Sample, figure
from bench.machine import Machine
from infrastructure.bootstrap import running
from infrastructure.first_start import start
from infrastructure.logging import configure
from infrastructure.migrations import apply
from infrastructure.watch import figures
from infrastructure.watch.families import families

PART = "watching"
ROUNDS, SECONDS = 3, 0.5
ROUTE = "/api/v1/organisations"


def run(machine: Machine) -> list[Figure]:
    """Some ten seconds, in this process alone but for the survey."""
    apply(machine.settings)
    asyncio.run(start(machine.settings))
    with Path("/dev/null").open("w") as nowhere, redirect_stderr(nowhere):
        configure(machine.settings, "bench")
        log = structlog.get_logger("bench").bind()
        return [
            _of("the figures of one command, alone in its commit", _figures),
            _of("the line of a request", lambda: _line(log)),
            _of("a warning, looked through for secrets", lambda: log.warning("nats.error", error=_ERROR)),
            *asyncio.run(_surveyed(machine)),
        ]


_ERROR = "cannot reach nats://app:a-password@127.0.0.1:4222, tried 3 times, last at 2026-01-01T00:00:00+00:00"


def _figures() -> None:
    """What HTTP, writer and verdict count of a command that shares its commit with nobody: the dearest case."""
    metrics.observe("POST", ROUTE, 201, 0.004)
    figures.QUEUE.set(0)
    with figures.APPEND.time():
        pass
    figures.LOCK_WAIT.observe(0.0001)
    figures.BATCH.observe(1)
    figures.VERDICTS.labels("accepted").inc()
    figures.QUEUE.set(0)


def _line(log: structlog.typing.FilteringBoundLogger) -> None:
    log.info("request", method="POST", route=ROUTE, status=201, ms=4.1, request_id="0123456789abcdef" * 2)


def _of(what: str, act: Callable[[], object]) -> Figure:
    return figure(PART, what, [_sample(act) for _ in range(ROUNDS)])


def _sample(act: Callable[[], object]) -> Sample:
    done, began, cost = 0, time.perf_counter(), time.process_time()
    while (seconds := time.perf_counter() - began) < SECONDS:
        for _ in range(20):
            act()
        done += 20
    return Sample(done, seconds, cost={"this process": time.process_time() - cost})


async def _surveyed(machine: Machine) -> list[Figure]:
    async with running(machine.settings, name="bench") as system:
        samples = []
        for _ in range(ROUNDS):
            done, began, cost = 0, time.perf_counter(), time.process_time()
            while (seconds := time.perf_counter() - began) < SECONDS:
                await system.surveyor.look()
                done += 1
            samples.append(Sample(done, seconds, cost={"this process": time.process_time() - cost}))
        last = system.surveyor.last
    scrape = _of("a scrape of /metrics", lambda: figures.exposition(families(last, {"nats": True}, 0)))
    return [figure(PART, "a survey: every follower, lock, role, job", samples), scrape]
