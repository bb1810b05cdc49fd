"""What a read model has of one stream, made anew from that stream alone, is what was there: so it can be unparked."""

import pytest

from infrastructure.embedded.postgres import APP
from infrastructure.event_codec import EventCodec
from infrastructure.event_log import EventLog
from infrastructure.migrations import migrate
from infrastructure.personal_data import Vault, Wrapping
from infrastructure.postgres import connect, open_pool
from projections.parking import Halting, Refolding
from projections.projection import discover
from tests.recorded.stores import loaded, recorded
from workers import checkpoint
from workers.places import LIVE, OPTIONS
from workers.row_digests import snapshot

pytestmark = pytest.mark.anyio
REFOLDING = {name: each for name, each in discover().items() if isinstance(each, Refolding)}
STREAMS = "select originator_id from stored_events group by 1 order by min(notification_id)"


async def test_every_stream_of_a_store_with_every_noun_leaves_the_tables_as_they_were(cluster):
    with loaded(cluster, recorded()[-1]) as addresses:
        migrate(addresses.owner, APP)
        pool = await open_pool(addresses.app, size=2)
        async with pool, await connect(addresses.app, options=OPTIONS) as connection:
            log = EventLog(pool, EventCodec(), Vault(pool, Wrapping(bytes(32))))
            streams = [key for (key,) in await (await connection.execute(STREAMS)).fetchall()]
            before = {name: await snapshot(connection, each, LIVE) for name, each in REFOLDING.items()}
            refolded = dict.fromkeys(REFOLDING, 0)
            for key in streams:
                stored = await log.stream(key)
                for name, projection in REFOLDING.items():
                    up_to = before[name][0].position
                    mine = [each for each in stored if each.position <= up_to]
                    if not any(map(projection.takes, mine)):
                        continue
                    opened = await log.opened(mine, projection.takes)
                    if projection.alone(opened):
                        async with connection.transaction():
                            await projection.refold(connection.cursor(), LIVE, opened)
                        refolded[name] += 1
            after = {name: await snapshot(connection, each, LIVE) for name, each in REFOLDING.items()}
            assert {name: rows for name, (_, rows) in after.items()} == {
                name: rows for name, (_, rows) in before.items()
            }
            assert all(
                refolded[name] for name in ("user", "letter", "contract", "occasion", "resource", "search")
            )
            assert not refolded["organisation"]
            assert (await checkpoint.load(connection, "user", LIVE)).parked == {}


def test_what_stops_instead_says_why():
    stops = {name for name, each in discover().items() if isinstance(each, Halting) and each.halts}
    assert stops == {"audit_log", "ledger", "invoice", "payment", "permission_change"}
