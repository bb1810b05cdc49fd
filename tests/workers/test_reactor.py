"""The reactor: what follows from a fact happens, once, however often it is begun again."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from application.reactions import (
    RECHECK_FILE_WHEN_RECEIVED,
    TELL_ACCOUNT_MANAGER_WHEN_CONTRACT_SIGNED,
    TELL_ASSIGNEE_WHEN_OCCASION_ASSIGNED,
    Ask,
    Tell,
)
from domain.contact.events import ContactAdded, ContactChanged
from domain.contract.aggregate import CONTRACT
from domain.contract.events import ContractDrafted, ContractSigned, OccasionAssigned
from domain.dialog.aggregate import dialog_id
from domain.file.events import FileReceived
from domain.message.events import MessageSent
from domain.organisation.events import OrganisationAdded, OrganisationChanged
from domain.shared import SYSTEM, Actor, Metadata, Recorded
from infrastructure.bootstrap import running
from infrastructure.event_store import new_id
from infrastructure.postgres import connect
from infrastructure.tasks import end
from tests.people import append
from tests.serving import settings
from tests.waiting import until
from workers import reactor as reactors
from workers.feed import Feed
from workers.reactor import Reactor

pytestmark = pytest.mark.anyio
DRAFTER, SIGNER = uuid4(), uuid4()
SIGNED = ContractSigned(
    signed_by=SIGNER,
    signed_at=datetime(2026, 3, 1, tzinfo=UTC),
    signed_version=1,
    document_sha256="00" * 32,
    custom_id="C-7",
    title="Supply",
    account_manager_id=DRAFTER,
)


@pytest.fixture
async def system(dsn):
    async with running(settings(dsn, "")) as opened:
        yield opened


def reactor(system) -> Reactor:
    feed = Feed(system.log, system.positions, system.nats)
    return Reactor(system.log, feed, system.dialogs, system.contracts, system.brought_letters)


@asynccontextmanager
async def at_work(system):
    task = asyncio.create_task(reactor(system).run(system.settings.database_url))
    try:
        yield task
    finally:
        await end(task)


async def one(system, query, *parameters):
    async with await connect(system.settings.database_url) as connection:
        return await (await connection.execute(query, parameters)).fetchone()


async def checkpoint(system) -> int:
    row = await one(system, "select position from projections where name = 'reactor' and place = 'work'")
    return row[0] if row else 0


async def signed(system, event=SIGNED) -> UUID:
    contract_id = new_id()
    await append(system.execute._store, contract_id, event)
    return contract_id


async def told(system) -> list[MessageSent]:
    recorded = await system.log.open(await system.log.read(0, 1000))
    return [each.event for each in recorded if isinstance(each.event, MessageSent)]


async def settled(system) -> bool:
    """Whether it has gone through everything, its own messages too."""
    return await checkpoint(system) == await system.log.head()


async def test_a_signed_contract_tells_its_account_manager(system):
    await signed(system)
    async with at_work(system):
        await until(lambda: settled(system), 20)
    (message,) = await told(system)
    assert message == MessageSent(
        dialog_id=dialog_id(SYSTEM, DRAFTER),
        sender_id=SYSTEM,
        recipient_id=DRAFTER,
        text="Contract C-7 Supply was signed.",
    )


async def test_two_at_once_and_one_after_them_tell_it_once(system):
    await signed(system)
    async with at_work(system), at_work(system):
        await until(lambda: settled(system), 20)
    async with at_work(system):
        await signed(system)
        await until(lambda: settled(system), 20)
    assert len(await told(system)) == 2


async def test_a_crash_before_the_checkpoint_repeats_nothing(system):
    await signed(system)
    (*_, recorded) = await system.log.open(await system.log.read(0, 10))
    async with await connect(system.settings.database_url) as connection:
        await reactors.begin(connection)
        for _ in range(3):
            await reactor(system).react(connection, recorded)
    assert (await checkpoint(system), len(await told(system))) == (0, 1)
    async with at_work(system):
        await until(lambda: settled(system), 20)
    assert len(await told(system)) == 1


async def test_a_reaction_that_fails_stops_there_says_so_and_goes_on_later(system, monkeypatch):
    real, failures = system.dialogs.tell, []

    async def failing(*arguments):
        if not failures:
            failures.append(arguments)
            raise RuntimeError("no ink")
        await real(*arguments)

    monkeypatch.setattr(system.dialogs, "tell", failing)
    await signed(system)

    async def stopped():
        row = await one(system, "select failure from projections where name = 'reactor'")
        return row and row[0] and "no ink" in row[0]

    async with at_work(system):
        await until(stopped, 20)
        assert await told(system) == []
        await until(lambda: settled(system), 20)
    assert await one(system, "select failure from projections where name = 'reactor'") == (None,)
    assert len(await told(system)) == 1


async def test_a_received_file_is_asked_to_be_read_through_once(system):
    file_id = new_id()
    await append(system.execute._store, file_id, FileReceived(object_id=new_id(), content_type="text/plain"))
    (*_, recorded) = await system.log.open(await system.log.read(0, 10))
    async with await connect(system.settings.database_url) as connection:
        for _ in range(2):
            await reactor(system).react(connection, recorded)
    assert await one(system, "select kind, about, count(*) over () from operations") == (
        "file.recheck",
        {"file_id": str(file_id)},
        1,
    )


def recorded_as(event) -> Recorded:
    return Recorded(
        position=1,
        event_id=uuid4(),
        stream_id=UUID(int=5),
        version=1,
        recorded_at=datetime(2026, 3, 1, tzinfo=UTC),
        metadata=Metadata(actor=Actor(kind="system", id=SYSTEM), request_id="test"),
        topic=event.TOPIC,
        meta=b"",
        state=b"",
        event=event,
    )


def test_who_signs_himself_or_answers_for_nothing_is_told_nothing():
    then = TELL_ACCOUNT_MANAGER_WHEN_CONTRACT_SIGNED.then
    changed = {"signed_at": SIGNED.signed_at, "signed_version": 1, "document_sha256": "00"}
    assert then(recorded_as(ContractSigned(signed_by=DRAFTER, account_manager_id=DRAFTER, **changed))) == ()
    assert then(recorded_as(ContractSigned(signed_by=SIGNER, **changed))) == ()
    (tell,) = then(recorded_as(ContractSigned(signed_by=SIGNER, account_manager_id=DRAFTER, **changed)))
    assert tell == Tell(user_id=DRAFTER, text=f"Contract {UUID(int=5)} was signed.")


def test_who_is_to_hold_an_occasion_is_told_unless_he_said_so_himself():
    then = TELL_ASSIGNEE_WHEN_OCCASION_ASSIGNED.then
    day = datetime(2026, 6, 4, tzinfo=UTC)
    about = {
        "occasion_id": uuid4(),
        "title": "Fair",
        "starts_at": day.replace(hour=18),
        "ends_at": day.replace(hour=23),
    }
    (tell,) = then(recorded_as(OccasionAssigned(user_id=SIGNER, **about)))
    assert tell == Tell(
        user_id=SIGNER, text="Fair, 2026-06-04 18:00 to 2026-06-04 23:00 UTC, is yours to hold."
    )
    assert then(recorded_as(OccasionAssigned(user_id=None, **about))) == ()
    assert then(recorded_as(OccasionAssigned(user_id=SYSTEM, **about))) == ()


def test_a_file_is_read_through_when_only_its_beginning_was_looked_at():
    event = FileReceived(object_id=uuid4(), content_type="text/plain")
    asked = Ask(kind="file.recheck", about={"file_id": str(UUID(int=5))})
    assert RECHECK_FILE_WHEN_RECEIVED.then(recorded_as(event)) == (asked,)


async def test_account_managers_follow_who_answers_for_a_contact_or_an_organisation(system):
    store, alpha, kevin, contract = system.execute._store, new_id(), new_id(), new_id()
    anna, boris, carla = uuid4(), uuid4(), uuid4()
    await append(store, alpha, OrganisationAdded(full_name="Alpha", account_manager_id=carla))
    await append(store, kevin, ContactAdded(organisation_id=alpha, last_name="Casey", responsible_id=anna))
    drafted = ContractDrafted(
        kind="cooperation",
        organisation_id=alpha,
        contact_id=kevin,
        drafted_by=SIGNER,
        account_manager_id=anna,
    )
    await append(store, contract, drafted)

    async def manager():
        loaded = await store.load(CONTRACT, contract, fresh=True)
        return loaded.state.paper.account_manager_id, loaded.version

    async with at_work(system):
        await append(store, kevin, ContactChanged(responsible_id=boris), expected=1)
        await until(lambda: settled(system), 20)
        assert await manager() == (boris, 2)
        await append(store, alpha, OrganisationChanged(account_manager_id=None), expected=1)
        await until(lambda: settled(system), 20)
        assert await manager() == (boris, 2), "the contact's responsible comes first"
        await append(store, kevin, ContactChanged(responsible_id=None), expected=2)
        await until(lambda: settled(system), 20)
        assert await manager() == (SIGNER, 3), "nobody answers for the party: the drafter does"
