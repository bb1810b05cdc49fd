"""Dialogs and messages over HTTP: between two, read once by the one it is for, nobody else's business."""

import asyncio
from uuid import UUID, uuid4

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


async def test_nobody_opens_a_dialog_with_who_is_blocked(office):
    anna, bert = await office.user(), await office.user()
    (await office.admin.post(f"/users/{bert.id}/block", json={"reason": "x"})).raise_for_status()
    async with office.nothing_stored():
        answer = await anna.client.post("/dialogs", json={"user_id": str(bert.id)})
        assert code(answer) == (422, "dialog.user_unknown")


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


def id_of(sent) -> str:
    return sent.headers["location"].rpartition("/")[2]


async def test_all_up_to_one_message_are_read_by_one_fact(office, pair):
    anna, bert, place = pair
    dialog_id = place.removeprefix("/dialogs/")
    first, second, third = [
        id_of(await anna.client.post(f"{place}/messages", json={"text": text})) for text in "abc"
    ]
    answer = await anna.client.post(f"{place}/messages", json={"text": "d"})
    back = id_of(await bert.client.post(f"{place}/messages", json={"text": "e"}))
    assert (await bert.client.post(f"/messages/{first}/read")).status_code == 200
    before = await office.head()
    read = await bert.client.post(f"{place}/read-up-to", json={"message_id": third})
    assert (read.status_code, read.json()["id"], await office.head()) == (200, dialog_id, before + 1)
    async with office.nothing_stored():
        for message in (third, second, first):
            again = await bert.client.post(f"{place}/read-up-to", json={"message_id": message})
            assert (again.status_code, again.json()) == (200, read.json())
            assert (await bert.client.post(f"/messages/{message}/read")).status_code == 200
    assert (await bert.client.get("/messages/unread-count")).json() == {"total": 1, "dialogs": {dialog_id: 1}}
    assert (await anna.client.get("/messages/unread-count")).json() == {"total": 1, "dialogs": {dialog_id: 1}}
    (listed,) = (await bert.client.get("/dialogs")).json()["data"]
    assert (listed["unread_count"], listed["last_message"]["text"]) == (1, "e")
    unread = {"filter": "state=unread"}
    found = (await bert.client.get(f"{place}/messages", params=unread)).json()["data"]
    assert {each["id"] for each in found} == {id_of(answer), back}
    shown = (await anna.client.get(f"/messages/{second}")).json()
    assert (shown["state"], shown["version"]) == ("read", 1)
    assert (await anna.client.get(f"/messages/{second}?as_of={before}")).json()["state"] == "unread"
    assert (await anna.client.get(f"/messages/{second}?as_of={before + 1}")).json() == shown
    history = (await bert.client.get(f"/messages/{second}/history")).json()["data"]
    assert [each["topic"] for each in history] == ["message.sent.v1", "dialog.read.v1"]
    changes = {each["field"]: (each["from"], each["to"]) for each in history[1]["changes"]}
    assert changes["state"] == ("unread", "read")
    newest = await bert.client.post(f"{place}/read-up-to", json={"message_id": id_of(answer)})
    assert newest.json()["version"] == read.json()["version"] + 1
    assert (await bert.client.get("/messages/unread-count")).json() == {"total": 0, "dialogs": {}}


async def test_twenty_who_read_up_to_one_at_once_leave_one_fact(office, pair):
    anna, bert, place = pair
    message = id_of(await anna.client.post(f"{place}/messages", json={"text": "a"}))
    before = await office.head()
    body = {"message_id": message}
    answers = await asyncio.gather(*(bert.client.post(f"{place}/read-up-to", json=body) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert await office.head() == before + 1


async def test_a_dialog_is_read_up_to_a_message_to_oneself_in_it(office, pair):
    anna, bert, place = pair
    carl = await office.user()
    opened = await anna.client.post("/dialogs", json={"user_id": str(carl.id)})
    elsewhere = f"/dialogs/{opened.json()['id']}"
    mine = id_of(await bert.client.post(f"{place}/messages", json={"text": "mine"}))
    other = id_of(await carl.client.post(f"{elsewhere}/messages", json={"text": "other"}))
    async with office.nothing_stored():
        for person, path, message, refused in (
            (bert, place, mine, (403, "message.not_to_you")),
            (bert, place, other, (404, "message.unknown")),
            (bert, place, str(uuid4()), (404, "message.unknown")),
            (bert, elsewhere, other, (404, "dialog.unknown")),
            (carl, place, mine, (404, "dialog.unknown")),
            (bert, f"/dialogs/{uuid4()}", mine, (404, "dialog.unknown")),
            (bert, place, "first", (400, "body.invalid")),
        ):
            answer = await person.client.post(f"{path}/read-up-to", json={"message_id": message})
            assert code(answer) == refused
        answer = await bert.client.post(f"{place}/read-up-to", json={})
        assert code(answer) == (400, "body.invalid")
        foreseen = await anna.client.post(f"{place}/read-up-to?dry_run=true", json={"message_id": mine})
        assert [event["topic"] for event in foreseen.json()["events"]] == ["dialog.read.v1"]


async def test_who_is_blocked_sends_nothing_and_what_he_said_stays(office, pair):
    anna, bert, place = pair
    sent = await bert.client.post(f"{place}/messages", json={"text": "before"})
    (await office.admin.post(f"/users/{bert.id}/block", json={"reason": "x"})).raise_for_status()
    async with office.nothing_stored():
        answer = await bert.client.post(f"{place}/messages", json={"text": "after"})
        assert answer.status_code == 401
    found = (await anna.client.get(f"{place}/messages")).json()["data"]
    assert [each["text"] for each in found] == ["before"]
    assert (await anna.client.post(f"/messages/{id_of(sent)}/read")).status_code == 200
    waiting = await anna.client.post(f"{place}/messages", json={"text": "for later"})
    assert waiting.status_code == 201
    (await office.admin.post(f"/users/{bert.id}/unblock")).raise_for_status()
    back = await office.signed_in(bert.email)
    assert (await back.get("/messages/unread-count")).json()["total"] == 1
    assert (await back.post(f"{place}/messages", json={"text": "again"})).status_code == 201


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
        ({"text": "  \n\t "}, 400),
        ({"text": None}, 422),
        ({"text": "a\0b"}, 400),
        ({"text": ["a"]}, 400),
        ({"text": "a", "attachments": ["../secret"]}, 400),
        ({"text": "a", "attachments": None}, 400),
        ({"text": "a", "sender_id": str(uuid4())}, 400),
        ({"text": "x" * (1 << 20)}, 413),
    ],
)
async def test_what_is_no_message_is_not_sent(office, pair, body, status):
    anna, _, place = pair
    async with office.nothing_stored():
        assert (await anna.client.post(f"{place}/messages", json=body)).status_code == status
    assert (await anna.client.post(f"{place}/messages", json={"text": "honest"})).status_code == 201


@pytest.mark.parametrize(
    "text",
    [
        "\x07 bell, \x1b[31mescape\x1b[0m, \x7f delete",
        "see https://example.org/?a=1&b=<script>alert(1)</script>#x and javascript:alert(1)",
        "'; drop table read.message; -- %s {0} ${x}",
        "\u202egnp.exe\u202c and 👩‍👩‍👧 and Ёлка",
        "two\nlines\r\n\tand a tab",
    ],
)
async def test_control_characters_and_links_are_kept_as_they_were_written(office, pair, text):
    anna, bert, place = pair
    assert (await anna.client.post(f"{place}/messages", json={"text": text})).status_code == 201
    (found,) = (await bert.client.get(f"{place}/messages")).json()["data"]
    assert found["text"] == text
    (listed,) = (await bert.client.get("/dialogs")).json()["data"]
    assert listed["last_message"]["text"] == text


async def test_somebody_to_write_to_is_found_by_name_and_by_department(office):
    made = await office.admin.post("/departments", json={"name": "Сбыт и Ёлки"})
    vera = await office.user(first_name="Вера", last_name="Орлова", department_id=UUID(made.json()["id"]))
    plain = await office.user()
    for asked in (
        'name:"орлова ве" AND department:"ёлки"',
        'department="сбыт и елки"',
        "department_name:сбыт",
    ):
        found = (await plain.client.get("/users", params={"filter": asked})).json()["data"]
        assert [each["id"] for each in found] == [str(vera.id)], asked
        assert not {"email", "phone"} & found[0].keys()
    assert (await plain.client.get("/users", params={"filter": "department:склад"})).json()["data"] == []
    assert code(await plain.client.get("/users", params={"order_by": "department"}))[0] == 400
    opened = await plain.client.post("/dialogs", json={"user_id": str(vera.id)})
    assert opened.status_code == 201
    (listed,) = (await plain.client.get("/dialogs")).json()["data"]
    assert (listed["title"], listed["department"]) == ("Орлова Вера", "Сбыт и Ёлки")
