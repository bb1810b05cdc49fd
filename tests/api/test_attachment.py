"""Files in messages: one's own, whole, once, all or none; whoever reads the message reads them."""

import asyncio
from uuid import uuid4

import pytest

from infrastructure.postgres import connect
from projections.message import MESSAGES
from tests import office as offices
from tests import servers

pytestmark = pytest.mark.anyio
TEXT = b"Attached is what we spoke of.\n"


@pytest.fixture(scope="module")
async def office(cluster, nats_server, object_store):
    with servers.database(cluster) as addresses:
        async with offices.opened(addresses, nats_server.url, **object_store.settings) as opened:
            yield opened


@pytest.fixture
async def pair(office):
    anna, bert = await office.user(), await office.user()
    opened = await anna.client.post("/dialogs", json={"user_id": str(bert.id)})
    return anna, bert, f"/dialogs/{opened.json()['id']}/messages"


async def uploaded(person, *, purpose: str = "attachment", name: str = "note.txt") -> str:
    content = TEXT if purpose == "attachment" else b"\x89PNG\r\n\x1a\n" + bytes(32)
    answer = await person.client.post("/files", files={"file": (name, content)}, data={"purpose": purpose})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def refused(office, person, place, *files: str) -> str:
    """The code of the refusal; nothing is stored, and nothing bound."""
    async with office.nothing_stored():
        answer = await person.client.post(place, json={"text": "See there", "attachments": list(files)})
    assert answer.status_code in (400, 409), answer.text
    return answer.json()["code"]


async def test_both_read_what_is_attached_and_nobody_else(office, pair):
    anna, bert, place = pair
    file_id = await uploaded(anna)
    assert (await bert.client.get(f"/files/{file_id}/content")).status_code == 404
    sent = await anna.client.post(place, json={"attachments": [file_id]})
    assert sent.status_code == 201, sent.text
    (message,) = (await bert.client.get(place)).json()["data"]
    assert (message["text"], message["attachments"]) == (None, [file_id])
    stranger = await office.user()
    for person, status in ((anna, 200), (bert, 200), (stranger, 404)):
        answer = await person.client.get(f"/files/{file_id}/content")
        assert answer.status_code == status
        assert status == 404 or answer.content == TEXT


async def test_ten_may_go_along_and_an_eleventh_stops_all(office, pair):
    anna, _, place = pair
    files = [await uploaded(anna) for _ in range(11)]
    async with office.nothing_stored():
        assert (await anna.client.post(place, json={"attachments": files})).status_code == 400
    assert (await anna.client.post(place, json={"attachments": files[:10]})).status_code == 201


async def test_one_bad_file_stops_all_and_leaves_the_good_ones_free(office, pair):
    anna, bert, place = pair
    good, foreign = await uploaded(anna), await uploaded(bert)
    for bad in (foreign, str(uuid4()), str(anna.id)):
        assert await refused(office, anna, place, good, bad) == "file.not_yours"
    used = await uploaded(anna)
    assert (await anna.client.post(place, json={"attachments": [used]})).status_code == 201
    assert await refused(office, anna, place, good, used) == "file.already_bound"
    async with await connect(office.addresses.app) as connection:
        query = "select count(*) from claims where kind = 'file.binding' and value = %s"
        assert await (await connection.execute(query, (good,))).fetchone() == (0,)
    assert (await anna.client.post(place, json={"attachments": [good]})).status_code == 201


async def test_the_same_file_twice_in_one_message_is_there_once(office, pair):
    anna, _, place = pair
    file_id = await uploaded(anna)
    assert (await anna.client.post(place, json={"attachments": [file_id, file_id]})).status_code == 201
    (message,) = (await anna.client.get(place)).json()["data"]
    assert message["attachments"] == [file_id]


async def test_of_twenty_messages_at_once_one_gets_the_file(office, pair):
    anna, bert, place = pair
    file_id = await uploaded(anna)
    asked = [anna.client.post(place, json={"text": str(n), "attachments": [file_id]}) for n in range(20)]
    answers = await asyncio.gather(*asked)
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {
        "file.already_bound"
    }
    assert len((await bert.client.get(place)).json()["data"]) == 1


async def test_an_avatar_is_an_image_of_ones_own_and_bound_by_it(office):
    anna, bert = await office.user(), await office.user()
    file_id = await uploaded(anna, purpose="avatar", name="me.png")
    foreign = await bert.client.patch("/me", json={"avatar_file_id": file_id})
    assert (foreign.status_code, foreign.json()["code"]) == (400, "file.not_yours")
    assert (await anna.client.patch("/me", json={"avatar_file_id": file_id})).status_code == 200
    assert (await anna.client.get("/me")).json()["avatar_file_id"] == file_id
    assert (await bert.client.get(f"/files/{file_id}/content")).status_code == 200
    assert (await anna.client.patch("/me", json={"avatar_file_id": None})).status_code == 200


async def test_whoever_sees_the_message_has_its_file_though_the_files_own_read_model_lags(office, pair):
    """The message's read model alone comes as far as the message."""
    anna, bert, place = pair
    stranger = await office.user()
    await office.admin.get("/me")
    office.transport.follows = False
    try:
        file_id = await uploaded(anna)
        sent = await anna.client.post(place, json={"attachments": [file_id]})
        position = int(sent.headers["x-event-position"])
        await office.transport._follow(MESSAGES.name)
        for person, status in ((bert, 200), (anna, 200), (stranger, 404)):
            answer = await person.client.get(f"/files/{file_id}/content")
            assert answer.status_code == status, answer.text
        assert (await bert.client.get(f"/files/{file_id}")).json()["state"] == "stored"
        asked = {"X-Min-Position": str(position)}
        late = await bert.client.get(f"/files/{file_id}/content", headers=asked)
        assert (late.status_code, late.json()["code"]) == (503, "projection_behind")
    finally:
        office.transport.follows = True


async def test_the_position_of_a_message_is_enough_to_have_its_file(office, pair):
    """Everything but the message has come so far; then the message does, while he waits."""
    anna, bert, place = pair
    await office.admin.get("/me")
    office.transport.follows = False
    try:
        file_id = await uploaded(anna)
        sent = await anna.client.post(place, json={"attachments": [file_id]})
        for model in ("file", "document", "letter"):
            await office.transport._follow(model)
        assert (await bert.client.get(f"/files/{file_id}/content")).status_code == 404
        asked = {"X-Min-Position": sent.headers["x-event-position"]}
        waiting = asyncio.create_task(bert.client.get(f"/files/{file_id}/content", headers=asked))
        await office.transport._follow(MESSAGES.name)
        while (
            answer := await waiting
        ).status_code == 503:  # a slow machine: he comes again, as he is told to
            waiting = asyncio.create_task(bert.client.get(f"/files/{file_id}/content", headers=asked))
        assert answer.content == TEXT
    finally:
        office.transport.follows = True
