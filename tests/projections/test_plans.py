"""How PostgreSQL reads a list of many records: by an index wherever a column says that it has one."""

from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from msgspec import structs

from bench import seed
from infrastructure.postgres import TIMEOUTS
from projections.columns import SYSTEM, ColumnType, is_sortable
from projections.lists import ListQuery, page, statements
from projections.organisation import LISTING
from tests import servers

MANY = 50_000
COLUMNS = {**SYSTEM, **LISTING.columns}
INDEXED = {name: column for name, column in COLUMNS.items() if column.indexed}
VALUES = {
    "created_at": "01-03-2019",
    "updated_at": "2019-03-01T00:00:00Z",
    "full_name": '"АО «Север"',
    "short_name": '"pecherie theatre 9"',
    "inn": "7700000400",
    "ogrn": "1027700000400",
    "siren": "300000401",
    "tax_id": "X1",
    "region_code": "05",
    "okrug_id": "4",
    "agreement_on": "01-03-2020",
    "documents": "secrecy",
    "postal_codes": "644099",
    "activity_code": "11.1",
    "started_on": "2004-05-06",
    "account_manager_id": str(UUID(int=4)),
}
"""For each column something that few records have."""


@pytest.fixture(scope="module")
async def connection(cluster) -> Iterator[psycopg.Connection]:
    """As the lists' own pool has it: the planner decides by what it knows of the table."""
    with servers.database(cluster) as addresses:
        await seed.fill(addresses.app, MANY)
        with psycopg.connect(addresses.app, options=TIMEOUTS, autocommit=True) as opened:
            yield opened


@pytest.fixture
async def connection_of_lists(connection) -> AsyncIterator[psycopg.AsyncConnection]:
    dsn, password = connection.info.dsn, connection.info.password
    async with await psycopg.AsyncConnection.connect(dsn, password=password, autocommit=True) as opened:
        yield opened


def plan(connection: psycopg.Connection, **asked: Any) -> list[dict[str, Any]]:
    """The nodes of the plan by which a page is read."""
    wanted = statements(LISTING, ListQuery(**asked)).rows
    text = wanted.sql.as_string(connection)
    row = connection.execute(f"explain (format json) {text}".encode(), wanted.parameters).fetchone()
    return list(nodes(row[0][0]["Plan"]))


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for inner in node.get("Plans", ()):
        yield from nodes(inner)


def kinds(found: list[dict[str, Any]]) -> set[str]:
    return {node["Node Type"] for node in found}


pytestmark = pytest.mark.anyio


def test_there_is_a_value_for_every_column_with_an_index():
    assert VALUES.keys() == {name for name, column in INDEXED.items() if column.filterable}


@pytest.mark.parametrize("name", VALUES)
async def test_a_filter_by_a_column_with_an_index_uses_it(connection, name):
    operator = ":" if COLUMNS[name].type in (ColumnType.FOLDED, ColumnType.TEXT_ARRAY) else "="
    found = plan(connection, filter=f"{name}{operator}{VALUES[name]}")
    assert "Seq Scan" not in kinds(found)
    conditions = " ".join(str(node.get("Index Cond", "")) for node in found)
    assert name in conditions, found


@pytest.mark.parametrize("name", [name for name, column in INDEXED.items() if is_sortable(column)])
@pytest.mark.parametrize("way", ["asc", "desc"])
async def test_an_order_by_a_column_with_an_index_sorts_nothing(connection, name, way):
    if COLUMNS[name].type is ColumnType.TEXT_ARRAY:
        return
    found = plan(connection, order_by=f"{name} {way}")
    assert not {"Seq Scan", "Sort", "Incremental Sort"} & kinds(found), found


@pytest.mark.parametrize("order_by", ["", "full_name", "inn desc", "region_code"])
async def test_a_page_deep_in_the_list_costs_what_the_first_did(connection, connection_of_lists, order_by):
    query = ListQuery(order_by=order_by)
    token = (await page(connection_of_lists, LISTING, query)).next_page_token
    found = plan(connection, **structs.asdict(query) | {"page_token": token})
    assert not {"Seq Scan", "Sort"} & kinds(found), found
    assert all(node["Index Cond"] for node in found if node["Node Type"] == "Index Scan"), found


@pytest.mark.parametrize(
    ("text", "by"),
    [
        ("documents:[charter,order,secrecy]", "documents"),
        ("region=77 AND documents:secrecy", "documents"),
        ("documents:order AND agreement=no", "documents"),
        ("region=05 AND is_gov=yes", "region_code"),
        ('name:"гарантимпульс"', "full_name_grams"),
        ("inn=7700000400 OR siren=300000401", "siren"),
    ],
)
async def test_what_few_records_have_is_not_looked_for_in_all_of_them(connection, text, by):
    found = plan(connection, filter=text)
    assert "Seq Scan" not in kinds(found)
    assert by in " ".join(str(node.get("Index Cond", "")) for node in found), found
