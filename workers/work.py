"""`chancery work`: relay, projections, signer, keys, reactor, sweeper: tasks of one process that lives as all do."""

import asyncio
import signal
from collections.abc import Awaitable, Mapping
from typing import Any
from urllib.parse import urlsplit

import structlog
from psycopg_pool import AsyncConnectionPool

from infrastructure import outbound
from infrastructure.audit.witness import Witness
from infrastructure.bootstrap import System, running
from infrastructure.event_codec import EventCodec
from infrastructure.event_log import EventLog
from infrastructure.nats import APPENDED, Nats
from infrastructure.object_store import ObjectStore
from infrastructure.operations import Operations
from infrastructure.personal_data import Vault, wrapping_of
from infrastructure.postgres import open_pool
from infrastructure.settings import Settings
from infrastructure.tasks import end
from projections.projection import discover
from workers import keys, signer
from workers.epoch import Place, Stream
from workers.feed import Feed
from workers.jobs import offering
from workers.projector import Projector
from workers.reactor import Reactor
from workers.relay import Relay
from workers.sweeper import Sweeper
from workers.tile_copy import CopyPlace, TileCopy

log = structlog.get_logger()


async def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT, then leave the roles to whoever stands by. SystemExit(1) when a task dies."""
    url, wrapping = settings.database_url, wrapping_of(settings)
    projections = discover()
    pool = await open_pool(url, size=len(projections) + 3, name="chancery work")
    events = EventLog(pool, EventCodec(), Vault(pool, wrapping))
    publisher = Nats(settings.nats_relay_url, "chancery relay")
    async with pool, publisher, running(settings, name="work", wakes=(APPENDED,)) as system:
        positions, nats = system.positions, system.nats

        def feed() -> Feed:
            return Feed(events, positions, nats)

        await supervise(
            {
                "relay": Relay(events, positions, publisher).run(url),
                "signer": signer.run(
                    url, wrapping, origin_of(settings), elsewhere(settings, nats, system.objects)
                ),
                **({"tile copy": tile_copy(system).run(url)} if copied(settings) else {}),
                "keys": keys.run(url, system.signing_keys),
                "reactor": Reactor(
                    events,
                    feed(),
                    system.dialogs,
                    system.contracts,
                    system.brought_letters,
                    mail=system.mailer is not None,
                ).run(url),
                **({"sweeper": sweeper(settings, pool).run(url)} if settings.redis_url else {}),
                **{
                    name: Projector(projection, events, feed(), nats).run(url)
                    for name, projection in projections.items()
                },
            }
        )
        if system.failed:
            raise SystemExit(1)


def sweeper(settings: Settings, pool: AsyncConnectionPool[Any]) -> Sweeper:
    return Sweeper(Operations(pool), offering(settings), check_hours=settings.check_hours)


def elsewhere(settings: Settings, source: Nats, objects: ObjectStore) -> list[Place]:
    """What a database that was set back is told by, of the servers that are set."""
    return [
        *([Stream(source)] if settings.nats_url else []),
        *([CopyPlace(objects)] if copied(settings) else []),
    ]


def copied(settings: Settings) -> bool:
    return bool(settings.s3_endpoint) and settings.tile_copy != "off"


def tile_copy(system: System) -> TileCopy:
    """Raises Malformed for a witness whose key is none."""
    asking = outbound.client()
    witnesses = [Witness(asking, setting) for setting in system.settings.witnesses]
    return TileCopy(system.objects, entries=system.settings.tile_copy == "entries", witnesses=witnesses)


def origin_of(settings: Settings) -> str:
    """The audit log's name: a URL without its scheme, as C2SP tlog-checkpoint wants it."""
    base = urlsplit(settings.base_url)
    return f"{base.netloc}{base.path}/audit"


async def supervise(runs: Mapping[str, Awaitable[Any]]) -> None:
    """Run all until a signal comes; one that ends before takes the others with it, and raises SystemExit(1)."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    stopping = asyncio.create_task(stop.wait())
    tasks = [asyncio.create_task(_awaited(each), name=name) for name, each in runs.items()]
    try:
        await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        dead = [task for task in tasks if task.done()]
    finally:
        await end(stopping, *tasks)
    for task in dead:
        log.critical(
            "worker.died", task=task.get_name(), exc_info=None if task.cancelled() else task.exception()
        )
    if dead:
        raise SystemExit(1)
    log.info("work.ended")


async def _awaited(work: Awaitable[Any]) -> None:
    await work
