"""A fold is a read model; whatever the batches, the rows are those of one event after another."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from domain.organisation.events import OrganisationAdded, OrganisationArchived, OrganisationChanged
from domain.session.events import SessionProved
from domain.shared import Actor, Metadata, Recorded
from infrastructure.postgres import connect
from projections import packing
from projections.columns import Column, ColumnType
from projections.organisation import ORGANISATIONS
from projections.projection import Fold, Projection, discover

pytestmark = pytest.mark.anyio

START = datetime(2026, 1, 1, tzinfo=UTC)
STREAMS = [UUID(int=number) for number in range(1, 5)]
META = Metadata(actor=Actor(kind="user", id=UUID(int=7)), request_id="test")


class Note(Struct, frozen=True, kw_only=True):
    id: UUID
    version: int
    position: int
    created_at: datetime
    updated_at: datetime
    archived: bool = False
    texts: tuple[str, ...] = ()
    amount: Decimal | None = None


def fold(
    view: Note | None, recorded: Recorded[OrganisationAdded | OrganisationChanged | OrganisationArchived]
) -> Note | None:
    """Archived is gone, so that rows can vanish and come back."""
    event = recorded.event
    if isinstance(event, OrganisationArchived):
        return None
    before = view or Note(
        id=recorded.stream_id,
        version=0,
        position=0,
        created_at=recorded.recorded_at,
        updated_at=recorded.recorded_at,
    )
    return msgspec.structs.replace(
        before,
        version=recorded.version,
        position=recorded.position,
        updated_at=recorded.recorded_at,
        texts=(*before.texts[-3:], str(event.full_name)),
        amount=Decimal(recorded.position) / 7,
    )


NOTES = Fold(
    name="note",
    version=1,
    view=Note,
    columns={
        "texts": Column(type=ColumnType.TEXT_ARRAY, get=lambda view: view.texts),
        "first": Column(type=ColumnType.FOLDED, get=lambda view: next(iter(view.texts), None)),
        "amount": Column(type=ColumnType.AMOUNT, get=lambda view: view.amount),
    },
    fold=fold,
)

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
facts = st.one_of(
    st.builds(OrganisationAdded, full_name=text),
    st.builds(OrganisationChanged, full_name=text),
    st.just(OrganisationArchived()),
    st.just(SessionProved(proved_at=START)),
)
logs = st.lists(st.tuples(st.sampled_from(STREAMS), facts), min_size=1, max_size=30)


def recorded(log) -> list[Recorded]:
    return [
        Recorded(
            position=position,
            event_id=uuid4(),
            stream_id=stream,
            version=position,
            topic=event.TOPIC,
            recorded_at=START + timedelta(seconds=position),
            meta=b"",
            state=b"",
            event=event,
            metadata=META,
        )
        for position, (stream, event) in enumerate(log, 1)
    ]


@given(log=logs, size=st.integers(1, 30))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_batches_of_any_size_write_what_a_fold_of_each_stream_says(database, log, size):
    events = recorded(log)
    expected = {}
    for stream in STREAMS:
        view = NOTES.replay([each for each in events if each.stream_id == stream])
        if view is not None:
            expected[stream] = view
    async with await connect(database.app) as connection:
        await connection.execute(b"drop table if exists read.note;" + NOTES.ddl("read").encode())
        for start in range(0, len(events), size):
            async with connection.transaction():
                await NOTES.apply(connection.cursor(), "read", events[start : start + size])
        rows = await (
            await connection.execute(
                "select id, version, position, created_at, updated_at, archived, view, texts, first, amount"
                " from read.note"
            )
        ).fetchall()
    assert {row[0] for row in rows} == expected.keys()
    for row in rows:
        view = expected[row[0]]
        assert row[1:6] == (view.version, view.position, view.created_at, view.updated_at, False)
        assert msgspec.json.decode(row[6], type=Note) == view
        assert row[7] == list(view.texts)
        assert row[9] == view.amount


@given(value=st.lists(text, max_size=5))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_list_of_any_texts_comes_back_from_its_literal(database, value):
    async with await connect(database.app) as connection:
        row = await (await connection.execute("select %s::text[]", (packing.text_literal(value),))).fetchone()
    assert row == (value,)


PACKED = {
    "bigint": [0, -(2**63), 2**63 - 1, None],
    "boolean": [True, False, None],
    "bytea": [b"", b"\0\xff", None],
    "date": [date(1, 1, 1), date(2000, 1, 1), date(9999, 12, 31), None],
    "double precision": [0.5, -1e300, None],
    "integer": [0, -(2**31), 2**31 - 1, None],
    "text": ["", "Ёлка", "\U0001f600", None],
    "timestamptz": [
        datetime(1, 1, 2, tzinfo=UTC),
        START,
        datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        None,
    ],
    "uuid": [UUID(int=0), UUID(int=2**128 - 1), None],
    "numeric": [Decimal("0.10"), Decimal("-123456789012345.0001"), None],
    "text[]": [[], ["a"], ['"', "\\", "{,}", "NULL", ""], None],
}


@pytest.mark.parametrize("sql_type", PACKED)
async def test_packed_values_come_back_as_they_went(dsn, sql_type):
    assert {*packing.PACKED, "numeric", "text[]"} == PACKED.keys()
    values = PACKED[sql_type]
    array = packing.array_type(sql_type)
    query = f"select u::{sql_type} from unnest(%b::{array}) with ordinality as x(u, n) order by n"
    async with await connect(dsn) as connection:
        for given_values in (values, []):
            rows = await connection.execute(query, [packing.column(sql_type, given_values)])
            assert [value for (value,) in await rows.fetchall()] == given_values


def test_every_projection_is_found_and_no_hand_lists_them():
    found = discover()
    assert {"organisation", "user", "session", "audit_log"} <= found.keys()
    assert all(isinstance(projection, Projection) for projection in found.values())
    assert found["organisation"] is ORGANISATIONS


def test_a_fold_must_name_the_events_it_takes():
    def nameless(view, recorded):
        return view

    with pytest.raises(TypeError, match="nameless"):
        Fold(name="x", version=1, view=Note, columns={}, fold=nameless)
