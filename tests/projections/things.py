"""A record with a column of every type, its table, and the values that tests draw from."""

from datetime import UTC, date, datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any
from uuid import UUID

import msgspec
from hypothesis import strategies as st
from psycopg import Connection, sql

from projections.columns import Column, ColumnType, ddl, physical, values
from projections.lists import Listing


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    version: int = 1
    created_at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    updated_at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    archived: bool = False
    state: str = "draft"
    name: str | None = None
    code: str | None = None
    count: int | None = None
    amount: Decimal | None = None
    flag: bool | None = None
    at: datetime | None = None
    day: date | None = None
    owner: UUID | None = None
    tags: tuple[str, ...] | None = None


def a(kind: ColumnType, name: str, **more: Any) -> Column:
    return Column(type=kind, get=attrgetter(name), **more)


COLUMNS = {
    "state": a(ColumnType.TEXT, "state", choices=("draft", "signed", "canceled"), nullable=False),
    "name": a(ColumnType.FOLDED, "name", aliases=("title",)),
    "code": a(ColumnType.TEXT, "code"),
    "count": a(ColumnType.INTEGER, "count"),
    "amount": a(ColumnType.AMOUNT, "amount", aliases=("full_amount_to_pay",)),
    "flag": a(ColumnType.BOOLEAN, "flag"),
    "at": a(ColumnType.INSTANT, "at"),
    "day": a(ColumnType.DATE, "day"),
    "owner": a(ColumnType.UUID, "owner"),
    "tags": Column(
        type=ColumnType.TEXT_ARRAY, get=lambda thing: None if thing.tags is None else list(thing.tags)
    ),
}
LISTING = Listing(name="things", view=Thing, columns=COLUMNS, schema="public")

_TEXTS = r"""|Ромашка|ромашка ООО|ёж|ЁЖ|Société Générale|societe|STRASSE|Straße|ok|100%|a_b|axb|\|a\b|say "hi"|O'Brien
'; drop table things; --|null|AND|x) or (y|>=|=None|[a, b]|two  words|%(x)s|{}|$1|😀 ok"""
POOLS: dict[str, list[Any]] = {
    "state": ["draft", "signed", "canceled"],
    "name": _TEXTS.split("|"),
    "code": _TEXTS.split("|"),
    "count": [-(10**17), -2, 0, 1, 7, 10**17],
    "amount": [
        Decimal(text) for text in ("-1.50", "0", "0.001", "12500.00", "12500", "999999999999.9999", "1" * 40)
    ],
    "flag": [True, False],
    "at": [
        datetime(2026, 3, 1, tzinfo=UTC),
        datetime(2026, 3, 1, 12, 30, 0, 123456, tzinfo=UTC),
        datetime(2026, 3, 1, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2026, 3, 2, tzinfo=UTC),
        datetime(1999, 12, 31, 23, 0, tzinfo=UTC),
    ],
    "day": [date(2026, 3, 1), date(2026, 3, 2), date(1999, 12, 31)],
    "owner": [UUID(int=n) for n in (1, 2**64, 2**128 - 1)],
    "tags": ["vip", "VIP", "old", "", "a b", 'q"q'],
}


def things(**fixed: st.SearchStrategy[Any]) -> st.SearchStrategy[Thing]:
    """Records whose values often meet each other's, and often are missing."""
    drawn = {
        name: st.sampled_from(pool) if name == "state" else st.none() | st.sampled_from(pool)
        for name, pool in POOLS.items()
        if name != "tags"
    }
    tags = st.none() | st.lists(st.sampled_from(POOLS["tags"]), max_size=3, unique=True).map(tuple)
    return st.builds(Thing, id=st.uuids(version=4), tags=tags, **{**drawn, **fixed})


def rows_of(size: int) -> st.SearchStrategy[list[Thing]]:
    return st.lists(things(), max_size=size, unique_by=lambda thing: thing.id)


def make_table(connection: Connection[Any], schema: str = "public") -> None:
    connection.execute(ddl(schema, "things", COLUMNS).encode())


def put(connection: Connection[Any], rows: list[Thing]) -> None:
    """Write records as a projector would, by copying: many at once."""
    names = ["id", "version", "position", "created_at", "updated_at", "archived", "view", *physical(COLUMNS)]
    copy = sql.SQL("copy things ({}) from stdin").format(sql.SQL(", ").join(map(sql.Identifier, names)))
    with connection.cursor() as cursor, cursor.copy(copy) as into:
        for at, row in enumerate(rows, 1):
            fixed = (
                row.id,
                row.version,
                at,
                row.created_at,
                row.updated_at,
                row.archived,
                msgspec.json.encode(row),
            )
            into.write_row((*fixed, *values(COLUMNS, row)))
