"""Messages as the two of their dialog read them, and how many wait for whom."""

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any, assert_never
from uuid import UUID

import msgspec
from msgspec import Struct
from psycopg import AsyncConnection, AsyncCursor

from domain.dialog.events import DialogRead
from domain.message.events import MessageEvent, MessageRead, MessageSent
from domain.shared import Recorded
from projections.columns import Column, ColumnType
from projections.copies import Copies
from projections.lists import Listing
from projections.projection import AT_ONCE, Batch, Fold

Waiting = tuple[UUID, UUID]
"""A user, and a dialog of his in which something waits for him."""


class Message(Struct, frozen=True, kw_only=True):
    """One message; its text is null once its sender was erased."""

    id: UUID
    version: int
    position: int
    state: str
    created_at: datetime
    updated_at: datetime
    dialog_id: UUID
    sender_id: UUID
    recipient_id: UUID
    text: str | None
    attachments: tuple[UUID, ...]
    read_at: datetime | None = None

    @property
    def archived(self) -> bool:
        return False


COLUMNS = {
    "state": Column(
        type=ColumnType.TEXT,
        get=attrgetter("state"),
        choices=("unread", "read"),
        nullable=False,
        indexed=False,
    ),
    "dialog_id": Column(type=ColumnType.UUID, get=attrgetter("dialog_id"), nullable=False, indexed=False),
    "sender_id": Column(type=ColumnType.UUID, get=attrgetter("sender_id"), nullable=False),
    "recipient_id": Column(
        type=ColumnType.UUID, get=attrgetter("recipient_id"), nullable=False, indexed=False
    ),
}


def fold(view: Message | None, recorded: Recorded[MessageEvent | DialogRead]) -> Message:
    """A DialogRead counts for the messages that it covers; `covers` tells which those are."""
    event = recorded.event
    match event:
        case MessageSent():
            return Message(
                id=recorded.stream_id,
                version=recorded.version,
                position=recorded.position,
                state="unread",
                created_at=recorded.recorded_at,
                updated_at=recorded.recorded_at,
                **msgspec.structs.asdict(event),
            )
        case MessageRead():
            assert view is not None
            return _read(msgspec.structs.replace(view, version=recorded.version), recorded, event.read_at)
        case DialogRead():
            assert view is not None
            return _read(view, recorded, event.read_at)
        case _:
            assert_never(event)


def _read(view: Message, recorded: Recorded[Any], at: datetime) -> Message:
    """What is read stays read since the first time."""
    return msgspec.structs.replace(
        view,
        position=recorded.position,
        updated_at=recorded.recorded_at,
        state="read",
        read_at=view.read_at or at,
    )


def covers(event: DialogRead, sent: MessageSent, position: int) -> bool:
    """Whether a message that was sent at this position is among those that were read."""
    return sent.recipient_id == event.reader_id and position <= event.up_to


def without(view: Message, _sender_id: UUID) -> Message:
    return msgspec.structs.replace(view, text=None)


class Messages(Fold[Message]):
    """Beside the messages, the number of those that wait for somebody in a dialog: nobody counts them again.

    What is unread has moved on by nothing, so its `position` is where it was sent.
    """

    def __init__(self) -> None:
        super().__init__(
            name="message",
            version=3,
            view=Message,
            columns=COLUMNS,
            fold=fold,
            copies=Copies(column="sender_id", without=without),
        )
        self.tables = ("message", "unread")

    def ddl(self, schema: str) -> str:
        table = f'"{schema}"."{self.name}"'
        return "\n".join(
            (
                super().ddl(schema),
                f"create index on {table} (dialog_id, created_at nulls first, id);",
                f"create index on {table} (dialog_id, recipient_id, position) where state = 'unread';",
                f'create table "{schema}"."unread" (',
                "  user_id uuid not null, dialog_id uuid not null, count bigint not null,",
                "  primary key (user_id, dialog_id)",
                ");",
            )
        )

    async def apply(self, cursor: AsyncCursor[Any], schema: str, batch: Batch) -> None:
        """In the order of the log: a DialogRead is about all that was sent before it, and nothing after."""
        begin = 0
        for at, each in enumerate(batch):
            if isinstance(each, Recorded) and isinstance(each.event, DialogRead):
                await self._pass(cursor, schema, batch[begin:at])
                await self._read_up_to(cursor, schema, each)
                begin = at + 1
        await self._pass(cursor, schema, batch[begin:])

    def alone(self, stream: Batch) -> bool:  # noqa: ARG002 - whatever it is
        """Implements Refolding. What waits is counted over a dialog, whose own stream says what was read."""
        return False

    async def _pass(self, cursor: AsyncCursor[Any], schema: str, batch: Batch) -> None:
        """Events of single messages."""
        if batch:
            await self._count(cursor, schema, await self._changed(cursor, schema, batch))
            await super().apply(cursor, schema, batch)

    async def _changed(self, cursor: AsyncCursor[Any], schema: str, batch: Batch) -> Counter[Waiting]:
        """By how many more or fewer messages wait after these events, asked before they are applied."""
        events = {each.stream_id: each.event for each in batch if isinstance(each, Recorded)}
        read = {key for key, event in events.items() if isinstance(event, MessageRead)}
        changed: Counter[Waiting] = Counter()
        for each in batch:
            if not isinstance(each, Recorded) or not isinstance(each.event, MessageSent):
                continue
            if each.stream_id in read:
                read.remove(each.stream_id)
            else:
                changed[each.event.recipient_id, each.event.dialog_id] += 1
        if read:
            unread = (
                f'select recipient_id, dialog_id from "{schema}"."{self.name}"'
                " where id = any(%s) and state = 'unread'"
            )
            await cursor.execute(unread.encode(), (list(read),), prepare=True)
            changed.subtract(await cursor.fetchall())
        return changed

    async def _read_up_to(self, cursor: AsyncCursor[Any], schema: str, recorded: Recorded[Any]) -> None:
        dialog_id, event = recorded.stream_id, recorded.event
        waiting = (
            f'select view from "{schema}"."{self.name}" where dialog_id = %s and recipient_id = %s'
            f" and state = 'unread' and position <= %s order by position limit {AT_ONCE}"
        )
        while True:
            await cursor.execute(waiting.encode(), (dialog_id, event.reader_id, event.up_to), prepare=True)
            found = [fold(self.decode(view), recorded) for (view,) in await cursor.fetchall()]
            if not found:
                return
            await self.keep(cursor, schema, found)
            await self._count(cursor, schema, Counter({(event.reader_id, dialog_id): -len(found)}))

    async def _count(self, cursor: AsyncCursor[Any], schema: str, changed: Mapping[Waiting, int]) -> None:
        """A row where nothing waits is none."""
        rows = [(user, dialog, by) for (user, dialog), by in changed.items() if by]
        if not rows:
            return
        users, dialogs, by = (list(column) for column in zip(*rows, strict=True))
        table = f'"{schema}"."unread"'
        added = (
            f"insert into {table} as u select * from unnest(%s::uuid[], %s::uuid[], %s::bigint[])"
            " on conflict (user_id, dialog_id) do update set count = u.count + excluded.count"
        )
        await cursor.execute(added.encode(), (users, dialogs, by), prepare=True)
        none = (
            f"delete from {table} u using unnest(%s::uuid[], %s::uuid[]) as c(user_id, dialog_id)"
            " where u.user_id = c.user_id and u.dialog_id = c.dialog_id and u.count = 0"
        )
        await cursor.execute(none.encode(), (users, dialogs), prepare=True)


MESSAGES = Messages()
LISTING = Listing(name="message", view=Message, columns=COLUMNS)


async def unread(connection: AsyncConnection[Any], user_ids: Collection[UUID]) -> dict[UUID, dict[UUID, int]]:
    """For each of them, dialog to the number of messages that wait for him there."""
    rows = await connection.execute(
        "select user_id, dialog_id, count from read.unread where user_id = any(%s)", (list(user_ids),)
    )
    found: dict[UUID, dict[UUID, int]] = {user_id: {} for user_id in user_ids}
    for user_id, dialog_id, count in await rows.fetchall():
        found[user_id][dialog_id] = count
    return found


class Unread(Struct, frozen=True, kw_only=True):
    """A message that its recipient has not read."""

    id: UUID
    sender_id: UUID
    sent_at: datetime


async def oldest_unread(connection: AsyncConnection[Any], dialog_id: UUID, user_id: UUID) -> Unread | None:
    """The first that he has not read there."""
    cursor = await connection.execute(
        "select id, sender_id, created_at from read.message where dialog_id = %s and recipient_id = %s"
        " and state = 'unread' order by position limit 1",
        (dialog_id, user_id),
    )
    row = await cursor.fetchone()
    return None if row is None else Unread(id=row[0], sender_id=row[1], sent_at=row[2])
