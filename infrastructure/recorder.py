"""The face of the eventsourcing package over our log: its replay scripts and test-cases run on the same table.

Synchronous, for tools. Versions are taken as given and judged by the primary key alone; the product's own writes go
through `append`, whose rules (dense versions, guards, receipts) this face does not know.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from threading import Event
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

import psycopg
from eventsourcing import persistence
from eventsourcing.persistence import ApplicationRecorder, Notification, StoredEvent, Subscription
from psycopg import sql
from psycopg_pool import ConnectionPool

from domain.shared import SYSTEM, Actor, Metadata
from infrastructure.event_codec import EventCodec

P = ParamSpec("P")
T = TypeVar("T")

PAGE = 500
METADATA = Metadata(actor=Actor(kind="system", id=SYSTEM), request_id="recorder")
"""What stands beside an event that came through this face: nothing personal, so the same bytes for all."""

APPEND = "select append_as_given(%b, %b, %b, %b, %b)"


@contextmanager
def in_their_terms() -> Generator[None]:
    """Driver errors as the errors of the same name (PEP 249) in the package's contract."""
    try:
        yield
    except psycopg.Error as error:
        for kind in type(error).__mro__:
            named = getattr(persistence, kind.__name__, None)
            if isinstance(named, type) and issubclass(named, persistence.PersistenceError):
                raise named(str(error)) from error
        raise persistence.PersistenceError(str(error)) from error


def translated(call: Callable[P, T]) -> Callable[P, T]:
    """`call`, its driver errors in the package's terms."""

    @wraps(call)
    def inner(*args: P.args, **kwargs: P.kwargs) -> T:
        with in_their_terms():
            return call(*args, **kwargs)

    return inner


class Recorder(ApplicationRecorder):
    """Reads and writes `stored_events` as an application recorder of the eventsourcing package does."""

    def __init__(self, pool: ConnectionPool[psycopg.Connection]) -> None:
        """`pool` holds open autocommit connections; whoever made it closes it."""
        self._pool = pool
        self._metadata = EventCodec().encode_metadata(METADATA, SYSTEM, 1, {})

    @translated
    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        """All or nothing, of one stream or several; returns their positions.

        A retry after a lost connection may raise IntegrityError on one's own events: this face keeps no receipts.
        """
        if not stored_events:
            return []
        columns = (
            [as_uuid(event.originator_id) for event in stored_events],
            [event.originator_version for event in stored_events],
            [event.topic for event in stored_events],
            [event.state for event in stored_events],
        )
        with self._pool.connection() as connection:
            return [position for (position,) in connection.execute(APPEND, (*columns, self._metadata))]

    @translated
    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        query = sql.SQL(
            "select originator_id, originator_version, topic, state from stored_events "
            "where originator_id = %(stream)s and originator_version > %(gt)s and originator_version <= %(lte)s "
            "order by originator_version {direction} limit %(limit)s"
        ).format(direction=sql.SQL("desc" if desc else "asc"))
        lowest, highest = -(2**63), 2**63 - 1
        bounds = {"gt": lowest if gt is None else gt, "lte": highest if lte is None else lte}
        with self._pool.connection() as connection:
            rows = connection.execute(query, {"stream": as_uuid(originator_id), **bounds, "limit": limit})
            return [StoredEvent(*row) for row in rows]

    @translated
    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        query = (
            "select originator_id, originator_version, topic, state, notification_id from stored_events "
            "where notification_id >= %(first)s and (%(stop)s::bigint is null or notification_id <= %(stop)s) "
            "and (%(topics)s::text[] = '{}' or topic = any (%(topics)s)) order by notification_id limit %(limit)s"
        )
        first = 1 if start is None else start + (not inclusive_of_start)
        values = {"first": first, "stop": stop, "topics": list(topics), "limit": limit}
        with self._pool.connection() as connection:
            return [Notification(*row) for row in connection.execute(query, values)]

    @translated
    def max_notification_id(self) -> int | None:
        with self._pool.connection() as connection:
            row = connection.execute("select max(notification_id) from stored_events").fetchone()
        return None if row is None else row[0]

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        return Polling(self, gt=gt, topics=topics)


class Polling(Subscription[ApplicationRecorder]):
    """Notifications for ever, by asking again: positions are committed in order, so none is ever passed by."""

    EVERY = 0.05
    """Seconds between two questions when there was nothing new; the log rings no bell for this face."""

    def __init__(
        self, recorder: ApplicationRecorder, gt: int | None = None, topics: Sequence[str] = ()
    ) -> None:
        super().__init__(recorder, gt=gt, topics=topics)
        self._page: Iterator[Notification] = iter(())
        self._stopped = Event()

    def stop(self) -> None:
        super().stop()
        self._stopped.set()

    def __next__(self) -> Notification:
        while not self._stopped.is_set():
            if (found := next(self._page, None)) is not None:
                self._last_notification_id = found.id
                return found
            page = self._recorder.select_notifications(
                self._last_notification_id or 0, PAGE, topics=self._topics, inclusive_of_start=False
            )
            self._page = iter(page)
            if not page:
                self._stopped.wait(self.EVERY)
        raise StopIteration


def as_uuid(originator_id: UUID | str) -> UUID:
    """Streams are UUIDs here; the package also allows text."""
    return originator_id if isinstance(originator_id, UUID) else UUID(originator_id)
