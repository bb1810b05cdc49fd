"""How PostgreSQL looks through a shelf of many: by the indexes of words, or from the newest back; never all of it."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest

from bench import seed_letters
from infrastructure.postgres import TIMEOUTS
from projections import search_query
from projections.conditions import every, where
from projections.search import SEARCH
from projections.search_query import Match, Stems, question
from tests import servers

pytestmark = pytest.mark.anyio
MANY = 20_000
SHELF = SEARCH.shelves["letter"]


@pytest.fixture(scope="module")
async def connection(cluster) -> Iterator[psycopg.Connection]:
    with servers.database(cluster) as addresses:
        await seed_letters.fill(addresses.app, MANY)
        with psycopg.connect(addresses.app, options=TIMEOUTS, autocommit=True) as opened:
            yield opened


def matching(text: str) -> Match:
    asked = question(text)
    known = {word: Stems(lexemes=frozenset({word}), stops=False) for word in asked.words}
    return search_query.matching(asked, known)


def plan(connection: psycopg.Connection, statement: Any, settings: bytes = b"") -> list[dict[str, Any]]:
    text = b"explain (format json) " + statement.sql.as_string(connection).encode()
    with connection.transaction():
        if settings:
            connection.execute(settings)
        (found,) = connection.execute(text, statement.parameters).fetchone()
    return list(nodes(found[0]["Plan"]))


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for inner in node.get("Plans", ()):
        yield from nodes(inner)


def conditions(found: list[dict[str, Any]]) -> str:
    return " ".join(str(node.get("Index Cond", "")) for node in found)


@pytest.mark.parametrize("text", ["perpetuum", "договор", "contract delivery", "оставк", "k77x", "о"])
async def test_what_matches_is_taken_from_the_indexes_however_many_there_are(connection, text):
    match = matching(text)
    few = search_query._few(SHELF, every(()), match)
    found = plan(connection, few, search_query._BY_BITMAPS)
    assert not {"Seq Scan", "Index Scan"} & {node["Node Type"] for node in found}, found
    assert "vector" in conditions(found)
    assert "keys" in conditions(found)
    assert ("names_grams" in conditions(found)) == (len(text) >= 3)


async def test_somebody_with_few_rights_is_not_shown_what_was_read_in_vain(connection):
    match, mine = matching("договор"), where("{column} && %s::text[]", "organisation_ids", [str(UUID(int=7))])
    few = search_query._few(SHELF, mine, match)
    assert "organisation_ids" in conditions(plan(connection, few, search_query._BY_BITMAPS))


async def test_from_the_newest_back_nothing_is_sorted(connection):
    found = plan(connection, search_query._back("letter", every(()), matching("договор")))
    kinds = {node["Node Type"] for node in found}
    assert not {"Seq Scan", "Sort", "Bitmap Heap Scan"} & kinds, found


async def test_the_candidates_alone_are_weighed(connection):
    found = plan(
        connection,
        search_query._weighed(SHELF, every(()), [UUID(int=n) for n in range(200)], matching("договор")),
    )
    assert "Seq Scan" not in {node["Node Type"] for node in found}, found
