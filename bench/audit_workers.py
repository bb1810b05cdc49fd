"""`python -m bench.audit_workers`: what the audit log costs while commands run: its projection, and the signer."""

import asyncio
import os

import structlog
import uvloop

from infrastructure.event_codec import EventCodec
from infrastructure.event_log import EventLog
from infrastructure.nats import APPENDED, Nats
from infrastructure.personal_data import Vault, wrapping_of
from infrastructure.positions import Positions
from infrastructure.postgres import open_pool
from infrastructure.settings import load
from projections.audit_log import projection
from workers import signer
from workers.feed import Feed
from workers.projector import Projector


async def run() -> None:
    """Until it is killed."""
    settings = load(environ=os.environ)
    url, wrapping = settings.database_url, wrapping_of(settings)
    pool = await open_pool(url, size=3)
    log, positions = EventLog(pool, EventCodec(), Vault(pool, wrapping)), Positions(url)
    nats = Nats(settings.nats_url, "bench")
    nats.on(APPENDED, positions.ring)
    async with pool, nats:
        await asyncio.gather(
            positions.run(),
            Projector(projection, log, Feed(log, positions, nats), nats).run(url),
            signer.run(url, wrapping, "chancery.example/audit"),
        )


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    uvloop.run(run())
