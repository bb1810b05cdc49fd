"""One history or another: what keeps a restored, older store from being taken for the log that others have seen.

The stream and the copy in the object store are asked before anything is signed. They never decide: when they contradict
the store, nothing goes on until an operator has named a new epoch (`chancery epoch begin`).
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID

import nats.errors
import structlog
from msgspec import Struct
from nats.js.api import StreamState
from nats.js.errors import NotFoundError
from psycopg import AsyncConnection

from infrastructure.nats import METADATA, STREAM, Nats
from projections.audit_tree import span_hashes, tree_begun, tree_size
from projections.leaf import stored_of
from projections.merkle import Span

ASK_AGAIN = 0.5

log = structlog.get_logger()


class EpochMismatch(Exception):
    """A stream or a copy holds events that the store does not have: the store was set back to an earlier point.

    Nothing may be published, signed or applied until an operator has begun a new epoch.
    """


class Away(Exception):
    """A place cannot be asked now, or the tree is not built yet so far as to compare it."""


class Seen(Struct, frozen=True, kw_only=True):
    """What is held elsewhere: the first `size` events of the log, whose root is `root`, or `event_id` the one at `at`.

    `epoch`: the one it says it is of, where it says so.
    """

    place: str
    size: int
    at: int = 0
    event_id: UUID | None = None
    root: bytes | None = None
    epoch: str | None = None


class Place(Protocol):
    """Somewhere outside the store where the log can be seen."""

    name: str

    async def seen(self, connection: AsyncConnection[Any]) -> Seen | None:
        """None: there is nothing. Raises Away, EpochMismatch for what cannot be a copy of this log."""
        ...


async def current(connection: AsyncConnection[Any]) -> UUID:
    """The epoch of the store."""
    row = await (await connection.execute("select current_epoch()")).fetchone()
    if row is None or row[0] is None:
        raise LookupError("the store has no epoch: has it been migrated?")
    epoch: UUID = row[0]
    return epoch


async def ended(connection: AsyncConnection[Any], epoch: str | None) -> bool:
    """Whether that is an epoch of this very store, which a later one has followed."""
    found = await connection.execute(
        "select from epochs where epoch::text = %s and epoch <> current_epoch()", (epoch,)
    )
    return found.rowcount == 1


async def contradiction(connection: AsyncConnection[Any], seen: Seen) -> str | None:
    """How what is held elsewhere cannot be of this store. Raises Away while the tree is not built so far."""
    ours = await current(connection)
    if seen.epoch not in (None, str(ours)):
        return f"the {seen.place} is of epoch {seen.epoch}, the store of {ours}"
    if seen.size == 0:
        return None
    row = await (
        await connection.execute(
            "select coalesce(max(notification_id), 0),"
            " (select event_id from stored_events where notification_id = %s) from stored_events",
            (seen.at,),
        )
    ).fetchone()
    head, event_id = row or (0, None)
    if seen.size > head:
        return f"the {seen.place} ends at {seen.size}, the store at {head}"
    if seen.event_id is not None and seen.event_id != event_id:
        return f"the {seen.place} has event {seen.event_id} at {seen.at}, the store has not"
    if seen.root is not None and await root_of(connection, seen.size) != seen.root:
        return f"the {seen.place} has another root over {seen.size} entries than the store"
    return None


async def root_of(connection: AsyncConnection[Any], size: int) -> bytes:
    """The root over the first so many entries. Raises Away while the tree is not built so far."""
    if not await tree_begun(connection) or await tree_size(connection) < size:
        raise Away("the tree of the log is being built")
    return (await span_hashes(connection, [Span(0, size)]))[0]


async def agree(connection: AsyncConnection[Any], places: Sequence[Place]) -> None:
    """Returns once each place was asked and contradicts nothing; waits for one that is away. Raises EpochMismatch."""
    waits = ""
    for place in places:
        while True:
            try:
                seen = await place.seen(connection)
                reason = None if seen is None else await contradiction(connection, seen)
            except Away as away:
                if str(away) != waits:
                    waits = str(away)
                    log.warning("signer.waits", place=place.name, reason=waits)
                await connection.execute("select")  # the role is only ours while its connection answers
                await asyncio.sleep(ASK_AGAIN)
                continue
            if reason is not None:
                raise EpochMismatch(f"{reason}: look with `chancery epoch status`")
            break


class Stream:
    """The stream of NATS as a place: its last message is the event of its sequence."""

    name = "stream"

    def __init__(self, nats: Nats) -> None:
        self._nats = nats

    async def seen(self, connection: AsyncConnection[Any]) -> Seen | None:
        """A stream of an epoch that this store has ended says nothing any more."""
        if not self._nats.connected:
            raise Away("NATS does not answer")
        try:
            found = await stream_seen(self._nats)
        except nats.errors.Error as error:
            raise Away(f"NATS: {error!r}") from error
        return None if found is None or await ended(connection, found.epoch) else found


async def stream_seen(source: Nats) -> Seen | None:
    """None: there is no stream. Raises nats.errors.Error."""
    try:
        found = await source.stream.stream_info(STREAM)
    except NotFoundError:
        return None
    epoch = (found.config.metadata or {}).get(METADATA, "none")
    size = last_sequence(found.state)
    if not found.state.messages:
        return Seen(place="stream", size=size, epoch=epoch)
    last = stored_of((await source.stream.get_last_msg(STREAM, "events.>")).data or b"")
    return Seen(place="stream", size=size, at=last.position, event_id=last.event_id, epoch=epoch)


def last_sequence(state: StreamState) -> int:
    """Of an empty stream too: there the sequence before its first."""
    return state.last_seq if state.messages or state.last_seq else state.first_seq - 1
