"""`python -m bench.audit_workers [read model ...]`: what follows the log, it alone or these; with it the signer."""

import asyncio
import os
import sys

import structlog
import uvloop

from infrastructure.event_codec import EventCodec
from infrastructure.event_log import EventLog
from infrastructure.nats import APPENDED, Nats
from infrastructure.personal_data import Vault, wrapping_of
from infrastructure.positions import Positions
from infrastructure.postgres import open_pool
from infrastructure.settings import load
from projections.audit_log import AuditLog
from projections.projection import discover
from workers import signer
from workers.feed import Feed
from workers.projector import Projector


async def run(names: list[str]) -> None:
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
            *(Projector(discover()[name], log, Feed(log, positions, nats), nats).run(url) for name in names),
            *([signer.run(url, wrapping, "chancery.example/audit")] if AuditLog.name in names else []),
        )


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    uvloop.run(run(sys.argv[1:] or [AuditLog.name]))
