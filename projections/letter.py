"""Letters as people look them up: both registers, what is awaited, what has no number yet."""

from collections.abc import Collection
from datetime import date, datetime
from operator import attrgetter
from typing import Any, assert_never
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace
from psycopg import AsyncConnection, AsyncCursor, sql

from domain.letter.events import (
    LetterChanged,
    LetterDrafted,
    LetterEvent,
    LetterFellDue,
    LetterRegistered,
    LetterSigned,
    LetterWithdrawn,
)
from domain.shared import Recorded
from projections.audience import Audience
from projections.columns import Column, ColumnType
from projections.conditions import Condition, every, where
from projections.lists import Listing
from projections.packing import a_uuid
from projections.projection import Batch, Fold, begun, moved


class Letter(Struct, frozen=True, kw_only=True):
    """One letter. `answered`: another one with a number answers it; a draft does not yet. `told_due`: the days by which
    an answer was due and was not there, as they came.
    """

    id: UUID
    version: int
    position: int
    state: str
    created_at: datetime
    updated_at: datetime
    direction: str
    number: str | None
    organisation_ids: tuple[UUID, ...]
    subject: str | None
    sender_number: str | None = None
    sender_date: date | None = None
    received_on: date | None = None
    signed_on: date | None = None
    signed_by: UUID | None = None
    parent_id: UUID | None = None
    due_on: date | None = None
    attachments: tuple[UUID, ...] = ()
    document_id: UUID | None = None
    withdrawn_at: datetime | None = None
    withdraw_reason: str | None = None
    answered: bool = False
    told_due: tuple[date, ...] = ()

    @property
    def archived(self) -> bool:
        """Never: a register without its withdrawn letters would have gaps."""
        return False

    @property
    def awaited_on(self) -> date | None:
        """When an answer is due that is not there."""
        return None if self.answered or self.state == "withdrawn" else self.due_on

    @property
    def falls_due_on(self) -> date | None:
        """When that is to be told, unless it was."""
        return None if self.awaited_on in self.told_due else self.awaited_on


def _day(name: str) -> Column:
    return Column(type=ColumnType.DATE, get=attrgetter(name))


COLUMNS = {
    "state": Column(
        type=ColumnType.TEXT,
        get=attrgetter("state"),
        choices=("draft", "registered", "signed", "withdrawn"),
        nullable=False,
    ),
    "direction": Column(
        type=ColumnType.TEXT,
        get=attrgetter("direction"),
        choices=("incoming", "outgoing"),
        nullable=False,
        indexed=False,
    ),
    "number": Column(type=ColumnType.TEXT, get=attrgetter("number")),
    "subject": Column(type=ColumnType.FOLDED, get=attrgetter("subject"), aliases=("information",)),
    "organisation_ids": Column(
        type=ColumnType.TEXT_ARRAY,
        get=lambda view: list(map(str, view.organisation_ids)),
        aliases=("organisation", "organisation_id", "organisations"),
        nullable=False,
    ),
    "sender_number": Column(type=ColumnType.TEXT, get=attrgetter("sender_number")),
    "sender_date": _day("sender_date"),
    "received_on": _day("received_on"),
    "signed_on": _day("signed_on"),
    "due_on": _day("due_on"),
    "awaited_on": _day("awaited_on"),
    "falls_due_on": _day("falls_due_on"),
    "parent_id": Column(type=ColumnType.UUID, get=attrgetter("parent_id"), aliases=("parent",)),
    "answered": Column(type=ColumnType.BOOLEAN, get=attrgetter("answered"), nullable=False, indexed=False),
    "unnumbered": Column(type=ColumnType.BOOLEAN, get=lambda view: view.state == "draft", nullable=False),
}


def fold(view: Letter | None, recorded: Recorded[LetterEvent]) -> Letter:
    event = recorded.event
    match event:
        case LetterRegistered():
            told = msgspec.structs.asdict(event)
            return Letter(**begun(recorded), state="registered", direction="incoming", **told)
        case LetterDrafted():
            told = msgspec.structs.asdict(event)
            return Letter(**begun(recorded), state="draft", direction="outgoing", number=None, **told)
        case LetterChanged():
            new = {name: value for name, value in msgspec.structs.asdict(event).items() if value is not UNSET}
            new.pop("bound", None)
        case LetterSigned():
            new = {"state": "signed", **msgspec.structs.asdict(event)}
        case LetterWithdrawn():
            new = {
                "state": "withdrawn",
                "withdrawn_at": recorded.recorded_at,
                "withdraw_reason": event.reason,
            }
        case LetterFellDue():
            assert view is not None
            new = {"told_due": (*view.told_due, event.due_on)}
        case _:
            assert_never(event)
    assert view is not None
    return replace(view, **moved(recorded), **new)


class Register(Fold[Letter]):
    """A fold whose records know whether another one answers them."""

    async def apply(self, cursor: AsyncCursor[Any], schema: str, batch: Batch) -> None:
        after = [view for view in (await self.folded(cursor, schema, batch)).values() if view is not None]
        if not after:
            return
        parents = {view.parent_id for view in after if view.parent_id is not None}
        parents |= await self._parents(cursor, schema, [view.id for view in after])
        await self.keep(cursor, schema, after)
        if parents:
            await self._judge_answered(cursor, schema, parents)

    async def refold(self, cursor: AsyncCursor[Any], schema: str, stream: Batch) -> None:
        """Implements Refolding: what it answered, answers now, and what answers it."""
        ids = {each.stream_id for each in stream}
        concerned = ids | await self._parents(cursor, schema, ids)
        await super().refold(cursor, schema, stream)
        await self._judge_answered(cursor, schema, concerned)

    async def _parents(self, cursor: AsyncCursor[Any], schema: str, ids: Collection[UUID]) -> set[UUID]:
        """What these letters answered before the batch."""
        found = (
            f'select parent_id from "{schema}"."{self.name}"'
            " where id = any(%b::uuid[]) and parent_id is not null"
        )
        await cursor.execute(found.encode(), [a_uuid(ids)], prepare=True, binary=True)
        return {parent_id for (parent_id,) in await cursor.fetchall()}

    async def _judge_answered(self, cursor: AsyncCursor[Any], schema: str, parents: Collection[UUID]) -> None:
        table = f'"{schema}"."{self.name}"'
        judged = (
            f"select p.view, exists (select from {table} a where a.parent_id = p.id"
            f" and a.state in ('registered', 'signed')) from {table} p where p.id = any(%b::uuid[])"
        )
        await cursor.execute(judged.encode(), [a_uuid(parents)], prepare=True, binary=True)
        rows = [(self.decode(view), answered) for view, answered in await cursor.fetchall()]
        if other := [replace(one, answered=answered) for one, answered in rows if one.answered != answered]:
            await self.keep(cursor, schema, other)


LETTERS = Register(
    name="letter",
    version=2,
    view=Letter,
    columns=COLUMNS,
    fold=fold,
    derived=frozenset({"answered"}),
)


def listing(time_zone: str) -> Listing:
    """The list, with `overdue` as the calendar of that zone has it: what is derived from today stands in no row."""
    # Spelled so that the index on awaited_on serves `overdue=true`: what is not awaited is never overdue.
    overdue = sql.SQL(
        "(select l.*, l.awaited_on is not null and l.awaited_on < (now() at time zone {})::date as overdue"
        ' from "read"."letter" l) as letters'
    ).format(sql.Literal(time_zone))
    column = Column(
        type=ColumnType.BOOLEAN,
        get=lambda _: None,
        sortable=False,
        nullable=False,
        indexed=False,
    )
    return Listing(
        name="letter",
        view=Letter,
        columns={**COLUMNS, "overdue": column},
        relation=overdue,
        audience=Audience(path="letters", right="letter:view", by={"organisation": "organisation_ids"}),
    )


LISTING = listing("UTC")
"""For whoever has no calendar of his own."""


Falling = tuple[date, UUID]
"""A letter, and by when it should have been answered."""


async def falling_due(
    connection: AsyncConnection[Any], today: date, after: Falling | None, limit: int
) -> list[Falling]:
    """Letters that should have been answered by `today`, that day included, and were not told of; longest due first."""
    cursor = await connection.execute(
        "select falls_due_on, id from read.letter where falls_due_on <= %s and (falls_due_on, id) > (%s, %s)"
        " order by falls_due_on nulls first, id limit %s",
        (today, *(after or (date.min, UUID(int=0))), limit),
    )
    return await cursor.fetchall()


class Reply(Struct, frozen=True, kw_only=True):
    """A letter as the one that it answers shows it."""

    id: UUID
    direction: str
    state: str
    number: str | None
    subject: str | None


MOST_REPLIES = 100
_reply = msgspec.json.Decoder(Reply)


async def replies(
    connection: AsyncConnection[Any], letter_id: UUID, scope: Condition | None
) -> tuple[Reply, ...]:
    """The letters within `scope` that answer this one, oldest first."""
    among = every(filter(None, (where("{column} = %s", "parent_id", letter_id), scope)))
    found = sql.SQL('select view from "read"."letter" where {} order by id limit %s').format(among.sql)
    cursor = await connection.execute(found, (*among.parameters, MOST_REPLIES))
    return tuple(_reply.decode(view) for (view,) in await cursor.fetchall())
