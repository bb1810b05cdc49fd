"""The letter that an organisation document came with: registered once, whatever else is said of the document."""

from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from msgspec.structs import replace

from domain.document.events import DocumentRecorded, Letter, document_id
from domain.document_type.events import DocumentTypeAdded
from domain.letter.events import LetterRegistered
from infrastructure.bootstrap import running
from infrastructure.postgres import connect
from tests.people import append
from tests.serving import settings
from workers.feed import Feed
from workers.reactor import Reactor

pytestmark = pytest.mark.anyio
ALPHA, CHARTER = UUID(int=1), UUID(int=2)
CAME = Letter(sender_number="17/3", sender_date=date(2026, 2, 27), received_on=date(2026, 3, 1))
RECORDED = DocumentRecorded(
    organisation_id=ALPHA,
    type_id=CHARTER,
    prefix="charter",
    number=1,
    date_approved=date(2026, 2, 1),
    letter=CAME,
)


@pytest.fixture
async def system(dsn):
    async with running(settings(dsn, "")) as opened:
        yield opened


async def registered(system, *versions, times=1) -> list[LetterRegistered]:
    """What stands in the register after these versions, when each is reacted to so often."""
    store = system.execute._store
    await append(store, CHARTER, DocumentTypeAdded(name="Устав", prefix="charter"))
    for number, version in enumerate(versions):
        await append(store, document_id(ALPHA, CHARTER), version, expected=number)
    reactor = Reactor(
        system.log,
        Feed(system.log, system.positions, system.nats),
        system.dialogs,
        system.contracts,
        system.brought_letters,
    )
    async with await connect(system.settings.database_url) as connection:
        for recorded in await system.log.open(await system.log.read(0, 100)):
            for _ in range(times):
                await reactor.react(connection, recorded)
    recorded = await system.log.open(await system.log.read(0, 1000))
    return [each.event for each in recorded if isinstance(each.event, LetterRegistered)]


async def test_it_is_registered_once_however_often_it_is_reacted_to(system):
    (letter,) = await registered(system, RECORDED, times=3)
    year = datetime.now(UTC).year
    assert letter == LetterRegistered(
        number=f"IN-{year}-00001",
        organisation_ids=(ALPHA,),
        subject="О направлении документа «Устав»",
        sender_number="17/3",
        sender_date=date(2026, 2, 27),
        received_on=date(2026, 3, 1),
        document_id=document_id(ALPHA, CHARTER),
    )


async def test_a_further_version_with_the_same_letter_is_no_other_letter(system):
    commented = replace(RECORDED, number=2, comment="looked through")
    another = replace(RECORDED, number=3, letter=replace(CAME, sender_number="18/1"))
    letters = await registered(system, RECORDED, commented, another)
    assert [each.sender_number for each in letters] == ["17/3", "18/1"]


async def test_a_document_that_came_without_a_letter_brings_none(system):
    assert await registered(system, replace(RECORDED, letter=None)) == []


async def test_one_of_which_little_is_known_came_today(system):
    (letter,) = await registered(system, replace(RECORDED, letter=Letter(sender_number="17/3")))
    assert (letter.received_on, letter.sender_date) == (datetime.now(UTC).date(), None)


async def test_one_that_was_sent_where_it_is_tomorrow_already_stops_nothing(system):
    ahead = date(2999, 1, 1)
    (letter,) = await registered(system, replace(RECORDED, letter=Letter(sender_date=ahead)))
    assert (letter.sender_date, letter.received_on) == (ahead, ahead)
