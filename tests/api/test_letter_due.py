"""Letters that nobody answered in time, by the office's own calendar: said once, to who answers for them."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from domain.letter.events import LetterFellDue
from infrastructure.operations import Taken
from tests import office as offices
from tests import servers
from tests.waiting import until
from workers import operations

pytestmark = pytest.mark.anyio
ELSEWHERE = "Etc/GMT+12" if datetime.now(UTC).hour < 11 else "Pacific/Kiritimati"
"""A zone where it is another day than in UTC."""


@pytest.fixture(scope="module")
async def office(cluster, nats_server, object_store):
    """One whose calendar is not that of UTC."""
    with servers.database(cluster) as addresses:
        around = {"time_zone": ELSEWHERE, **object_store.settings}
        async with offices.opened(addresses, nats_server.url, **around) as opened:
            yield opened


def day(ahead=0):
    return (datetime.now(ZoneInfo(ELSEWHERE)) + timedelta(days=ahead)).date().isoformat()


async def registered(office, place, client=None, **fields):
    told = {"sender_number": "17", "sender_date": day(-9), "received_on": day(-9), "due_on": day()}
    body = {"organisation_ids": [place.rpartition("/")[2]], "subject": "On the audit of the north site"}
    answer = await (client or office.admin).post("/letters/incoming", json=body | told | fields)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def sweep(office):
    """What the hourly operation does, on read models that have come as far as the log."""
    await office.transport._follow()
    head, positions = await office.head(), office.system.positions
    await until(lambda: positions.known.get("letter", 0) >= head)
    taken = Taken(id=uuid4(), kind="letter.tell_due", about={}, attempt=1)
    await operations.named("letter.tell_due")(office.system, taken)


async def told(office, letter_id):
    recorded = await office.system.recorded(UUID(letter_id))
    return [each.event for each in recorded if isinstance(each.event, LetterFellDue)]


async def test_it_is_told_on_its_day_once_and_again_for_another_day(office):
    place = await office.organisation()
    late, today, waiting = [await registered(office, place, due_on=day(ahead)) for ahead in (-1, 0, 1)]
    await sweep(office)
    await sweep(office)
    assert [len(await told(office, each)) for each in (late, today, waiting)] == [1, 1, 0]
    await office.admin.patch(f"/letters/{late}", json={"due_on": day()})
    await office.admin.patch(f"/letters/{today}", json={"due_on": day(2)})
    await office.admin.patch(f"/letters/{today}", json={"due_on": day()})
    await sweep(office)
    assert [str(each.due_on) for each in await told(office, late)] == [day(-1), day()]
    assert len(await told(office, today)) == 1
    shown = (await office.admin.get(f"/letters/{late}")).json()
    assert shown["told_due"] == [day(-1), day()]


async def test_several_who_sweep_at_once_tell_it_once(office):
    letter = await registered(office, await office.organisation())
    (entered,) = await office.system.recorded(UUID(letter))
    telling = (office.system.letters_due.tell(UUID(letter), entered.metadata.actor) for _ in range(5))
    await asyncio.gather(*telling)
    assert len(await told(office, letter)) == 1


async def test_what_was_answered_or_withdrawn_is_not_told(office):
    place = await office.organisation()
    answered, gone = [await registered(office, place) for _ in range(2)]
    body = {
        "organisation_ids": [place.rpartition("/")[2]],
        "subject": "Our answer to that",
        "parent_id": answered,
    }
    reply = (await office.admin.post("/letters/outgoing", json=body)).json()["id"]
    signed = await office.admin.post(f"/letters/{reply}/sign", headers={"Idempotency-Key": "s"})
    assert signed.status_code == 200, signed.text
    await office.admin.post(f"/letters/{gone}/withdraw", json={"reason": "twice"})
    await sweep(office)
    assert [await told(office, each) for each in (answered, gone)] == [[], []]


async def test_account_managers_who_view_it_are_told_else_whoever_set_the_day(office):
    manager, blind = await office.user("letter:view"), await office.user()
    clerk = await office.user("letter:view", "letter:create")
    places = [
        await office.organisation(account_manager_id=str(each.id) if each else None)
        for each in (manager, blind, None)
    ]
    letters = [await registered(office, place, clerk.client) for place in places]
    await sweep(office)
    concerned = [each.user_ids for letter in letters for each in await told(office, letter)]
    assert concerned == [(manager.id,), (clerk.id,), (clerk.id,)]
    another = await office.user("letter:view", "letter:edit")
    await another.client.patch(f"/letters/{letters[2]}", json={"due_on": day(-2)})
    await another.client.patch(f"/letters/{letters[1]}", json={"sender_number": "18"})
    await sweep(office)
    assert (await told(office, letters[2]))[-1].user_ids == (another.id,)
    assert len(await told(office, letters[1])) == 1


async def test_where_nobody_may_act_any_more_it_is_said_to_nobody(office):
    clerk = await office.user("letter:view", "letter:create")
    letter = await registered(office, await office.organisation(), clerk.client)
    blocked = await office.admin.post(f"/users/{clerk.id}/block", json={"reason": "left"})
    assert blocked.status_code == 200, blocked.text
    await sweep(office)
    (event,) = await told(office, letter)
    assert event.user_ids == ()


async def test_lists_and_exports_know_what_is_overdue_by_the_same_calendar(office):
    place = await office.organisation()
    letters = [await registered(office, place, due_on=day(ahead)) for ahead in (-1, 0)]
    text = f"overdue=true AND organisation={place.rpartition('/')[2]}"
    found = (await office.admin.get("/letters", params={"filter": text})).json()["data"]
    assert [each["id"] for each in found] == letters[:1]
    wanted = {"list": "letters", "filter": text, "format": "ndjson", "fields": "id"}
    answer = await office.admin.post("/exports", json=wanted)
    assert answer.status_code == 202, answer.text
    export_id = answer.json()["id"]
    taken = Taken(id=uuid4(), kind="export.run", about={"export_id": export_id}, attempt=1)
    await operations.named("export.run")(office.system, taken)
    content = await office.admin.get(f"/exports/{export_id}/content")
    assert [line for line in content.text.splitlines() if line] == [f'{{"id":"{letters[0]}"}}']
