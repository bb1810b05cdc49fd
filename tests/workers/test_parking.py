"""A poisoned stream is set aside in order: nothing of it is applied or lost, and everything else goes on."""

import asyncio
from datetime import datetime
from uuid import UUID, uuid4

import psycopg
import pytest
from msgspec import Struct, json
from msgspec.structs import replace

from domain.organisation.events import OrganisationAdded, OrganisationChanged
from domain.shared import Recorded
from projections.audit_log import AuditLog
from projections.contact import CONTACTS
from projections.ledger import LEDGER
from projections.organisation import ORGANISATIONS
from projections.payment import PAYMENTS
from projections.projection import Fold, begun, moved
from tests.flow import META, Tally, append, workers
from workers import checkpoint
from workers.parked import Parked, keep, parked
from workers.parking import MOST, park, unpark
from workers.places import Busy, Refused, alone
from workers.rebuild import Poisoned, compare, rebuild
from workers.verify import verify

pytestmark = pytest.mark.anyio

FIRST, OTHER = UUID(int=1), UUID(int=2)
PAUSE = 0.05


class Society(Struct, frozen=True, kw_only=True):
    id: UUID
    version: int
    position: int
    created_at: datetime
    updated_at: datetime
    names: tuple[str, ...]
    archived: bool = False


class Poison(set):
    """Names that the fold cannot take, as a mistake in its code would have it; empty once that is mended."""


@pytest.fixture
def poison():
    return Poison()


@pytest.fixture
def societies(poison):
    """A fold that keeps every name its record ever had, in order: none skipped, doubled or late goes unseen."""

    def fold(view: Society | None, recorded: Recorded[OrganisationAdded | OrganisationChanged]) -> Society:
        event = recorded.event
        name = event.full_name if isinstance(event, OrganisationAdded) else str(event.short_name)
        if name in poison:
            raise ValueError("a name that nobody thought of")
        if view is None:
            return Society(**begun(recorded), names=(name,))
        return replace(view, **moved(recorded), names=(*view.names, name))

    return Fold(name="society", version=1, view=Society, columns={}, fold=fold)


@pytest.fixture
async def flow(dsn, nats_server):
    nats_server.wipe()
    async with workers(dsn, nats_server) as made:
        yield made


async def standing(flow, name="society"):
    return await checkpoint.load(flow.connection, name, "read")


async def set_aside(flow, name: str, stream: UUID) -> None:
    """As `park` does, though nothing fails."""
    poison = Parked(stream_id=stream, position=3, event_id=uuid4(), failure="a test said so")
    await keep(flow.connection, name, "read", poison)


async def stops(flow, name="society"):
    """It stands still at an event; what that one is."""

    async def stopped() -> bool:
        at = await standing(flow, name)
        return at is not None and at.failed_event is not None

    await flow.until(stopped)
    return (await standing(flow, name)).failed_event


async def names(flow) -> dict[UUID, list[str]]:
    rows = await flow.connection.execute("select id, view from read.society")
    return {key: json.decode(view)["names"] for key, view in await rows.fetchall()}


@pytest.fixture
async def waiting(flow, dsn, societies, poison):
    """Two societies, three events each. One cannot be applied from its second on, and is parked."""
    append(dsn, 6, [FIRST, OTHER])
    poison.add("S2")
    flow.projector(societies, pause=PAUSE)
    await stops(flow)
    found = await park(dsn, societies)
    await flow.until(lambda: flow.caught_up("society"))
    return found


async def test_the_stream_waits_from_its_poison_on_and_all_others_go_on(flow, dsn, waiting):
    assert (waiting.stream_id, waiting.position) == (FIRST, 3)
    assert "a name that nobody thought of" in waiting.failure
    append(dsn, 4, [FIRST, OTHER])
    await flow.until(lambda: flow.caught_up("society"))
    assert await names(flow) == {FIRST: ["Society 0"], OTHER: ["Society 1", "S3", "S5", "S1", "S3"]}
    at = await standing(flow)
    assert (at.failure, at.failed_event, at.parked) == (None, None, {FIRST: 3})
    (told,) = await parked(flow.connection, "society", "read")
    assert told.waiting == 4, "what waits is counted: two before it was parked, two after"


async def test_what_waits_is_passed_and_counted_once(flow, dsn, societies, waiting):
    found = await verify(dsn, "society")
    assert found.right
    assert (found.count, found.waiting) == (6, 2)
    assert (await compare(dsn, flow.log, societies)).comparison.equal, "the same streams are parked in both"


async def test_a_worker_that_starts_again_leaves_it_parked(flow, dsn, societies, waiting):
    await flow.stop(flow.tasks[-1])
    append(dsn, 2, [FIRST, OTHER])
    flow.projector(societies, pause=PAUSE)
    await flow.until(lambda: flow.caught_up("society"))
    assert (await names(flow))[FIRST] == ["Society 0"]
    assert (await standing(flow)).failure is None


async def test_unparked_it_is_what_it_would_have_been(flow, dsn, societies, poison, waiting):
    append(dsn, 4, [FIRST, OTHER])
    await flow.until(lambda: flow.caught_up("society"))
    poison.clear()
    (done,) = await unpark(dsn, flow.log, societies)
    assert (done.stream_id, done.applied, done.failure) == (FIRST, 4, None)
    assert (await names(flow))[FIRST] == ["Society 0", "S2", "S4", "S0", "S2"]
    append(dsn, 2, [FIRST, OTHER])
    await flow.until(lambda: flow.caught_up("society"))
    found = await verify(dsn, "society")
    assert (found.right, found.waiting) == (True, 0)
    assert (await compare(dsn, flow.log, societies)).comparison.equal


async def test_one_that_fails_again_stays_parked_and_the_event_is_named(
    flow, dsn, societies, poison, waiting
):
    poison.clear()
    poison.add("S4")
    (done,) = await unpark(dsn, flow.log, societies)
    event_id = await flow.one("select event_id from stored_events where notification_id = 5")
    assert f"event {event_id[0]} at position 5" in done.failure
    assert "nobody thought of" in done.failure
    assert (await names(flow))[FIRST] == ["Society 0"], "nothing of it was applied"
    assert (await standing(flow)).parked == {FIRST: 3}
    append(dsn, 2, [FIRST, OTHER])
    await flow.until(lambda: flow.caught_up("society"))
    assert (await names(flow))[FIRST] == ["Society 0"]


async def test_one_of_several_is_unparked_by_name(flow, dsn, societies, poison, waiting):
    poison.add("S7")
    append(dsn, 8, [FIRST, OTHER])
    await stops(flow)
    second = await park(dsn, societies)
    await flow.until(lambda: flow.caught_up("society"))
    assert (second.stream_id, (await standing(flow)).parked) == (OTHER, {FIRST: 3, OTHER: second.position})
    poison.clear()
    assert [each.stream_id for each in await unpark(dsn, flow.log, societies, [OTHER])] == [OTHER]
    assert (await standing(flow)).parked == {FIRST: 3}
    with pytest.raises(Refused, match="not parked"):
        await unpark(dsn, flow.log, societies, [OTHER])
    await unpark(dsn, flow.log, societies)
    assert (await compare(dsn, flow.log, societies)).comparison.equal


async def test_while_events_come_in_none_is_lost_between_the_last_parked_and_the_next(
    flow, dsn, societies, poison, waiting
):
    stop = asyncio.Event()

    async def writing() -> None:
        while not stop.is_set():
            await asyncio.to_thread(append, dsn, 10, [FIRST, OTHER])

    writer = asyncio.create_task(writing())
    for _ in range(3):
        poison.clear()
        assert [each.failure for each in await unpark(dsn, flow.log, societies)] == [None]
        poison.add("S2")
        await stops(flow)
        await park(dsn, societies)
    poison.clear()
    await unpark(dsn, flow.log, societies)
    stop.set()
    await writer
    await flow.until(lambda: flow.caught_up("society"))
    versions = await flow.one("select count(*) from stored_events where originator_id = %s", FIRST)
    assert len((await names(flow))[FIRST]) == versions[0]
    assert (await verify(dsn, "society")).right
    assert (await compare(dsn, flow.log, societies)).comparison.equal


async def test_an_event_that_cannot_even_be_read_waits_and_what_follows_it_is_not_opened(flow, dsn):
    append(dsn, 2, [FIRST, OTHER])
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "select append_as_given(array[%s]::uuid[], array[2::bigint], array['never.heard.v1'],"
            " array['{}'::bytea], %s)",
            (FIRST, META),
        )
    append(dsn, 2, [FIRST, OTHER])
    flow.projector(Tally(), pause=PAUSE)
    await stops(flow, "tally")
    await park(dsn, Tally())
    await flow.until(flow.caught_up)
    assert await flow.one("select seen, last from read.tally where stream_id = %s", FIRST) == (1, 1)
    assert await flow.one("select seen, last from read.tally where stream_id = %s", OTHER) == (2, 5)


async def test_what_follows_from_several_streams_is_not_unparked_but_built_again(flow, dsn):
    tally = Tally()
    tally.poison = 3
    append(dsn, 6, [FIRST, OTHER])
    flow.projector(tally, pause=PAUSE)
    await stops(flow, "tally")
    await park(dsn, tally)
    await flow.until(flow.caught_up)
    with pytest.raises(Refused, match="run chancery projections rebuild tally"):
        await unpark(dsn, flow.log, tally)
    tally.poison = None
    built = await rebuild(dsn, flow.log, tally)
    assert (built.at.parked, built.live_parked, built.expected) == ({}, 1, True)
    assert not built.comparison.equal
    append(dsn, 4, [FIRST, OTHER])
    await flow.until(flow.caught_up)
    assert await flow.tally_is_right()


async def test_an_organisation_tells_of_other_streams_too_and_is_built_again(flow, dsn):
    append(dsn, 4, [FIRST, OTHER])
    await checkpoint.begin(flow.connection, ORGANISATIONS, "read")
    await set_aside(flow, "organisation", FIRST)
    flow.projector(ORGANISATIONS)
    await flow.until(lambda: flow.caught_up("organisation"))
    with pytest.raises(
        Refused, match="follows from others, too: run chancery projections rebuild organisation"
    ):
        await unpark(dsn, flow.log, ORGANISATIONS)


async def test_a_rebuild_by_the_same_code_parks_the_same_stream_again(flow, dsn, societies, waiting):
    built = await rebuild(dsn, flow.log, societies)
    assert (built.at.parked, built.comparison.equal) == ({FIRST: 3}, True)
    append(dsn, 2, [FIRST, OTHER])
    await flow.until(lambda: flow.caught_up("society"))
    assert (await names(flow))[FIRST] == ["Society 0"]
    (told,) = await parked(flow.connection, "society", "read")
    assert "nobody thought of" in told.failure


async def test_a_rebuild_by_mended_code_makes_it_whole(flow, dsn, societies, poison, waiting):
    poison.clear()
    built = await rebuild(dsn, flow.log, societies)
    assert (built.at.parked, built.expected) == ({}, True)
    append(dsn, 2, [FIRST, OTHER])
    await flow.until(lambda: flow.caught_up("society"))
    assert (await names(flow))[FIRST] == ["Society 0", "S2", "S4", "S0"]


async def test_a_rebuild_parks_nothing_by_itself(flow, dsn, societies, poison):
    append(dsn, 6, [FIRST, OTHER])
    flow.projector(societies, pause=PAUSE)
    await flow.until(lambda: flow.caught_up("society"))
    poison.add("S5")
    with pytest.raises(Poisoned, match="at position 6: ValueError"):
        await rebuild(dsn, flow.log, societies)
    assert (await names(flow))[OTHER] == ["Society 1", "S3", "S5"], "what is in use stays"
    assert await flow.one("select to_regclass('read_next.society')") == (None,)
    assert await flow.one("select count(*) from projections where place = 'read_next'") == (0,)


async def test_nothing_is_parked_of_one_that_does_not_stand_at_an_event(flow, dsn, societies, waiting):
    with pytest.raises(Refused, match="nothing to park: society is not stopped"):
        await park(dsn, societies)
    await flow.connection.execute(
        "update projections set failure = 'built by version 7' where name = 'society'"
    )
    with pytest.raises(Refused, match="stopped for another reason: built by version 7"):
        await park(dsn, societies)


async def test_nothing_is_unparked_where_nothing_waits_or_another_version_stands(
    flow, dsn, societies, poison, waiting
):
    with pytest.raises(Refused, match="nothing of tally is parked"):
        await unpark(dsn, flow.log, Tally())
    with pytest.raises(Refused, match="tally has not begun"):
        await park(dsn, Tally())
    poison.clear()
    societies.version = 2
    with pytest.raises(Refused, match="built by version 1: run chancery projections rebuild society"):
        await unpark(dsn, flow.log, societies)


@pytest.mark.parametrize("projection", [AuditLog(), LEDGER, PAYMENTS], ids=lambda each: each.name)
async def test_proofs_and_money_are_never_parked(dsn, projection):
    with pytest.raises(Refused, match="is never parked"):
        await park(dsn, projection)


async def test_of_one_projection_a_hundred_streams_are_parked_at_most(flow, dsn, societies, waiting, poison):
    for _ in range(MOST - 1):
        await set_aside(flow, "society", uuid4())
    poison.add("S3")
    append(dsn, 4, [FIRST, OTHER])
    await stops(flow)
    with pytest.raises(Refused, match="100 streams of society are parked already"):
        await park(dsn, societies)


async def test_while_it_is_being_rebuilt_nothing_is_parked(flow, dsn, societies, waiting):
    async with alone(dsn, societies):
        with pytest.raises(Busy):
            await park(dsn, societies)
        with pytest.raises(Busy):
            await unpark(dsn, flow.log, societies)


def told(dsn, stream: UUID, version: int, topic: str, state: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "select append_as_given(array[%s]::uuid[], array[%s]::bigint[], array[%s], array[%s]::bytea[], %s)",
            (stream, version, topic, state.encode(), META),
        )


async def test_who_is_forgotten_while_he_waits_goes_from_the_table_at_once(flow, dsn):
    added = f'{{"organisation_id":"{OTHER}"}}'
    for contact in (FIRST, OTHER):
        told(dsn, contact, 1, "contact.added.v1", added)
    flow.projector(CONTACTS)
    await flow.until(lambda: flow.caught_up("contact"))
    await set_aside(flow, "contact", FIRST)
    told(dsn, FIRST, 2, "contact.erased.v1", '{"reason":"He asked."}')
    await flow.until(lambda: flow.caught_up("contact"))
    rows = await flow.connection.execute("select id from read.contact")
    assert await rows.fetchall() == [(OTHER,)]
    await unpark(dsn, flow.log, CONTACTS)
    assert (await compare(dsn, flow.log, CONTACTS)).comparison.equal


async def test_a_forgetting_is_not_set_aside(flow, dsn):
    told(dsn, FIRST, 1, "contact.added.v1", f'{{"organisation_id":"{OTHER}"}}')
    told(dsn, FIRST, 2, "contact.erased.v1", '{"reason":7}')
    flow.projector(CONTACTS, pause=PAUSE)
    await stops(flow, "contact")
    with pytest.raises(Refused, match="forgets a person"):
        await park(dsn, CONTACTS)
