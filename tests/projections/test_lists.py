"""Pages: every record once in any order, tokens that fit nothing else, and statements that use the indexes."""

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cmp_to_key
from random import Random
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import AsyncConnection, sql

from projections import lists
from projections.columns import Column, ColumnType, ddl, fold_text
from projections.conditions import Condition, ListRefused, where
from projections.keyset import PageTokenMalformed, binding_of, keys_of, read_token, token_of
from projections.lists import Listing, ListQuery, Page
from tests.projections.things import COLUMNS, LISTING, Thing, make_table, put, rows_of

pytestmark = pytest.mark.anyio

ON_DATABASE = settings(
    deadline=None,
    max_examples=80,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
FIELDS = [
    "state",
    "name",
    "code",
    "count",
    "amount",
    "flag",
    "at",
    "day",
    "owner",
    "id",
    "created_at",
    "version",
]


@pytest.fixture
def table(owner_dsn: str):
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        make_table(connection)
        yield connection


@pytest.fixture
async def reader(owner_dsn: str, table):
    async with await AsyncConnection.connect(owner_dsn, autocommit=True) as connection:
        yield connection


def ids(page: Page) -> list[UUID]:
    return [msgspec.json.decode(row, type=Thing).id for row in page.rows]


async def walk(reader: AsyncConnection[Any], query: ListQuery, **more: Any) -> list[list[UUID]]:
    """The ids of all pages, page by page."""
    pages, token = [], None
    while True:
        page = await lists.page(reader, LISTING, msgspec.structs.replace(query, page_token=token), **more)
        pages.append(ids(page))
        assert page.has_more == (page.next_page_token is not None)
        if (token := page.next_page_token) is None:
            return pages


def sorted_as_documented(rows: Sequence[Thing], order: Sequence[tuple[str, str]]) -> list[UUID]:
    """Without a value comes before any value; the id decides last, in the direction of the last field."""

    def value(row: Thing, name: str) -> Any:
        stored = getattr(row, name)
        return fold_text(stored) if name == "name" and stored is not None else stored

    def compare(a: Thing, b: Thing) -> int:
        for name, way in [*order, ("id", order[-1][1])]:
            x, y = value(a, name), value(b, name)
            if x != y:
                less = y is not None and (x is None or x < y)
                return (-1 if less else 1) * (-1 if way == "desc" else 1)
        return 0

    return [row.id for row in sorted(rows, key=cmp_to_key(compare))]


orders = st.lists(
    st.tuples(st.sampled_from(FIELDS), st.sampled_from(["asc", "desc"])),
    min_size=1,
    max_size=3,
    unique_by=lambda o: o[0],
)


@ON_DATABASE
@given(rows=rows_of(25), order=orders, size=st.integers(1, 6))
async def test_walking_the_pages_gives_every_record_once_in_order(table, reader, rows, order, size):
    table.execute("delete from things")
    put(table, rows)
    text = ", ".join(f"{name} {way}" for name, way in order)
    pages = await walk(reader, ListQuery(order_by=text, page_size=size, include_total=True))
    assert [each for page in pages for each in page] == sorted_as_documented(rows, order)
    assert all(len(page) == size for page in pages[:-1])


@ON_DATABASE
@given(rows=rows_of(12), late=st.lists(rows_of(3), max_size=4), order=orders, size=st.integers(1, 4))
async def test_records_that_come_meanwhile_make_no_other_appear_twice_or_not_at_all(
    table, reader, rows, late, order, size
):
    table.execute("delete from things")
    put(table, rows)
    known = {row.id for row in rows}
    text = ", ".join(f"{name} {way}" for name, way in order)
    seen: list[UUID] = []
    token, batches = None, iter(late)
    while True:
        query = ListQuery(order_by=text, page_size=size, page_token=token)
        page = await lists.page(reader, LISTING, query)
        seen += ids(page)
        if (token := page.next_page_token) is None:
            break
        put(table, [row for row in next(batches, []) if row.id not in known and not known.add(row.id)])
    assert len(seen) == len(set(seen))
    early = {row.id for row in rows}
    assert [each for each in seen if each in early] == sorted_as_documented(rows, order)


def some_things(count: int, **fixed: Any) -> list[Thing]:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return [Thing(id=uuid4(), created_at=start + timedelta(hours=n), count=n, **fixed) for n in range(count)]


async def test_the_newest_come_first_twenty_five_at_a_time(table, reader):
    rows = some_things(30)
    put(table, rows)
    page = await lists.page(reader, LISTING, ListQuery())
    assert ids(page) == [row.id for row in reversed(rows)][:25]
    assert page.has_more
    assert page.total is None


async def test_more_than_a_hundred_counts_as_a_hundred_and_less_than_one_is_refused(table, reader):
    put(table, some_things(120))
    assert len((await lists.page(reader, LISTING, ListQuery(page_size=10**30))).rows) == 100
    assert await refusal(reader, ListQuery(page_size=0)) == "page_size_invalid"


async def refusal(reader: AsyncConnection[Any], query: ListQuery, **more: Any) -> str:
    with pytest.raises(ListRefused) as caught:
        await lists.page(reader, LISTING, query, **more)
    return caught.value.code


async def test_the_last_full_page_says_that_there_is_no_more(table, reader):
    put(table, some_things(10))
    first = await lists.page(reader, LISTING, ListQuery(page_size=5))
    last = await lists.page(reader, LISTING, ListQuery(page_size=5, page_token=first.next_page_token))
    assert first.has_more
    assert not last.has_more
    assert len(last.rows) == 5


async def test_the_total_counts_what_the_filter_and_the_scope_leave(table, reader):
    put(table, some_things(10))
    query = ListQuery(filter="count>=4", page_size=2, include_total=True)
    page = await lists.page(reader, LISTING, query, scope=where("{column} < %s", "count", 9))
    assert page.total == 5


async def test_archived_records_show_only_when_asked_for(table, reader):
    put(table, [*some_things(2), *some_things(1, archived=True)])
    assert len((await lists.page(reader, LISTING, ListQuery())).rows) == 2
    assert len((await lists.page(reader, LISTING, ListQuery(show_archived=True))).rows) == 3


async def test_a_scope_keeps_a_stranger_out_whatever_he_filters(table, reader):
    put(table, some_things(5))
    nothing = Condition(sql=sql.SQL("false"))
    page = await lists.page(
        reader, LISTING, ListQuery(filter="count=1 or count!=1", include_total=True), scope=nothing
    )
    assert page == Page(rows=(), total=0)


async def test_rows_are_the_stored_bytes_and_fields_cut_them(table, reader):
    row = Thing(id=uuid4(), name="Ромашка", amount=Decimal("12500.00"))
    put(table, [row])
    assert (await lists.page(reader, LISTING, ListQuery())).rows == (msgspec.json.encode(row),)
    cut = await lists.page(reader, LISTING, ListQuery(fields="name, amount"))
    assert msgspec.json.decode(cut.rows[0]) == {"name": "Ромашка", "amount": "12500.00"}
    assert await refusal(reader, ListQuery(fields="name,amuont")) == "fields_unknown"


async def test_a_hidden_field_is_neither_shown_nor_asked_by(table, reader):
    put(table, [Thing(id=uuid4(), name="Ромашка")])
    hidden = frozenset({"name"})
    page = await lists.page(reader, LISTING, ListQuery(), hidden=hidden)
    assert "name" not in msgspec.json.decode(page.rows[0])
    assert await refusal(reader, ListQuery(filter="name:Ром"), hidden=hidden) == "filter_unknown_field"
    assert await refusal(reader, ListQuery(filter="title:Ром"), hidden=hidden) == "filter_unknown_field"
    assert await refusal(reader, ListQuery(order_by="name"), hidden=hidden) == "order_by_unknown_field"
    assert await refusal(reader, ListQuery(fields="name"), hidden=hidden) == "fields_unknown"


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ("nmae", "order_by_unknown_field"),
        ("tags", "order_by_unknown_field"),
        ("name upwards", "order_by_malformed"),
        ("name,", "order_by_malformed"),
        ("name, title", "order_by_malformed"),
        ("name;drop table things", "order_by_malformed"),
        ("state, name, code, count, amount, flag", "order_by_malformed"),
    ],
)
async def test_an_order_that_cannot_be_is_refused(table, reader, order, code):
    assert await refusal(reader, ListQuery(order_by=order)) == code


# --- tokens --------------------------------------------------------------------------------------


async def test_a_token_fits_only_the_list_that_gave_it(table, reader):
    put(table, some_things(5))
    mine = where("{column} >= %s", "count", 0)
    query = ListQuery(filter="count>=0", order_by="count", page_size=2)
    token = (await lists.page(reader, LISTING, query, scope=mine)).next_page_token
    asked = msgspec.structs.replace(query, page_token=token)

    others = [
        {"filter": "count>=1"},
        {"order_by": "count desc"},
        {"order_by": "count, name"},
        {"show_archived": True},
    ]
    for other in others:
        changed = msgspec.structs.replace(asked, **other)
        assert await refusal(reader, changed, scope=mine) == "page_token_mismatch"
    assert await refusal(reader, asked, scope=where("{column} >= %s", "count", 1)) == "page_token_mismatch"
    assert await refusal(reader, asked) == "page_token_mismatch"
    with pytest.raises(ListRefused, match="another list"):
        await lists.page(reader, msgspec.structs.replace(LISTING, name="others"), asked, scope=mine)

    bigger = msgspec.structs.replace(asked, page_size=50, fields="count", include_total=True)
    assert len((await lists.page(reader, LISTING, bigger, scope=mine)).rows) == 3


async def test_rubbish_is_no_token(table, reader):
    for rubbish in (
        "x",
        "a b",
        "é",
        "\0",
        "AAAA",
        "A" * 10_000,
        "👍",
        "=",
        "-_-_-_-_-_-_kw",
        "A" * 12 + "gaFh",
    ):
        assert (await refusal(reader, ListQuery(page_token=rubbish))).startswith("page_token_m")


ODD_TEXTS = """x 1e999999 NaN -0 0001-01-01 9999-12-31 2026-01-01T00:00:00 0001-01-01T00:00:00+23:59
9999-12-31T23:59:59-23:59 00000000-0000-0000-0000-000000000000"""
ODD = [*ODD_TEXTS.split(), "\0", "a\0b", "9" * 2_000, "x" * 5_000]
ODD += [0, 2**63, -(2**63), 2**64 - 1, 1.5, True, None, b"x", [], datetime(1, 1, 1, tzinfo=UTC)]


@ON_DATABASE
@given(order=orders, odd=st.lists(st.sampled_from(ODD), min_size=4, max_size=4))
async def test_a_forged_token_is_refused_or_shows_a_page(table, reader, order, odd):
    text = ", ".join(f"{name} {way}" for name, way in order)
    keys = keys_of(text, COLUMNS)
    binding = binding_of(LISTING.name, "", [(key.name, key.descending) for key in keys], False, repr(None))
    row = [*odd[: len(keys) - 1], odd[3] if odd[2] is None else UUID(int=1)]
    query = ListQuery(order_by=text, page_token=token_of(row, binding))
    with contextlib.suppress(PageTokenMalformed):
        await lists.page(reader, LISTING, query)


def test_a_token_carries_small_and_large_amounts_exactly():
    keys = keys_of("amount", COLUMNS)
    for amount in ("0.0000001", "-1E+3", "999999999999.9999", "0"):
        row = (Decimal(amount), UUID(int=1))
        assert read_token(token_of(row, b"123456789"), keys, b"123456789") == row


# --- indexes -------------------------------------------------------------------------------------

FIRMS = Listing(
    name="firms",
    view=Thing,
    schema="public",
    columns={
        "name": Column(type=ColumnType.FOLDED, get=repr, nullable=False),
        "inn": Column(type=ColumnType.TEXT, get=repr),
        "signed_at": Column(type=ColumnType.INSTANT, get=repr),
        "tags": Column(type=ColumnType.TEXT_ARRAY, get=repr),
    },
)
FIRM_ROWS = 10_000


@pytest.fixture
def firms(owner_dsn: str):
    """Rows made inside the database, with the trigrams that Python would have made."""
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        connection.execute(ddl("public", "firms", FIRMS.columns).encode())
        connection.execute(
            """insert into firms
               select gen_random_uuid(), 1, n, t, t, false, '{}', name,
                      array(select distinct substr(name, i, 3) from generate_series(1, length(name) - 2) i),
                      lpad(n::text, 10, '0'), case when n %% 3 > 0 then t end, array['t' || n %% 500]
               from generate_series(1, %s) n,
                    lateral (select timestamptz '2026-01-01' + n * interval '1 minute' as t,
                                    'firm ' || md5(n::text) || ' ltd' as name) m""",
            [FIRM_ROWS],
        )
        connection.execute("analyze firms")
        yield connection


def plan(
    connection: psycopg.Connection, query: ListQuery, row: Sequence[Any] | None = None
) -> tuple[str, int]:
    """The plan of a page (after `row`, given by its key values), and how many pages of the database it touched."""
    asked = lists.statements(FIRMS, query)
    if row is not None:
        asked = lists.statements(
            FIRMS, msgspec.structs.replace(query, page_token=token_of(row, asked.binding))
        )
    explain = sql.SQL("explain (analyze, buffers, format json) {}").format(asked.rows.sql)
    found = connection.execute(explain, asked.rows.parameters).fetchone()[0][0]["Plan"]
    return str(found), found["Shared Hit Blocks"] + found["Shared Read Blocks"]


def test_equality_contains_and_members_use_their_indexes(firms):
    some = Random(7).randrange(FIRM_ROWS)
    digest = firms.execute("select md5(%s::text)", [some]).fetchone()[0]
    for text in (
        f"inn={some:010}",
        f'name:"{digest[3:20].upper()}"',
        'tags:"t17"',
        "tags=[t17,t18]",
        "signed_at=null and inn=x",
    ):
        written, touched = plan(firms, ListQuery(filter=text))
        assert "Seq Scan" not in written, text
        assert touched < 200, text


def test_any_page_of_any_single_order_is_one_range_of_an_index(firms):
    name, inn, created_at, signed_at, ident = firms.execute(
        """select name, inn, created_at, signed_at, id from firms
           where signed_at is not null order by inn offset 6000 limit 1"""
    ).fetchone()
    ordered = {"name": name, "inn": inn, "created_at": created_at, "signed_at": signed_at}
    middle = [(field, (value, ident)) for field, value in ordered.items()]
    for field, row in [
        *middle,
        *((field, None) for field in ordered),
        ("signed_at", (None, ident)),
        ("id", (ident,)),
    ]:
        for way in ("asc", "desc"):
            written, touched = plan(firms, ListQuery(order_by=f"{field} {way}"), row)
            assert "Seq Scan" not in written, (field, way, row)
            assert touched < 120, (field, way, row)
