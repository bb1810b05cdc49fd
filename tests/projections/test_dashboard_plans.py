"""How PostgreSQL counts many contracts for a dashboard: from an index alone, never by reading the contracts."""

from datetime import date
from uuid import UUID

import psycopg
import pytest

from bench import seed_contracts
from infrastructure.postgres import TIMEOUTS
from projections.contract import LISTING
from projections.dashboards import TILES
from projections.lists import ListQuery, statements
from tests import servers
from tests.waiting import until

pytestmark = pytest.mark.anyio

MANY = 20_000
ME, PARTIES = UUID(int=4), [str(UUID(int=100 + number)) for number in range(2_000)]
MANAGERS = [str(ME), *(str(UUID(int=10_000 + number)) for number in range(96))]


@pytest.fixture(scope="module")
async def connection(cluster):
    """To a planner that reads a table only where nothing else is left, however small the table."""
    with servers.database(cluster) as addresses:
        await seed_contracts.fill(addresses.app, MANY, PARTIES, MANAGERS)
        with psycopg.connect(addresses.app, options=TIMEOUTS, autocommit=True) as opened:
            for way in ("seqscan", "bitmapscan"):
                opened.execute(f"set enable_{way} = off".encode())
            await until(lambda: visible_to_all(opened))
            yield opened


def visible_to_all(opened):
    """Vacuumed with nobody's snapshot in the way: of a page that is not, an index alone tells nothing."""
    opened.execute("vacuum read.contract")
    seen = "select relallvisible >= relpages from pg_class where oid = 'read.contract'::regclass"
    return opened.execute(seen).fetchone() == (True,)


def nodes(node):
    yield node
    for inner in node.get("Plans", ()):
        yield from nodes(inner)


@pytest.mark.parametrize("name", [name for name, tile in TILES.items() if tile.list == "contracts"])
async def test_a_count_of_contracts_is_read_from_an_index_alone(connection, name):
    asked = TILES[name].asked(ME, date(2026, 11, 20))
    total = statements(LISTING, ListQuery(filter=asked)).total
    text = f"explain (format json) {total.sql.as_string(connection)}"
    ((plan,),) = connection.execute(text.encode(), total.parameters).fetchone()
    read = [node for node in nodes(plan["Plan"]) if "Relation Name" in node]
    assert [node["Node Type"] for node in read] == ["Index Only Scan"], plan
    (counted,) = connection.execute(total.sql.as_bytes(connection), total.parameters).fetchone()
    assert 0 < counted < MANY
