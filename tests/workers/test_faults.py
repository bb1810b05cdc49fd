"""Whatever breaks, in whatever order: when it works again, every event has been taken in once."""

import asyncio
import random

import nats.errors
import psycopg
import pytest

from projections.audit_log import AuditLog
from projections.organisation import ORGANISATIONS
from tests.flow import Tally, append, workers
from workers.rebuild import compare, rebuild
from workers.verify import verify

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("seed", range(3))
async def test_no_fault_loses_or_doubles_an_event(dsn, database, nats_server, seed):
    """`seed` chooses the faults and their order; each fault meets workers in the middle of their work."""
    chance = random.Random(seed)
    nats_server.wipe()
    async with workers(dsn, nats_server) as flow, workers(dsn, nats_server) as other:
        projections = (Tally(), ORGANISATIONS, AuditLog())
        for each in (flow, other):
            each.relay()
            for projection in projections:
                each.projector(projection)

        async def connections_are_cut() -> None:
            with psycopg.connect(database.admin, autocommit=True) as admin:
                admin.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s and pid <> all(%s)",
                    (
                        flow.connection.info.dbname,
                        [each.connection.info.backend_pid for each in (flow, other)],
                    ),
                )

        async def a_worker_dies_and_another_starts() -> None:
            each = chance.choice((flow, other))
            await each.stop(chance.choice(each.tasks[1:]))
            each.relay()
            for projection in projections:
                each.projector(projection)

        async def a_message_is_lost() -> None:
            last = max(1, await flow.stream_ends_at())
            await flow.publisher.stream.delete_msg("EVENTS", chance.randint(max(1, last - 20), last))

        async def the_stream_is_lost() -> None:
            await flow.publisher.stream.delete_stream("EVENTS")

        async def nats_is_wiped() -> None:
            await asyncio.to_thread(nats_server.wipe)

        async def nats_is_killed() -> None:
            await asyncio.to_thread(nats_server.restart)

        async def a_read_model_is_rebuilt() -> None:
            await rebuild(dsn, flow.log, chance.choice(projections))

        faults = [
            connections_are_cut,
            a_worker_dies_and_another_starts,
            a_message_is_lost,
            the_stream_is_lost,
            nats_is_wiped,
            nats_is_killed,
            a_read_model_is_rebuilt,
        ]
        for fault in chance.choices(faults, k=10):
            await asyncio.to_thread(append, dsn, chance.randint(1, 700))
            try:
                await fault()
            except (nats.errors.Error, psycopg.OperationalError) as met:
                print(f"{fault.__name__}: {met!r}")  # noqa: T201 - the fault met another one
        append(dsn, 10)

        async def settled() -> bool:
            return all([await flow.caught_up(projection.name) for projection in projections])

        await flow.until(settled, 30)
        assert await flow.tally_is_right()
        for projection in projections:
            assert (await verify(dsn, projection.name)).right
            built = await compare(dsn, flow.log, projection)
            assert built.comparison.equal
