"""The composition root: every object of a running Chancery is made here, read top to bottom."""

import asyncio
import gc
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from domain.shared import Event, Recorded
from infrastructure import log_sink
from infrastructure.collecting import collecting
from infrastructure.core import Core, clock, core_of, core_tasks
from infrastructure.heartbeat import Heartbeat
from infrastructure.identity import Identity, close_identity, identity_of, identity_tasks, new_password
from infrastructure.imports.importing import Importing, importing_of, importing_tasks
from infrastructure.lookups import Records
from infrastructure.office import Office, close_office, office_of
from infrastructure.settings import Settings
from infrastructure.tasks import end, watched
from projections.projection import Fold, discover

__all__ = ["System", "clock", "new_password", "running"]


@dataclass(frozen=True, kw_only=True)
class System(Core, Identity, Office, Importing):
    """All of it, by name. `failed` names background tasks that died: nothing goes on half-alive."""

    records: dict[str, Records]
    failed: list[str] = field(default_factory=list)

    async def reached(self, projection: str, position: int) -> None:
        """Raises BeyondHead, Behind, Unavailable."""
        await self.positions.reached(projection, position)

    async def written(self, position: int) -> int:
        """The log's head, at least `position`. Raises BeyondHead, Unavailable."""
        return await self.positions.written(position)

    def parked(self, projection: str) -> int:
        """Of how many streams the read model lacks something."""
        return self.positions.parked.get(projection, 0)

    async def recorded(self, stream_id: UUID) -> Sequence[Recorded[Event]]:
        """One record's whole past."""
        return await self.log.open(await self.log.stream(stream_id))


@asynccontextmanager
async def running(
    settings: Settings, *, name: str = "api", wakes: Sequence[str] = ()
) -> AsyncGenerator[System]:
    """A System with its background tasks at work; ends them in order when left.

    `wakes`: bells that make it look at the log, besides those of the read models.
    """
    core = await core_of(settings, name=name, wakes=wakes)
    office = office_of(core)
    identity = identity_of(core, office.files)
    importing = importing_of(core, office.objects)
    records = {
        name: Records(core.url, name, projection.stream)
        for name, projection in discover().items()
        if isinstance(projection, Fold)
    }
    system = System(**vars(core), **vars(identity), **vars(office), **vars(importing), records=records)
    tasks = {
        **core_tasks(core),
        **identity_tasks(identity),
        **importing_tasks(importing),
        **({"survey": core.surveyor.run} if name == "api" else {}),
        **{f"read {name}": read.run for name, read in records.items()},
        "heartbeat": Heartbeat(settings.health_dir, name).run,
    }
    async with collecting(settings, name=name), core.nats:
        running_tasks = [watched(name, run, system.failed) for name, run in tasks.items()]
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        try:
            await identity.signing_keys.ensure()
            await identity.ring.look()
            yield system
        finally:
            await end(*running_tasks)
            await close_identity(identity)
            await close_office(office)
            await core.pool.close()
            await asyncio.to_thread(log_sink.flush)
