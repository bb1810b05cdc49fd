"""Files to import, made by programs of ours that know nothing of those that read them; and an import's job, done."""

import asyncio
import struct
from collections.abc import Sequence
from uuid import UUID

from tests.office import Office
from workers import imports
from workers.operations import APPLIERS

FIELDS = (("INDEX", 6), ("OPSNAME", 30), ("REGION", 60), ("AUTONOM", 60), ("AREA", 60), ("CITY", 60))
MOSCOW = {"INDEX": "101000", "REGION": "МОСКВА", "CITY": "МОСКВА"}


def dbf(
    rows: Sequence[dict[str, str]],
    *,
    encoding: str = "cp866",
    language: int = 0x65,
    fields: Sequence[tuple[str, int]] = FIELDS,
    deleted: Sequence[int] = (),
    version: int = 0x03,
) -> bytes:
    """A table as the dBase III PLUS manual describes it, in character fields alone. `deleted`: rows marked so."""
    width = 1 + sum(length for _, length in fields)
    head = struct.pack("<4BLHH20x", version, 26, 11, 20, len(rows), 32 + 32 * len(fields) + 1, width)
    head = head[:29] + bytes([language]) + head[30:]
    described = b"".join(
        struct.pack("<11sc4xBB14x", name.encode(), b"C", length, 0) for name, length in fields
    )
    records = b"".join(
        (b"*" if at in deleted else b" ")
        + b"".join(row.get(name, "").encode(encoding).ljust(length)[:length] for name, length in fields)
        for at, row in enumerate(rows)
    )
    return head + described + b"\r" + records + b"\x1a"


def codes(count: int, first: int = 200_000, **also: str) -> list[dict[str, str]]:
    return [{**MOSCOW, "INDEX": str(first + at), **also} for at in range(count)]


async def sent(
    who, content: bytes, *, kind="postal-index", mode="both", name="PIndx.dbf", expect=202, **texts
):
    """The answer to POST /imports."""
    answer = await who.post(
        "/imports", data={"kind": kind, "mode": mode, **texts}, files={"file": (name, content)}
    )
    assert answer.status_code == expect, answer.text
    return answer


async def shown(office: Office, import_id: str) -> dict:
    answer = await office.admin.get(f"/imports/{import_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def worked(office: Office, step, import_id: str, *, last: bool = False) -> None:
    """The job's step, while the read models follow as workers would make them."""
    job = asyncio.create_task(step(office.system, UUID(import_id), APPLIERS, last=last))
    while not job.done():
        await office.transport._follow()
        await asyncio.wait([job], timeout=0.02)
    await job


async def previewed(office: Office, content: bytes, **said) -> dict:
    """Sent and read."""
    import_id = (await sent(office.admin, content, **said)).json()["id"]
    await worked(office, imports.read, import_id)
    return await shown(office, import_id)


async def apply(office: Office, import_id: str, *, who=None, key="key", expect=202):
    answer = await (who or office.admin).post(f"/imports/{import_id}/apply", headers={"Idempotency-Key": key})
    assert answer.status_code == expect, answer.text
    return answer


async def applied(office: Office, content: bytes, **said) -> dict:
    """Sent, read, applied and written."""
    seen = await previewed(office, content, **said)
    assert seen["state"] == "previewed", seen["problems"]
    await apply(office, seen["id"])
    await worked(office, imports.apply, seen["id"])
    return await shown(office, seen["id"])
