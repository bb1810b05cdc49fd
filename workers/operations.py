"""What each kind of operation does: `<noun>.<verb>` is the function `<noun>_<verb>` here.

Each may be repeated: an attempt that died may have done its work already.
"""

from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg.errors import UndefinedTable

from application.file import FileAlreadyBound
from application.grant import AT_A_TIME
from application.provider import ProviderUnavailable
from domain.imports.events import EGRUL, ORGANISATIONS, POSTAL_INDEX
from infrastructure.bootstrap import System, clock
from infrastructure.operations import MOST_ATTEMPTS, Operations, Taken
from workers import check, imports, letters, mail
from workers.exports import exporter
from workers.forgetting import forget_contact, forget_user
from workers.import_egrul import EgrulImport
from workers.import_organisations import OrganisationImport
from workers.import_postal_index import PostalIndexImport

READ_WITHIN = timedelta(hours=1)
"""How long the reading of a file's text may take before it is asked for again."""
Work = Callable[[System, Taken], Coroutine[Any, Any, None]]
APPLIERS: dict[str, imports.Applier] = {
    POSTAL_INDEX: PostalIndexImport(),
    EGRUL: EgrulImport(),
    ORGANISATIONS: OrganisationImport(),
}


async def export_run(system: System, taken: Taken) -> None:
    """`about`: export_id. The list is written to a file as the requester may view it now."""
    await exporter(system).run(UUID(taken.about["export_id"]), last=taken.attempt >= MOST_ATTEMPTS)


async def check_run(system: System, taken: Taken) -> None:
    """`about`: turn. Guards, read models and log are compared, and one read model is built again, by turns."""
    await check.check(system, taken.id, [check.turn_of(taken.about["turn"])])


async def file_recheck(system: System, taken: Taken) -> None:
    """`about`: file_id. A large upload is read through, and kept or removed."""
    await system.file_upkeep.recheck(UUID(taken.about["file_id"]))


async def file_read_text(system: System, taken: Taken) -> None:
    """`about`: file_id. What it says is read, so that it is found by it."""
    await system.file_texts.read(UUID(taken.about["file_id"]))


async def file_read_missing(system: System, _taken: Taken) -> None:
    """What should have been read by now, and what was there before there was a search: asked for again, one by one."""
    now, missing = clock(), list[Any]()
    with suppress(UndefinedTable):  # the very first start: there is no file either
        async with system.pool.connection() as connection:
            rows = await connection.execute(
                "select id from read.file where awaits_text and created_at < %s order by id desc limit 1000",
                (now - READ_WITHIN,),
            )
            missing = await rows.fetchall()
    for (file_id,) in missing:
        occasion = f"file.read_text {file_id} {now:%Y-%m-%dT%H}"
        await Operations(system.pool).ask("file.read_text", {"file_id": str(file_id)}, occasion=occasion)


async def file_remove_orphans(system: System, _taken: Taken) -> None:
    """What nothing has bound for a day, and objects that belong to no file."""
    now = clock()
    while found := await system.file_upkeep.orphans(now):
        for file_id in found:
            with suppress(FileAlreadyBound):  # meanwhile
                await system.file_upkeep.remove(file_id)
    await system.file_upkeep.sweep(now)


async def grant_lapse(system: System, _taken: Taken) -> None:
    """The log is told which grants have run out."""
    while await system.grants.lapse(clock()) == AT_A_TIME:
        pass


async def import_read(system: System, taken: Taken) -> None:
    """`about`: import_id. Its file is read for the preview."""
    import_id = UUID(taken.about["import_id"])
    await imports.read(system, import_id, APPLIERS, last=taken.attempt >= MOST_ATTEMPTS)


async def import_apply(system: System, taken: Taken) -> None:
    """`about`: import_id. Its rows are written, on from where an earlier attempt came to."""
    import_id = UUID(taken.about["import_id"])
    await imports.apply(system, import_id, APPLIERS, last=taken.attempt >= MOST_ATTEMPTS)


async def import_clear(system: System, taken: Taken) -> None:
    """`about`: import_id. It is over: nobody needs its file any more."""
    await imports.clear(system, UUID(taken.about["import_id"]))


async def import_expire(system: System, _taken: Taken) -> None:
    """Previews that nobody applied, and what was kept to be looked at of imports long past."""
    await imports.expire(system)


async def certificate_render(system: System, taken: Taken) -> None:
    """`about`: contract_id. The certificate of its signature as PDF; made again it is the same."""
    await system.certificate_papers.make(UUID(taken.about["contract_id"]))


async def invoice_render(system: System, taken: Taken) -> None:
    """`about`: contract_id, invoice_id. The invoice as PDF; made again it is the same."""
    about = taken.about
    await system.invoice_papers.make(UUID(about["contract_id"]), UUID(about["invoice_id"]))


async def credit_note_render(system: System, taken: Taken) -> None:
    """`about`: contract_id, credit_note_id. The credit note as PDF; made again it is the same."""
    about = taken.about
    await system.invoice_papers.make(UUID(about["contract_id"]), UUID(about["credit_note_id"]))


async def letter_tell_due(system: System, _taken: Taken) -> None:
    """Which letters should have been answered by today, and were not."""
    await letters.tell_due(system)


async def mail_send(system: System, taken: Taken) -> None:
    """`about`: user_id, notice, and what it is about. Somebody is told by mail, once."""
    await mail.send(system, taken)


async def user_forget(system: System, taken: Taken) -> None:
    """`about`: user_id, position. He was erased there: his files and the exports that have him go."""
    await forget_user(system, UUID(taken.about["user_id"]), taken.about["position"])


async def contact_forget(system: System, taken: Taken) -> None:
    """`about`: contact_id, position. The exports that have him go."""
    await forget_contact(system, UUID(taken.about["contact_id"]), taken.about["position"])


async def user_tell_provider(system: System, taken: Taken) -> None:
    """`about`: person. The identity provider is told what it could not be told at once, however long it was away."""
    try:
        await system.outside.provider.again(taken.about["person"])
    except ProviderUnavailable:
        if taken.attempt >= MOST_ATTEMPTS:  # this one is given up, the wish is not
            await Operations(system.pool).ask("user.tell_provider", taken.about)
        raise


ATTEMPTS = {"mail.send": mail.MOST_ATTEMPTS}
"""Where it is not the usual number of them."""


class UnknownOperation(Exception):
    """No function here is named like that."""


def named(kind: str) -> Work:
    """Raises UnknownOperation."""
    work: Work | None = globals().get(kind.replace(".", "_"))
    if work is None or "." not in kind:
        raise UnknownOperation(kind)
    return work
