"""Signs the head of the log, at the latest a second after an append, and never two heads that disagree."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple, Never

from infrastructure.audit.keys import current_signers
from infrastructure.audit.live import changed_events
from infrastructure.audit.signed_note import sign
from infrastructure.personal_data import Wrapping
from infrastructure.postgres import SIGNER
from infrastructure.role import Connection, hold
from projections.audit_tree import SignedCheckpoint, span_hashes, tree_begun, tree_size
from projections.merkle import EMPTY_ROOT, Span
from projections.proofs import Checkpoint
from workers.epoch import Place, agree

SIGN_SECONDS = 0.25
RECHECK_SECONDS = 3600
"""How long the signer rests after it has compared the whole log with its tiles, some thousand events a second."""


class _Newest(NamedTuple):
    size: int
    root: bytes
    signed: bool


class Fork(Exception):
    """What stands in the database contradicts what was signed: nothing more may be signed until a person has looked."""


async def run(url: str, wrapping: Wrapping, origin: str, elsewhere: Sequence[Place] = ()) -> Never:
    """Hold the signer's role for ever. `origin` names the log at its first start.

    Each holder asks `elsewhere` before he signs anything: a database that was restored knows nothing of what was signed
    since. Raises Fork, EpochMismatch.
    """

    async def work(connection: Connection) -> None:
        await agree(connection, elsewhere)
        checked, rests_until = 0, 0.0
        while True:
            await sign_once(connection, wrapping, origin)
            if rests_until < (now := asyncio.get_running_loop().time()):
                before, checked = checked, await recheck(connection, checked)
                if before == checked:
                    checked, rests_until = 0, now + RECHECK_SECONDS
            await asyncio.sleep(SIGN_SECONDS)

    await hold(url, "signer", SIGNER, work)


async def sign_once(connection: Connection, wrapping: Wrapping, origin: str) -> SignedCheckpoint | None:
    """Sign the tree as far as it is built; None when there is nothing new. Raises Fork."""
    found = await _unsigned(connection)
    if found is None:
        return None
    size, root = found
    # The row is there for good before anything is signed, and what it says is what is signed.
    await connection.execute(
        "insert into audit.checkpoints (size, root) values (%s, %s) on conflict do nothing", found
    )
    row = await (
        await connection.execute(
            "select root from audit.checkpoints where epoch = current_epoch() and size = %s and note is null",
            (size,),
        )
    ).fetchone()
    if row is None or bytes(row[0]) != root:
        raise Fork(f"another root of {size} entries stands among the checkpoints")
    signers = await current_signers(connection, wrapping, origin)
    checkpoint = Checkpoint(origin=signers[0].verifier.name, size=size, root=root)
    note = str(sign(checkpoint.text(), signers))
    await connection.execute(
        "update audit.checkpoints set note = %s, signed_at = clock_timestamp()"
        " where epoch = current_epoch() and size = %s",
        (note, size),
    )
    return SignedCheckpoint(size, note)


async def recheck(connection: Connection, after: int) -> int:
    """Compare the next few thousand events with their leaves in the tree; returns the last compared. Raises Fork."""
    if not await tree_begun(connection):
        return after
    changed, last = await changed_events(connection, after)
    if changed:
        raise Fork(f"the stored event {changed[0]} is not the one whose leaf is in the tree")
    return last


async def _unsigned(connection: Connection) -> tuple[int, bytes] | None:
    """Size and root of the tree that is to be signed now, all read in one snapshot. Raises Fork."""
    async with connection.transaction():
        await connection.execute("set transaction isolation level repeatable read, read only")
        newest = await _newest(connection)
        size = await tree_size(connection) if await tree_begun(connection) else 0
        if size == 0 or size < newest.size:
            return None  # not built yet, or being built again
        before, now = await span_hashes(connection, [Span(0, newest.size), Span(0, size)])
        if before != newest.root:
            raise Fork(f"the first {newest.size} entries no longer have the root of their checkpoint")
        if not newest.signed:
            return newest.size, before
        return (size, now) if size > newest.size else None


async def _newest(connection: Connection) -> _Newest:
    """The newest checkpoint; before the first that of an empty log, which needs no signature. Raises Fork."""
    head = await (
        await connection.execute("select coalesce(max(notification_id), 0) from stored_events")
    ).fetchone()
    row = await (
        await connection.execute(
            "select size, root, note is not null from audit.checkpoints where epoch = current_epoch()"
            " order by size desc limit 1"
        )
    ).fetchone()
    newest = _Newest(row[0], bytes(row[1]), row[2]) if row else _Newest(0, EMPTY_ROOT, signed=True)
    if head is None or newest.size > head[0]:
        raise Fork(f"{newest.size} entries were signed, and the log has only {head and head[0]}")
    return newest
