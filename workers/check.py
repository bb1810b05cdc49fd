"""The check of guards, read models and tiles against the log.

What it finds is an event: an auditor can prove that the tables shown to people equal the log.
Nobody waits for it. The log is read in pages, which never change; guards are compared in pages, doubts in a short
snapshot; a read model's digest is one statement for each table, in a snapshot of its own. It asks for no append lock.
"""

import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
import structlog
from cryptography.exceptions import InvalidTag
from psycopg import AsyncConnection

from application.access import Need
from application.access import system as the_system
from application.context import Context
from domain.check.aggregate import CHECK
from domain.check.commands import CompleteCheck
from domain.check.events import ModelDigest, TableDigest
from infrastructure import guard_check
from infrastructure.alarms import alarm, all_clear
from infrastructure.audit.live import changed_events, wrong_checkpoints, wrong_tiles
from infrastructure.bootstrap import System
from infrastructure.event_codec import UnknownTopic
from infrastructure.guard_replay import ClaimedTwice
from infrastructure.postgres import connect
from projections.audit_tree import span_hashes, tree_begun, tree_size
from projections.merkle import EMPTY_ROOT, Span
from projections.projection import Projection, discover
from workers.checkpoint import Checkpoint, load, running
from workers.places import LIVE, OPTIONS, Busy
from workers.rebuild import Poisoned, compare
from workers.row_digests import Rows, snapshot

SHOWN = 20
"""Differences that stand in the event; all are counted."""
ALARM = "check"
IDS = 50_000
UNREADABLE = (ClaimedTwice, UnknownTopic, InvalidTag, msgspec.MsgspecError)
"""What a log raises that somebody else has written into."""

log = structlog.get_logger()


class Findings:
    """What differs; told in the order of finding."""

    def __init__(self) -> None:
        self.count = 0
        # bounded: by SHOWN, then counted
        self.told: list[str] = []

    def add(self, what: str) -> None:
        self.count += 1
        if len(self.told) < SHOWN:
            self.told.append(what[:300])


async def check(system: System, check_id: UUID, rebuild: Sequence[str] = ()) -> CompleteCheck:
    """Compare, record, and raise the alarm, or clear it. `rebuild`: read models that are built again and compared, too.

    A repeat under the same id compares anew and records nothing more.
    """
    began, findings = time.monotonic(), Findings()
    async with await connect(system.url, options=OPTIONS, name="chancery check") as connection:
        size, root = await _log(connection, findings)
        models = await _models(connection, findings)
    await _guards(system, findings)
    rebuilt = [name for name in rebuild if await _rebuilt(system, name, findings)]
    command = CompleteCheck(
        size=size,
        root=root,
        models=tuple(models),
        rebuilt=tuple(rebuilt),
        differing=findings.count,
        differences=tuple(findings.told),
        seconds=int(time.monotonic() - began),
    )
    context = Context(caller=the_system(), request_id="check")
    await system.execute(CHECK, check_id, command, context, Need(right=None, by="system"), upsert=True)
    await _tell(system, check_id, command)
    return command


def turn_of(number: int) -> str:
    """The read model whose turn it is to be built again."""
    names = sorted(discover())
    return names[number % len(names)]


async def _log(connection: AsyncConnection[Any], findings: Findings) -> tuple[int, bytes]:
    """Every leaf against its event, every tile against those below, what was signed against the tree."""
    if not await tree_begun(connection):
        return 0, EMPTY_ROOT
    size = await tree_size(connection)
    after = 0
    while after < size:
        changed, last = await changed_events(connection, after)
        for position in changed:
            findings.add(f"entry {position} is not the event whose leaf is in the tree")
        if last <= after:
            findings.add(f"the tree ends at {after}, not at {size}")
            break
        after = last
    async for at in wrong_tiles(connection, size):
        findings.add(f"tile {at.level}/{at.number} is not made of the tiles below")
    async for signed in wrong_checkpoints(connection, size):
        findings.add(f"the checkpoint of {signed} entries has another root")
    return size, (await span_hashes(connection, [Span(0, size)]))[0]


async def _models(connection: AsyncConnection[Any], findings: Findings) -> list[ModelDigest]:
    """Each read model as it is at its position, and whether it took in every event once."""
    found: list[ModelDigest] = []
    standing: dict[str, Checkpoint] = {}
    for name, projection in discover().items():
        if await load(connection, name, LIVE) is None:
            findings.add(f"read model {name} has not begun")
            continue
        at, rows = await snapshot(connection, projection, LIVE, shown=True)
        standing[name] = at
        if at.parked:
            findings.add(f"read model {name} lacks what {len(at.parked)} parked stream(s) say")
        found.append(_digest(projection, at, rows))
    for name in await _skipping(connection, standing):
        findings.add(f"read model {name} did not take in every event once")
    return found


def _digest(projection: Projection, at: Checkpoint, rows: Sequence[Rows]) -> ModelDigest:
    tables = [TableDigest(table=r.table, rows=r.count, sha256=r.sha256, views=r.views) for r in rows]
    return ModelDigest(
        model=projection.name, model_version=at.version, position=at.position, tables=tuple(tables)
    )


async def _skipping(connection: AsyncConnection[Any], standing: dict[str, Checkpoint]) -> list[str]:
    """Whose count or digest of event ids is not the log's up to its position: one pass for all."""
    digest, reached, wrong = b"", 0, list[str]()
    cursor = connection.cursor(binary=True)
    for name, at in sorted(standing.items(), key=lambda each: each[1].position):
        while reached < at.position:
            await cursor.execute(
                "select event_id from stored_events where notification_id > %s and notification_id <= %s"
                " order by notification_id",
                (reached, min(reached + IDS, at.position)),
            )
            ids = [event_id for (event_id,) in await cursor.fetchall()]
            if not ids:
                break
            digest, reached = running(digest, ids), reached + len(ids)
        if (at.count, at.digest) != (reached, digest):
            wrong.append(name)
    return wrong


async def _guards(system: System, findings: Findings) -> None:
    try:
        for each in await guard_check.verify(system.url, system.wrapping):
            findings.add(f"guard {each}")
    except UNREADABLE as reason:
        findings.add(f"guards cannot be told from the log: {reason!r}")


async def _rebuilt(system: System, name: str, findings: Findings) -> bool:
    """False: somebody else builds it just now."""
    try:
        built = await compare(system.url, system.log, discover()[name])
    except Busy as reason:
        log.warning("check.not_rebuilt", model=name, reason=str(reason))
        return False
    except Poisoned as reason:
        findings.add(f"read model {name} cannot be built from the log: {reason}")
        return False
    if built.comparison is not None and not built.comparison.equal:
        findings.add(f"read model {name} is not what the log gives when it is built again")
    return True


async def _tell(system: System, check_id: UUID, found: CompleteCheck) -> None:
    async with system.pool.connection() as connection:
        if found.differing:
            log.error("check.differs", check=str(check_id), count=found.differing, found=found.differences)
            told = f"{found.differing} difference(s), see the log's check {check_id}: {found.differences[0]}"
            await alarm(connection, ALARM, told)
        else:
            log.info("check.sound", check=str(check_id), size=found.size, seconds=found.seconds)
            await all_clear(connection, ALARM)
