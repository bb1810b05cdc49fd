"""An import whose worker is killed in the middle is ended by another, and nothing is written twice."""

import asyncio
import os
import signal
import sys
from collections import Counter
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from infrastructure.embedded.children import Child, end, wait_until
from infrastructure.operations import Operations
from infrastructure.settings import environment
from infrastructure.tasks import end as end_tasks
from tests import office as offices
from tests import servers
from tests.importing import apply, codes, dbf, previewed, shown
from tests.waiting import until
from workers import jobs
from workers.sweeper import Sweeper

pytestmark = pytest.mark.anyio
LABORER = Path(__file__).parents[1] / "laborer.py"


@pytest.fixture
async def office(cluster, nats_server, object_store, redis_url):
    with servers.database(cluster) as addresses:
        changed = {**object_store.settings, "redis_url": redis_url}
        async with offices.opened(addresses, nats_server.url, **changed) as opened:
            yield opened


@pytest.fixture
def laborer(office, tmp_path):
    """Starts a process that does jobs."""
    begun = []

    def start() -> Child:
        folder = tmp_path / f"laborer-{len(begun)}"
        folder.mkdir()
        ours = {name: value for name, value in os.environ.items() if not name.startswith("CHANCERY_")}
        ours["TMPDIR"] = str(tmp_path)
        child = Child("jobs", folder, log=folder / "log")
        here = {"PYTHONPATH": str(LABORER.parents[1])}
        child.start([sys.executable, str(LABORER)], ours | environment(office.system.settings) | here)
        begun.append(child)
        return child

    yield start
    for child in begun:
        child.stop(5)


@asynccontextmanager
async def at_work(office):
    """What is due is offered, and the read models follow."""

    async def follow():
        while True:
            await office.transport._follow()
            await asyncio.sleep(0.02)

    asked = Operations(office.system.pool, offer_again=timedelta(milliseconds=300))
    sweeper = Sweeper(asked, jobs.offering(office.system.settings))
    tasks = [
        asyncio.create_task(sweeper.run(office.system.settings.database_url)),
        asyncio.create_task(follow()),
    ]
    try:
        yield asked
    finally:
        await end_tasks(*tasks)


async def killed_in_the_middle(office, laborer, import_id, place) -> dict:
    """What the import says at its end; its first worker dies while it applies it."""
    async with at_work(office) as asked:
        await asked.ask("import.apply", {"import_id": import_id})
        first = laborer()
        await until(lambda: progress(office, import_id)[0] > 0)
        end(first.pid, signal.SIGKILL)
        assert wait_until(first.died, 5)
        done, total = progress(office, import_id)
        assert 0 < done < total
        office.owner.execute("update operations set leased_until = leased_until - interval '1 hour'")
        laborer()

        async def ended():
            return (await shown(office, import_id))["state"] == "applied"

        await until(ended, 60)
        assert list(place.glob("chancery-import-*")) == [], "no attempt leaves its file behind"
        return await shown(office, import_id)


def progress(office, import_id) -> tuple[int, int]:
    row = office.owner.execute(
        "select processed, total from import_progress where import_id = %s and step = 'applying'",
        (import_id,),
    ).fetchone()
    return row or (0, 0)


async def topics(office) -> Counter:
    found, position = Counter(), 0
    while stored := await office.system.log.read(position, 5_000):
        found.update(each.topic for each in stored)
        position = stored[-1].position
    return found


async def test_organisations_are_added_once_each(office, laborer, tmp_path):
    count = 3_000
    rows = "".join(f"Company {at},{at:09}\n" for at in range(count))
    seen = await previewed(office, f"full_name,siren\n{rows}".encode(), kind="organisations", name="a.csv")
    await apply(office, seen["id"])
    done = await killed_in_the_middle(office, laborer, seen["id"], tmp_path)
    assert done["counts"] == {"added": count, "changed": 0, "unchanged": 0, "vanished": 0, "failed": 0}
    assert (await topics(office))["organisation.added.v1"] == count


async def test_postal_codes_are_loaded_once_each(office, laborer, tmp_path):
    count = 20_000
    seen = await previewed(office, dbf(codes(count), fields=(("INDEX", 6), ("REGION", 12), ("CITY", 12))))
    await apply(office, seen["id"])
    done = await killed_in_the_middle(office, laborer, seen["id"], tmp_path)
    assert done["counts"] == {"added": count, "changed": 0, "unchanged": 0, "vanished": 0, "failed": 0}
    assert (await topics(office))["postal_index.loaded.v1"] == count / 500
    with psycopg.connect(office.addresses.app) as connection:
        found = connection.execute("select count(*), count(distinct code), max(version) from read.address")
        assert found.fetchone() == (count, count, 1)
