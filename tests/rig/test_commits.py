"""Whether a commit came through nobody is told; the one who asked is, sooner or later, and it is there once.

`python -m tests.rig.commits` does the same to two servers, with a client that asks again as well.
"""

from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests import serving
from tests.rig.edge import Edges, Mode

pytestmark = pytest.mark.anyio
COMMANDS = 20


@pytest.fixture
def edge(dsn, tmp_path):
    edges, where = Edges(), conninfo_to_dict(dsn)
    yield edges.add("to PostgreSQL", tmp_path / ".s.PGSQL.5432", Path(where["host"]) / ".s.PGSQL.5432")
    edges.close()


@pytest.fixture
async def client(dsn, edge, nats_server):
    through = make_conninfo(dsn, host=str(edge.listen.parent))
    async with serving.served(serving.settings(through, nats_server.url)) as opened:
        opened.headers.update(await serving.sign_in(opened))
        yield opened


def added(dsn):
    with psycopg.connect(dsn) as database:
        return database.execute(
            "select count(*), count(distinct originator_id) from stored_events"
            " where topic = 'organisation.added.v1'"
        ).fetchone()


async def test_a_commit_that_nobody_heard_of_is_one_event_and_one_answer(dsn, edge, client):
    for number in range(1, COMMANDS + 1):
        edge.set(Mode.CUT_NEXT_COMMIT)
        command = {"json": {"full_name": f"{number}"}, "headers": {"Idempotency-Key": f"command-{number}"}}
        answer = await client.post("/organisations", **command)
        assert answer.status_code == 201, answer.text
        assert edge.cuts[Mode.CUT_AFTER_COMMIT] == number
        again = await client.post("/organisations", **command)
        assert again.json()["position"] == answer.json()["position"]
    assert added(dsn) == (COMMANDS, COMMANDS)


async def test_nor_is_it_two_when_its_client_gave_it_no_key(dsn, edge, client):
    for number in range(1, 4):
        edge.set(Mode.CUT_NEXT_COMMIT)
        answer = await client.post("/organisations", json={"full_name": f"{number}"})
        assert answer.status_code == 201, answer.text
        assert edge.cuts[Mode.CUT_AFTER_COMMIT] == number
    assert added(dsn) == (3, 3)
