"""The audit log: leaves built, a log verified offline, proofs, replay, and what it costs whoever writes meanwhile.

`BENCH_ENTRIES` says how many entries the export has that is verified, if not 1,000,000.
"""

import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import structlog
import uvloop

from application.context import Context
from bench import synthetic
from bench.companies import companies
from bench.figures import Figure, Sample, closed_loop, figure
from bench.machine import Machine, Meter
from bench.path import signed_in
from bench.seed import fill
from domain.organisation.commands import AddOrganisation
from infrastructure.audit.replay import Replay
from infrastructure.audit.verify_file import examined
from infrastructure.bootstrap import System, running
from infrastructure.guard_check import verify
from infrastructure.migrations import apply
from infrastructure.postgres import connect
from infrastructure.settings import environment
from projections.audit_log import AuditLog
from projections.merkle import inclusion_spans, leaf_hash, verify_inclusion
from projections.organisation import ORGANISATIONS
from projections.tiles import Edge, TileAt, hashes, root
from workers.places import LIVE, OPTIONS
from workers.row_digests import snapshot

PART = "audit"
ENTRIES = int(os.environ.get("BENCH_ENTRIES", "1000000"))
FEW = 10_000
"""Entries of the export that shows how much memory a verification takes anyway."""
LEAVES = 100_000
DIGESTED = 100_000
PROOFS = 5_000
CALLERS = 16
ROUNDS = 3
SECONDS = 4.0
BATCH = 500
VERIFIER = Path(__file__).parents[1] / "docs" / "verify" / "verify_export.py"


def run(machine: Machine) -> list[Figure]:
    """About three minutes, most of them for verifying."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    apply(machine.settings)
    found = uvloop.run(_writing(machine))
    found += _tree()
    with tempfile.TemporaryDirectory(prefix="chancery-audit-", dir=_disk()) as folder:
        few, many = Path(folder) / "few.ndjson", Path(folder) / "many.ndjson"
        synthetic.write(few, FEW)
        synthetic.write(many, ENTRIES)
        found += _verified(
            "chancery audit verify", [sys.executable, "-m", "cli.main", "audit", "verify"], few, many
        )
        found += _verified("docs/verify/verify_export.py", [sys.executable, str(VERIFIER)], few, many)
        found.append(_replayed(few))
    return found


def _disk() -> Path:
    kept = Path("/var/tmp")
    return kept if os.access(kept, os.W_OK) else Path(tempfile.gettempdir())


async def _writing(machine: Machine) -> list[Figure]:
    """Commands with nobody to follow them, and with the audit log's own workers, by turns."""
    context, wanted = signed_in(machine.main), companies()
    without: list[Sample] = []
    beside: list[Sample] = []
    async with running(machine.settings) as system:
        await _commands(machine, system, context, wanted)  # warm
        for _ in range(ROUNDS):
            without.append(await _commands(machine, system, context, wanted))
            environ = environment(machine.settings)
            with machine.beside("audit", [sys.executable, "-m", "bench.audit_workers"], environ) as child:
                await _signed(machine, await system.log.head())
                sample = await _commands(machine, system, context, wanted, audit=child.pid)
                beside.append(sample)
        built = [await _built(machine, system), await _guarded(machine, system), await _digested(machine)]
    base = figure(PART, "", without).rate
    return [
        figure(PART, f"commands, {CALLERS} callers, nobody follows", without, base=base),
        figure(PART, "commands, audit log followed and signed", beside, base=base),
        *built,
    ]


async def _commands(
    machine: Machine, system: System, context: Context, wanted: Iterator[AddOrganisation], **others: int
) -> Sample:
    meter = Meter(PostgreSQL=machine.postgres.child.pid, **others)

    async def once() -> None:
        await system.organisations.add(next(wanted), context)

    sample = await closed_loop(CALLERS, SECONDS, once)
    return sample._replace(cost=meter.spent())


async def _signed(machine: Machine, size: int) -> None:
    """Until the signer has signed so many."""
    query = "select coalesce(max(size), 0) from audit.checkpoints where note is not null"
    async with await connect(machine.main.app) as connection, asyncio.timeout(60):
        while True:
            row = await (await connection.execute(query)).fetchone()
            if row is not None and row[0] >= size:
                return
            await asyncio.sleep(0.05)


async def _built(machine: Machine, system: System) -> Figure:
    """Entries and tiles of the events that are there, in an empty place beside."""
    projection, samples = AuditLog(), []
    head = min(await system.log.head(), LEAVES)
    async with await connect(machine.main.app, options="-c synchronous_commit=off") as connection:
        for _ in range(ROUNDS):
            await connection.execute(projection.ddl("read_next").encode())
            meter, began, at = Meter(PostgreSQL=machine.postgres.child.pid), time.perf_counter(), 0
            while at < head:
                batch = await system.log.open(await system.log.read(at, min(BATCH, head - at)))
                async with connection.transaction(), connection.cursor() as cursor:
                    await projection.apply(cursor, "read_next", batch)
                at += len(batch)
            samples.append(Sample(head, time.perf_counter() - began, cost=meter.spent()))
            await connection.execute(b"drop table read_next.audit_entry, read_next.audit_tile")
            projection = AuditLog()
    return figure(PART, "leaves built: entries and tiles, PostgreSQL", samples)


async def _guarded(machine: Machine, system: System) -> Figure:
    """All guards against the log, as the daily check compares them."""
    head, meter, began = (
        await system.log.head(),
        Meter(PostgreSQL=machine.postgres.child.pid),
        time.perf_counter(),
    )
    await verify(machine.main.app, system.wrapping)
    return figure(
        PART, "check: guards, events", [Sample(head, time.perf_counter() - began, cost=meter.spent())]
    )


async def _digested(machine: Machine) -> Figure:
    """The digest of a read model: how long its snapshot is open."""
    await fill(machine.main.app, DIGESTED)
    samples: list[Sample] = []
    async with await connect(machine.main.app, options=OPTIONS) as connection:
        for _ in range(ROUNDS):
            meter, began = Meter(PostgreSQL=machine.postgres.child.pid), time.perf_counter()
            await snapshot(connection, ORGANISATIONS, LIVE, shown=True)
            samples.append(Sample(DIGESTED, time.perf_counter() - began, cost=meter.spent()))
    return figure(PART, "check: digest of organisations, rows", samples)


def _tree() -> list[Figure]:
    """In memory: what hashing alone takes, and proofs in a tree of that size."""
    leaves = list(islice(synthetic.leaves(LEAVES), LEAVES))
    hashed: list[Sample] = []
    tiles: dict[TileAt, bytes] = {}
    for _ in range(ROUNDS):
        began = time.perf_counter()
        _, tiles = Edge().grown([leaf_hash(leaf) for leaf in leaves])
        hashed.append(Sample(LEAVES, time.perf_counter() - began))
    top = root(LEAVES, tiles)
    places = random.Random(7).choices(range(LEAVES), k=PROOFS)
    began = time.perf_counter()
    proofs = [hashes(inclusion_spans(index, LEAVES), tiles) for index in places]
    made = time.perf_counter() - began
    began = time.perf_counter()
    held = [
        verify_inclusion(leaf_hash(leaves[index]), index, LEAVES, top, proof)
        for index, proof in zip(places, proofs, strict=True)
    ]
    checked = time.perf_counter() - began
    assert all(held)
    return [
        figure(PART, "leaves hashed and put into tiles, in memory", hashed),
        _each("inclusion proof made, from tiles", made),
        _each("inclusion proof checked", checked),
    ]


def _each(what: str, seconds: float) -> Figure:
    sample = Sample(PROOFS, seconds)
    return figure(PART, what, [sample], note=f"{seconds / PROOFS * 1e6:.0f} us each, {LEAVES:,} leaves")


def _verified(what: str, command: list[str], few: Path, many: Path) -> Iterator[Figure]:
    """Offline, as an auditor does it: time, and whether memory grows with the log."""
    _, least = _ran(command, few)
    seconds, most = _ran(command, many)
    note = f"{seconds:.1f} s; {most:.0f} MB at most, {least:.0f} for {FEW:,} entries"
    yield figure(PART, f"{what}, {ENTRIES:,} entries", [Sample(ENTRIES, seconds)], note=note)


def _ran(command: list[str], file: Path) -> tuple[float, float]:
    """Seconds, and the most memory in MB."""
    began, most = time.perf_counter(), 0.0
    process = subprocess.Popen([*command, str(file)], stdout=subprocess.DEVNULL)
    while process.poll() is None:
        most = max(most, _megabytes(process.pid))
        time.sleep(0.02)
    assert process.returncode == 0, f"{command} did not verify its log"
    return time.perf_counter() - began, most


def _megabytes(pid: int) -> float:
    """What it has had at most; what `wait` says of it counts the parent, too."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(
        (int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0.0
    )


def _replayed(file: Path) -> Figure:
    """One read model folded from an export that was verified."""
    with file.open("rb") as opened:
        report = examined(opened)
        samples = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            events = Replay(opened, report).recorded(ORGANISATIONS.takes, lambda _: True)
            views = [ORGANISATIONS.replay([event]) for event in events]
            samples.append(Sample(len(views), time.perf_counter() - began))
    return figure(PART, "replay of an export: organisations decoded and folded", samples)
