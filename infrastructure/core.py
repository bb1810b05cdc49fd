"""What every part of a running Chancery stands on: the log, the way into it, and how far its readers are."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from psycopg_pool import AsyncConnectionPool

from application.execute import Execute
from infrastructure.event_codec import EventCodec
from infrastructure.event_log import EventLog
from infrastructure.event_store import EventStore, read_receipts
from infrastructure.forgetting import Forgetting
from infrastructure.guards import Guards
from infrastructure.lookups import ClaimLookup
from infrastructure.nats import APPENDED, Nats, projected
from infrastructure.neighbours import Neighbours
from infrastructure.personal_data import Vault, Wrapping, wrapping_of
from infrastructure.positions import Positions
from infrastructure.postgres import GroupRead, open_pool
from infrastructure.security.callers import SessionCallers
from infrastructure.settings import Settings
from infrastructure.watch.figures import watch_pool
from infrastructure.watch.survey import Surveyor
from infrastructure.writer import Writer
from projections.projection import discover

Run = Callable[[], Awaitable[Any]]
"""What a background task does, for ever."""


def clock() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Core:
    """What everything else stands on: the log, and the way in and out of it."""

    settings: Settings
    pool: AsyncConnectionPool[Any]
    wrapping: Wrapping
    codec: EventCodec
    log: EventLog
    store: EventStore
    execute: Execute
    claims: ClaimLookup
    callers: SessionCallers
    positions: Positions
    nats: Nats
    neighbours: Neighbours
    surveyor: Surveyor
    writer: Writer
    forgetting: Forgetting
    receipts: GroupRead[Any, Any]

    @property
    def url(self) -> str:
        return self.settings.database_url


async def core_of(settings: Settings, *, name: str, wakes: Sequence[str]) -> Core:
    """`wakes`: bells that make it look at the log, besides those of the read models."""
    url = settings.database_url
    wrapping = wrapping_of(settings)
    codec = EventCodec()
    pool = await open_pool(url, size=8)
    vault = Vault(pool, wrapping)
    log = EventLog(pool, codec, vault)
    positions = Positions(url)
    nats = Nats(settings.nats_url, f"chancery {name}")
    for bell in (*wakes, *map(projected, discover())):
        nats.on(bell, positions.ring)
    writer = Writer(url, bell=_bell(nats, positions), patience=settings.command_seconds)
    receipts = GroupRead(url, read_receipts, name="chancery receipts")
    store = EventStore(log, writer, codec, vault, Guards(wrapping.blind), receipts)
    callers = SessionCallers(url, idle=timedelta(days=settings.session_idle_days))
    return Core(
        settings=settings,
        pool=pool,
        wrapping=wrapping,
        codec=codec,
        log=log,
        store=store,
        execute=Execute(store, callers, clock),
        claims=ClaimLookup(url, wrapping.blind),
        callers=callers,
        positions=positions,
        nats=nats,
        neighbours=Neighbours(settings),
        surveyor=Surveyor(pool, nats),
        writer=writer,
        forgetting=Forgetting(pool, store.forget_keys, store.forget_states),
        receipts=receipts,
    )


def core_tasks(core: Core) -> dict[str, Run]:
    """What must be at work for it."""
    return {
        "writer": core.writer.run,
        "forgetting": core.forgetting.run,
        "positions": core.positions.run,
        "receipts": core.receipts.run,
        "claims": core.claims.run,
        "last claims": core.claims.run_last,
        "callers": core.callers.run,
        "neighbours": core.neighbours.run,
        "pool figures": partial(watch_pool, "api", core.pool),
    }


def _bell(nats: Nats, positions: Positions) -> Callable[[int], None]:
    ringing: set[asyncio.Task[None]] = set()

    def ring(position: int) -> None:
        positions.head = max(positions.head, position)
        if not ringing:
            task = asyncio.get_running_loop().create_task(nats.ring(APPENDED))
            ringing.add(task)
            task.add_done_callback(ringing.discard)

    return ring
