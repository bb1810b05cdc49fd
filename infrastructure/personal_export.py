"""Everything that is held about one person, page by page, as JSON that he and his next service can read."""

from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct
from psycopg_pool import AsyncConnectionPool

from domain.shared import Origin, Stored
from infrastructure.event_log import EventLog
from projections.leaf import STORED_COLUMNS, stored_of_row
from projections.user import USERS

PAGE = 500
FIRST = UUID(int=0)


class Held(Struct, frozen=True, kw_only=True):
    """Records of a read model that hold something of him: `column` is his id. `apart`: what means nothing outside."""

    model: str
    column: str
    apart: frozenset[str] = frozenset()


HELD: Mapping[str, Held] = {
    "sessions": Held(model="session", column="user_id"),
    "messages": Held(model="message", column="sender_id"),
    "files": Held(model="file", column="owner_id", apart=frozenset({"object_id"})),
    "grants": Held(model="grant", column="subject_id"),
    "exports": Held(model="export", column="requested_by", apart=frozenset({"object_id", "sight"})),
}
AUDIT = "audit_log"
MODELS = (*(held.model for held in HELD.values()), AUDIT)
"""Read models that must have come as far as the log before he is told what is held about him."""


class PersonalExport:
    def __init__(self, pool: AsyncConnectionPool[Any], log: EventLog) -> None:
        self._pool, self._log = pool, log

    async def pieces(self, user_id: UUID, position: int) -> AsyncIterator[bytes]:
        """One JSON object. `activity` is what he did, from where; what it was about is not always his to be told."""
        stream = await self._log.stream(user_id, up_to=position)
        recorded = await self._log.open(stream)
        yield b'{"id":"%s","position":%d,"profile":' % (str(user_id).encode(), position)
        yield msgspec.json.encode(USERS.replay(recorded))
        yield b',"events":'
        yield msgspec.json.encode(
            [
                {
                    "position": each.position,
                    "topic": each.topic,
                    "recorded_at": each.recorded_at,
                    "data": data,
                }
                for each, (_, data) in zip(stream, await self._log.told(stream), strict=True)
            ]
        )
        for name, held in HELD.items():
            async for piece in _listed(name, self._records(held, user_id)):
                yield piece
        async for piece in _listed("activity", self._activity(user_id, position)):
            yield piece
        yield b"}"

    async def _records(self, held: Held, user_id: UUID) -> AsyncIterator[list[Any]]:
        query = (
            f'select id, view from read."{held.model}" where "{held.column}" = %s and id > %s'
            f" order by id limit {PAGE}"
        ).encode()
        last = FIRST
        while rows := await self._rows(query, (user_id, last)):
            last = rows[-1][0]
            views = [msgspec.json.decode(view) for _, view in rows]
            yield [{k: value for k, value in view.items() if k not in held.apart} for view in views]

    async def _activity(self, user_id: UUID, position: int) -> AsyncIterator[list[Any]]:
        query = (
            f"select {STORED_COLUMNS} from stored_events where notification_id = any(array("
            "select position from read.audit_entry where actor_id = %s and position > %s and position <= %s"
            f" order by position limit {PAGE})) order by 1"
        ).encode()
        last = 0
        while rows := await self._rows(query, (user_id, last, position)):
            stored = [stored_of_row(row) for row in rows]
            last = stored[-1].position
            yield [
                _done(each, metadata.origin or Origin())
                for each, (metadata, _) in zip(stored, await self._log.told(stored), strict=True)
            ]

    async def _rows(self, query: bytes, values: tuple[Any, ...]) -> list[Any]:
        async with self._pool.connection() as connection:
            cursor = connection.cursor(binary=True)
            await cursor.execute(query, values)
            rows: list[Any] = await cursor.fetchall()
            return rows


def _done(stored: Stored, origin: Origin) -> dict[str, Any]:
    return {
        "position": stored.position,
        "topic": stored.topic,
        "record_id": stored.stream_id,
        "recorded_at": stored.recorded_at,
        "address": origin.address,
        "agent": origin.agent,
    }


async def _listed(name: str, pages: AsyncIterator[list[Any]]) -> AsyncIterator[bytes]:
    yield b',"%s":[' % name.encode()
    first = True
    async for page in pages:
        yield (b"" if first else b",") + msgspec.json.encode(page)[1:-1]
        first = False
    yield b"]"
