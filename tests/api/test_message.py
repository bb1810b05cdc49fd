"""Dialogs and messages over HTTP: between two, read once by the one it is for, nobody else's business."""

import asyncio
from uuid import uuid4

import pytest

pytestmark = pytest.mark.anyio


def code(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.fixture
async def pair(office):
    """Anna, Bert, and the path of their dialog."""
    anna = await office.user(first_name="Anna", last_name="Berg")
    bert = await office.user(first_name="Bert", last_name="Cole")
    opened = await anna.client.post("/dialogs", json={"user_id": str(bert.id)})
    assert opened.status_code == 201
    return anna, bert, f"/dialogs/{opened.json()['id']}"


async def test_two_have_one_dialog_whoever_opens_it(office, pair):
    anna, bert, place = pair
    again = await bert.client.post("/dialogs", json={"user_id": str(anna.id)})
    assert (again.status_code, f"/dialogs/{again.json()['id']}") == (200, place)


async def test_twenty_openings_at_once_make_one_dialog(office):
    anna, bert = await office.user(), await office.user()
    asked = [anna.client.post("/dialogs", json={"user_id": str(bert.id)}) for _ in range(10)]
    answers = await asyncio.gather(*asked)
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_one_speaks_with_others_who_are_there(office, pair):
    anna, _, _ = pair
    assert code(await anna.client.post("/dialogs", json={"user_id": str(anna.id)})) == (
        422,
        "dialog.with_oneself",
    )
    assert code(await anna.client.post("/dialogs", json={"user_id": str(uuid4())})) == (
        422,
        "dialog.user_unknown",
    )


async def test_a_message_is_counted_for_its_recipient_until_read(office, pair):
    anna, bert, place = pair
    sent = await anna.client.post(f"{place}/messages", json={"text": " Hello Bert "})
    assert sent.status_code == 201
    message = sent.headers["location"].removeprefix("/api/v1")
    dialog_id = place.removeprefix("/dialogs/")
    assert (await bert.client.get("/messages/unread-count")).json() == {"total": 1, "dialogs": {dialog_id: 1}}
    assert (await anna.client.get("/messages/unread-count")).json() == {"total": 0, "dialogs": {}}
    (listed,) = (await bert.client.get("/dialogs")).json()["data"]
    assert (listed["title"], listed["unread_count"]) == ("Berg Anna", 1)
    assert listed["last_message"]["text"] == "Hello Bert"
    assert (await bert.client.post(f"{message}/read")).status_code == 200
    async with office.nothing_stored():
        assert (await bert.client.post(f"{message}/read")).status_code == 200
    assert (await bert.client.get("/messages/unread-count")).json() == {"total": 0, "dialogs": {}}
    shown = (await anna.client.get(message)).json()
    assert (shown["state"], shown["text"]) == ("read", "Hello Bert")
    assert (await anna.client.get(f"{message}?as_of=v1")).json()["state"] == "unread"


async def test_the_sender_marks_nothing_and_a_stranger_sees_nothing(office, pair):
    anna, _, place = pair
    stranger = await office.user()
    sent = await anna.client.post(f"{place}/messages", json={"text": "For Bert"})
    message = sent.headers["location"].removeprefix("/api/v1")
    assert code(await anna.client.post(f"{message}/read")) == (403, "message.not_to_you")
    assert (await stranger.client.post(f"{message}/read")).status_code == 404
    for path in (message, f"{message}/history", f"{place}/messages"):
        assert (await stranger.client.get(path)).status_code == 404
        assert (await office.admin.get(path)).status_code == 404
    assert code(await stranger.client.post(f"{place}/messages", json={"text": "x"})) == (
        404,
        "dialog.unknown",
    )
    assert (await stranger.client.get("/dialogs")).json()["data"] == []


async def test_history_comes_newest_first_page_by_page(office, pair):
    anna, bert, place = pair
    for number in range(5):
        await (anna, bert)[number % 2].client.post(f"{place}/messages", json={"text": str(number)})
    seen, token = [], None
    while token is not None or not seen:
        page = (
            await bert.client.get(
                f"{place}/messages", params={"page_size": 2} | ({"page_token": token} if token else {})
            )
        ).json()
        seen += [message["text"] for message in page["data"]]
        token = page["next_page_token"]
    assert seen == ["4", "3", "2", "1", "0"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"text": ""}, 400),
        ({"text": "x" * 4097}, 400),
        ({"attachments": [str(uuid4())] * 11}, 400),
    ],
)
async def test_what_is_no_message_is_not_sent(office, pair, body, status):
    anna, _, place = pair
    async with office.nothing_stored():
        assert (await anna.client.post(f"{place}/messages", json=body)).status_code == status
