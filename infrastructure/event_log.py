"""Reading the log: in position order for whoever follows it, by stream for whoever decides."""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any
from uuid import UUID

from psycopg_pool import AsyncConnectionPool

from domain.shared import Event, Metadata, Recorded, Stored
from infrastructure.event_codec import EventCodec
from infrastructure.personal_data import SubjectKey, Vault
from projections.leaf import STORED_COLUMNS, stored_of_row


class EventLog:
    def __init__(self, pool: AsyncConnectionPool[Any], codec: EventCodec, vault: Vault) -> None:
        self._pool, self._codec, self._vault = pool, codec, vault

    async def head(self) -> int:
        """The last position; 0 for an empty log."""
        (row,) = await self._rows("select coalesce(max(notification_id), 0) from stored_events", ())
        return int(row[0])

    async def read(self, after: int, limit: int) -> list[Stored]:
        """The events that follow position `after`, in order, at most `limit`."""
        query = f"select {STORED_COLUMNS} from stored_events where notification_id > %s order by 1 limit %s"
        return [stored_of_row(row) for row in await self._rows(query, (after, limit))]

    async def stream(self, stream_id: UUID, after: int = 0, up_to: int | None = None) -> list[Stored]:
        """One stream's events after version `after`, as far as position `up_to`."""
        query = (
            f"select {STORED_COLUMNS} from stored_events where originator_id = %s and originator_version > %s"
        )
        if up_to is None:
            rows = await self._rows(f"{query} order by originator_version", (stream_id, after))
        else:
            rows = await self._rows(
                f"{query} and notification_id <= %s order by originator_version", (stream_id, after, up_to)
            )
        return [stored_of_row(row) for row in rows]

    async def begun(self, stream_id: UUID) -> int:
        """The position of a stream's first event; 0: there is none."""
        query = (
            "select notification_id from stored_events where originator_id = %s and originator_version = 1"
        )
        rows = await self._rows(query, (stream_id,))
        return int(rows[0][0]) if rows else 0

    async def about(self, nouns: Sequence[str], after: int, up_to: int, limit: int) -> list[Stored]:
        """The events of these nouns that follow position `after`, as far as `up_to`, in order, at most `limit`."""
        query = (
            f"select {STORED_COLUMNS} from stored_events where notification_id > %s and notification_id <= %s"
            " and split_part(topic, '.', 1) = any(%s) order by 1 limit %s"
        )
        return [stored_of_row(row) for row in await self._rows(query, (after, up_to, list(nouns), limit))]

    async def open(self, stored: Sequence[Stored]) -> list[Recorded[Event]]:
        """Decoded, personal fields opened; the keys of all of them come in one query. Raises UnknownTopic."""
        keys = await self._keys(stored)
        return [self._codec.decode(s, keys) for s in stored]

    async def told(self, stored: Sequence[Stored]) -> list[tuple[Metadata, dict[str, Any]]]:
        """What stood beside each and what it states, as JSON says it: what was erased is there, and None.

        Raises UnknownTopic.
        """
        keys = await self._keys(stored)
        return [(self._codec.metadata(s, keys), self._codec.data(s, keys)) for s in stored]

    async def _keys(self, stored: Sequence[Stored]) -> Mapping[UUID, SubjectKey | None]:
        subjects = set(chain.from_iterable(self._codec.subjects(s) for s in stored))
        return await self._vault.to_open(subjects) if subjects else {}

    async def opened(self, stored: Sequence[Stored], takes: Callable[[Stored], bool]) -> list[Stored]:
        """The same events, those that are taken opened. Raises UnknownTopic."""
        wanted = iter(await self.open([each for each in stored if takes(each)]))
        return [next(wanted) if takes(each) else each for each in stored]

    async def _rows(self, query: str, parameters: tuple[Any, ...]) -> list[Any]:
        async with self._pool.connection() as connection:
            cursor = connection.cursor(binary=True)
            await cursor.execute(query.encode(), parameters, prepare=True)
            rows: list[Any] = await cursor.fetchall()
            return rows
