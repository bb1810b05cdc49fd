"""Events put straight into the log, many at once, with the guards that `append` would have written for them.

Each is an organisation that was added, of the register that `bench/seed.py` draws: what follows the log cannot tell.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec
import psycopg

from bench import seed
from bench.machine import Machine
from domain.organisation.events import OrganisationAdded
from domain.shared import Actor, Metadata
from infrastructure.event_codec import EventCodec
from infrastructure.event_store import new_id
from infrastructure.guards import Guards
from infrastructure.personal_data import wrapping_of
from projections.organisation import Organisation

EVENTS = """copy stored_events (originator_id, originator_version, topic, state, notification_id, event_id,
  recorded_at, metadata) from stdin"""
CLAIMS = "copy claims (kind, value, owner) from stdin"
AT_ONCE = 50_000
FIELDS = tuple(set(OrganisationAdded.__struct_fields__) & set(Organisation.__struct_fields__))


class Register:
    """Goes on with the log where it stands. A client must be let in by then: see `bench.http.served`."""

    def __init__(self, machine: Machine, largest: int) -> None:
        self._url = machine.main.admin
        self._codec, self._guards = EventCodec(), Guards(wrapping_of(machine.settings).blind)
        self._meta = Metadata(
            actor=Actor(kind="user", id=uuid4()), request_id=uuid4().hex, allowed_by="role:admin"
        )
        self._companies = seed.organisations(largest)

    def grow(self, size: int) -> float:
        """Seconds it took to come up to that many events."""
        began = time.perf_counter()
        with psycopg.connect(self._url) as connection:
            head = _head(connection)
            while head < size:
                many = min(AT_ONCE, size - head)
                self._add(connection, head, many)
                connection.commit()
                head += many
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute("vacuum analyze stored_events, claims")
        return time.perf_counter() - began

    def _add(self, connection: psycopg.Connection, head: int, many: int) -> None:
        claims: list[tuple[str, str, UUID]] = []
        with connection.cursor() as cursor:
            with cursor.copy(EVENTS) as copy:
                for row in self._rows(head, many, claims):
                    copy.write_row(row)
            with cursor.copy(CLAIMS) as copy:
                for claim in claims:
                    copy.write_row(claim)

    def _rows(
        self, head: int, many: int, claims: list[tuple[str, str, UUID]]
    ) -> Iterator[tuple[object, ...]]:
        at = datetime.now(UTC)
        for position in range(head + 1, head + many + 1):
            view, stream = next(self._companies), new_id()
            event = OrganisationAdded(**{name: getattr(view, name) for name in FIELDS})
            event = msgspec.structs.replace(
                event, account_manager_id=None
            )  # nobody is responsible: no guard of it
            claims += [
                (*claim, stream) for claim in self._guards.changes(stream, (event,), first=True).claims
            ]
            state = self._codec.encode(event, stream, 1, {})
            meta = self._codec.encode_metadata(self._meta, stream, 1, {})
            yield stream, 1, event.TOPIC, state, position, new_id(), at, meta


def _head(connection: psycopg.Connection) -> int:
    row = connection.execute("select coalesce(max(notification_id), 0) from stored_events").fetchone()
    assert row is not None
    return int(row[0])
