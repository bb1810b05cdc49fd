"""What goes after a person was forgotten: his files, what he imported, exports that have him, older read models."""

from typing import Any, LiteralString
from uuid import UUID

from domain.imports.events import ImportStarted
from infrastructure.bootstrap import System
from projections.audit_log import AuditLog
from projections.contact import CONTACTS
from projections.contract import CONTRACTS
from projections.export import EXPORTS
from projections.file import FILES
from projections.projection import discover
from projections.user import USERS
from workers import imports
from workers.places import drop_older


class StillExporting(Exception):
    """An export that may have him is being made: when it is whole it is deleted."""


class StillParked(Exception):
    """A stream is parked of a read model that tells what is his, so it may not tell all."""


async def forget_user(system: System, user_id: UUID, position: int) -> None:
    """Files that a record of the house binds stay: they are the house's; all others of his go. Certificates of what he
    signed are made again, without his name.

    Raises Behind, StillExporting, StillImporting, StillParked, Busy: to be tried again.
    """
    for model in (FILES.name, CONTRACTS.name):
        await _whole(system, model, position)
    await _followed(system, USERS.name, position)
    for (file_id,) in await _rows(system, "select id from read.file where owner_id = %s", (user_id,)):
        await system.file_upkeep.forget(file_id)
    await system.outside.provider.forget(user_id)
    await system.reached(AuditLog.name, position)
    started = "select stream_id from read.audit_entry where actor_id = %s and topic = %s"
    for (import_id,) in await _rows(system, started, (user_id, ImportStarted.TOPIC)):
        await imports.forget(system, import_id)
    for (contract_id,) in await _rows(
        system, "select id from read.contract where signed_by = %s", (user_id,)
    ):
        if await system.certificate_papers.find(contract_id) is not None:
            await system.certificate_papers.make(contract_id)
    await _exports(system, "users", user_id, position)
    await _older_models(system, position)


async def forget_contact(system: System, contact_id: UUID, position: int) -> None:
    """Raises Behind, StillExporting, StillParked, Busy: to be tried again."""
    await _followed(system, CONTACTS.name, position)
    await _exports(system, "contacts", contact_id, position)
    await _older_models(system, position)


async def _followed(system: System, model: str, position: int) -> None:
    """What is exported from now on has nothing of him, and every export from before is known."""
    await system.reached(model, position)
    await _whole(system, EXPORTS.name, await system.log.head())


async def _whole(system: System, model: str, position: int) -> None:
    await system.reached(model, position)
    if system.parked(model):
        raise StillParked(f"streams of {model} are parked")


async def _older_models(system: System, position: int) -> None:
    """Once each that is in use has passed him, none that has him comes to be kept aside any more."""
    for name in discover():
        await system.reached(name, position)
    await drop_older(system.url, position)


async def _exports(system: System, path: str, person: UUID, position: int) -> None:
    """Those of the list that he stood in, whoever asked for them, and those that he asked for himself.

    One that is made when the read model has passed his erasure has nothing of him: `true_at` tells.
    """
    found = await _rows(
        system,
        "select view from read.export where (list = %s or requested_by = %s)"
        " and created_at > clock_timestamp() - interval '3 days'",  # none is kept for longer
        (path, person),
    )
    exports = [EXPORTS.decode(view) for (view,) in found]
    for export in exports:
        if export.object_id is not None and export.true_at is not None and export.true_at < position:
            await system.objects.remove(export.object_id)
    if any(export.state == "requested" for export in exports):
        raise StillExporting


async def _rows(system: System, query: LiteralString, values: tuple[Any, ...]) -> list[Any]:
    async with system.pool.connection() as connection:
        rows: list[Any] = await (await connection.execute(query, values)).fetchall()
        return rows
