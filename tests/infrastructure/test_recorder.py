"""The eventsourcing package's own published test-cases run on our log, and its own recorder reads what we wrote."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest
from eventsourcing.persistence import IntegrityError, StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from eventsourcing.tests import persistence as published
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import kwargs_row
from psycopg_pool import ConnectionPool

from domain.organisation.events import OrganisationArchived
from domain.shared import SYSTEM, Actor, Stored
from infrastructure.event_codec import EventCodec
from infrastructure.recorder import Recorder


@pytest.fixture
def recorder(dsn: str) -> Iterator[Recorder]:
    with ConnectionPool(dsn, kwargs={"autocommit": True}, min_size=1, max_size=12, open=True) as pool:
        yield Recorder(pool)


@pytest.fixture
def theirs(dsn: str) -> Iterator[PostgresApplicationRecorder]:
    parts = conninfo_to_dict(dsn)
    parts.setdefault("port", "5432")
    parts.setdefault("password", "")
    with PostgresDatastore(
        **{key: str(parts[key]) for key in ("dbname", "host", "port", "user", "password")}
    ) as store:
        yield PostgresApplicationRecorder(store)


def event(stream, version, topic="dog.named.v1", state=b"{}"):
    return StoredEvent(originator_id=stream, originator_version=version, topic=topic, state=state)


class OnOurLog:
    """Hands the published test-cases, which are unittest classes, a recorder on this test's own database."""

    @pytest.fixture(autouse=True)
    def _on_our_log(self, recorder):
        self.ours = recorder

    def create_recorder(self):
        return self.ours


class TestFromZero(OnOurLog, published.ApplicationRecorderTestCase):
    INITIAL_VERSION = 0

    def test_insert_subscribe(self):
        self.optional_test_insert_subscribe()


class TestFromOne(OnOurLog, published.ApplicationRecorderTestCase):
    INITIAL_VERSION = 1

    def test_insert_subscribe(self):
        self.optional_test_insert_subscribe()


class TestPositionsDoNotInterleave(OnOurLog, published.NonInterleavingNotificationIDsBaseCase):
    pass


def test_several_streams_are_written_whole_or_not_at_all(recorder):
    first, second = uuid4(), uuid4()
    recorder.insert_events([event(second, 1)])
    with pytest.raises(IntegrityError):
        recorder.insert_events([event(first, 1), event(first, 2), event(second, 1)])
    assert recorder.select_events(first) == []
    assert recorder.insert_events([event(first, 1), event(second, 2)]) == [2, 3], "a refusal leaves no hole"


def test_concurrent_writers_leave_dense_positions(recorder, dsn):
    with ThreadPoolExecutor(8) as threads:
        given = list(
            threads.map(lambda _: recorder.insert_events([event(uuid4(), v) for v in range(20)]), range(30))
        )
    assert sorted(position for positions in given for position in positions) == list(range(1, 601))
    assert all(positions == list(range(positions[0], positions[0] + 20)) for positions in given)


def test_what_it_writes_opens_in_our_codec(recorder, dsn):
    codec, stream, fact = EventCodec(), uuid4(), OrganisationArchived(reason="moved")
    recorder.insert_events([event(stream, 1, fact.TOPIC, codec.encode(fact, stream, 1, {}))])
    with psycopg.connect(dsn, row_factory=kwargs_row(Stored)) as connection:
        stored = connection.execute(
            "select notification_id as position, event_id, originator_id as stream_id, originator_version as version, "
            "topic, recorded_at, metadata as meta, state from stored_events"
        ).fetchone()
    read = codec.decode(stored, {})
    assert (read.position, read.stream_id, read.version, read.event) == (1, stream, 1, fact)
    assert (read.metadata.actor, read.metadata.request_id) == (Actor(kind="system", id=SYSTEM), "recorder")


def test_the_packages_own_recorder_reads_our_table(recorder, theirs):
    streams = [uuid4() for _ in range(3)]
    for version in (1, 2, 3):
        recorder.insert_events([event(stream, version, state=b"%d" % version) for stream in streams])
    assert theirs.select_notifications(None, 100) == recorder.select_notifications(None, 100)
    assert theirs.max_notification_id() == recorder.max_notification_id() == 9
    for stream in streams:
        assert theirs.select_events(stream) == recorder.select_events(stream)
    wanted = dict(start=2, limit=3, stop=8, topics=["dog.named.v1"], inclusive_of_start=False)
    assert theirs.select_notifications(**wanted) == recorder.select_notifications(**wanted)


def test_a_lost_database_is_told_in_the_packages_terms(recorder, owner_dsn):
    from eventsourcing.persistence import ProgrammingError

    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        owner.execute("revoke execute on function append_as_given from chancery_app")
    with pytest.raises(ProgrammingError, match="permission denied"):
        recorder.insert_events([event(uuid4(), 1)])
