"""Begins an epoch when the store was set back: says in the log what was lost, and lets everything go on from there."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from msgspec import Struct
from psycopg import AsyncConnection

from domain.epoch.events import EpochBegun, Lost
from infrastructure.backup.mark import awaited
from infrastructure.event_codec import EventCodec
from infrastructure.guards import Guards
from infrastructure.owner_append import append, by_system
from infrastructure.personal_data import Wrapping
from infrastructure.postgres import connect
from workers import reactor
from workers.epoch import Away, EpochMismatch, Place, Seen, contradiction, current
from workers.places import LIVE

BY_HAND = "chancery epoch begin"


class Found(Struct, frozen=True, kw_only=True):
    """What a place shows (None: nothing), how that contradicts the store, or why it cannot be told now."""

    place: str
    seen: Seen | None = None
    contradiction: str | None = None
    away: str | None = None


class Begun(Struct, frozen=True, kw_only=True):
    epoch: UUID
    position: int
    """Of the event that says so."""
    lost: tuple[Lost, ...]


class NothingLost(Exception):
    """No place contradicts the store, or one cannot be asked: who wants an epoch all the same must say so."""


class Backup:
    """The backup that the store came out of: what was written after it is not here, wherever else it may be seen."""

    name = "backup"

    async def seen(self, connection: AsyncConnection[Any]) -> Seen | None:
        """Raises EpochMismatch, until an epoch has begun."""
        found = await awaited(connection)
        if found is not None and found.to_begin:
            raise EpochMismatch(f"the store came out of a backup that ends at {found.position}")
        return None


class Checkpoints:
    """The store's own signed heads: they outlive events that somebody took away."""

    name = "checkpoint"

    async def seen(self, connection: AsyncConnection[Any]) -> Seen | None:
        row = await (
            await connection.execute(
                "select size, root from audit.checkpoints where epoch = current_epoch() order by size desc limit 1"
            )
        ).fetchone()
        return None if row is None else Seen(place=self.name, size=row[0], root=bytes(row[1]))


async def look(url: str, places: Sequence[Place]) -> list[Found]:
    """Every place once. `url`: as the application, whose the tree is."""
    async with await connect(url, name="chancery epoch status") as connection:
        return [await _found(connection, place) for place in places]


async def begin(
    owner_url: str, wrapping: Wrapping, found: Sequence[Found], reason: str, *, force: bool = False
) -> Begun:
    """The epoch and its event, in one transaction; the relay then makes a new stream, the signer a new key.

    Raises NothingLost, unless `force`.
    """
    away = [f"{each.place}: {each.away}" for each in found if each.away]
    lost = tuple(_lost(each) for each in found if each.contradiction)
    if not force and (away or not lost):
        raise NothingLost("; ".join(away) or "nothing contradicts the store")
    options = "-c lock_timeout=5s"
    async with (
        await connect(owner_url, name=BY_HAND, options=options) as connection,
        connection.transaction(),
    ):
        head = await _head(connection)
        event = EpochBegun(follows=await current(connection), position=head, reason=reason, lost=lost)
        epoch = uuid4()
        await connection.execute(
            "insert into epochs (epoch, since_position, timeline, reason)"
            " select %s, %s, timeline_id, %s from pg_control_checkpoint()",
            (epoch, head, reason),
        )
        item = by_system(EventCodec(), Guards(wrapping.blind), epoch, 0, event, BY_HAND)
        await append(connection, [item])
        await _set_back(connection, head)
        return Begun(epoch=epoch, position=await _head(connection), lost=lost)


async def _set_back(connection: AsyncConnection[Any], head: int) -> None:
    """Who stands beyond the last event that is left would take new events at those positions for read: such a model
    waits to be rebuilt, as of a version that no program has, and reactions go on from here.
    """
    await connection.execute(
        "update projections set version = -1 where place = %s and position > %s", (LIVE, head)
    )
    await connection.execute(
        "update projections set position = %s where name = %s and place = %s and position > %s",
        (head, reactor.NAME, reactor.PLACE, head),
    )


async def _found(connection: AsyncConnection[Any], place: Place) -> Found:
    try:
        seen = await place.seen(connection)
        reason = None if seen is None else await contradiction(connection, seen)
    except Away as away:
        return Found(place=place.name, away=str(away))
    except EpochMismatch as mismatch:
        return Found(place=place.name, contradiction=str(mismatch))
    return Found(place=place.name, seen=seen, contradiction=reason)


def _lost(found: Found) -> Lost:
    seen = found.seen or Seen(place=found.place, size=0)
    return Lost(
        place=found.place,
        size=seen.size,
        told=found.contradiction or "",
        at=seen.at,
        event_id=seen.event_id,
        root=seen.root,
    )


async def _head(connection: AsyncConnection[Any]) -> int:
    row = await (
        await connection.execute("select coalesce(max(notification_id), 0) from stored_events")
    ).fetchone()
    return row[0] if row else 0
