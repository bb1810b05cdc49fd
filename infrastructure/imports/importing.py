"""Imports, put together: their lives, how far they are, and a second way into the log that leaves room for others."""

from dataclasses import dataclass

from application.execute import Execute
from application.file_content import Objects
from application.imports import Imports
from application.organisation import Organisations
from application.postal_index import PostalIndex
from infrastructure.core import Core, Run, clock
from infrastructure.event_store import EventStore, new_id
from infrastructure.forgetting import Forgetting
from infrastructure.guards import Guards
from infrastructure.imports.progress import ImportProgress
from infrastructure.personal_data import Vault
from infrastructure.security.actors import Actors
from infrastructure.writer import Writer


@dataclass(frozen=True, kw_only=True)
class Bulk:
    """Commands in great number, through a writer that rests as long as it has written."""

    writer: Writer
    forgetting: Forgetting
    organisations: Organisations
    postal_index: PostalIndex


@dataclass(frozen=True, kw_only=True)
class Importing:
    imports: Imports
    import_progress: ImportProgress
    actors: Actors
    bulk: Bulk


def importing_of(core: Core, objects: Objects) -> Importing:
    return Importing(
        imports=Imports(core.execute, core.store, core.callers, objects, new_id, core.settings.import_limit),
        import_progress=ImportProgress(core.url, core.pool),
        actors=Actors(core.pool),
        bulk=_bulk(core),
    )


def _bulk(core: Core) -> Bulk:
    writer = Writer(core.url, bell=core.writer.bell, rests=True)
    vault, guards = Vault(core.pool, core.wrapping), Guards(core.wrapping.blind)
    store = EventStore(core.log, writer, core.codec, vault, guards, core.receipts)
    execute = Execute(store, core.callers, clock)
    return Bulk(
        writer=writer,
        forgetting=Forgetting(core.pool, store.forget_keys, store.forget_states),
        organisations=Organisations(execute, core.claims, new_id),
        postal_index=PostalIndex(execute),
    )


def importing_tasks(importing: Importing) -> dict[str, Run]:
    """What must be at work for it."""
    return {
        "bulk writer": importing.bulk.writer.run,
        "bulk forgetting": importing.bulk.forgetting.run,
        "imports": importing.import_progress.run,
    }
