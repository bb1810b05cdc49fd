"""What people want to be told by mail: said by each for himself, and shown to nobody else."""

from typing import get_args

import pytest

from api.commands.notification import Language, Notification
from domain.user.notifications import KINDS, LANGUAGES

pytestmark = pytest.mark.anyio
ALL = ["message.new", "letter.due", "account"]


async def choices(client):
    answer = await client.get("/me/notifications")
    assert answer.status_code == 200, answer.text
    said = answer.json()
    return said["mail"], said["language"]


def test_the_body_names_what_there_is():
    assert (get_args(Notification), get_args(Language)) == (KINDS, LANGUAGES)


async def test_who_never_chose_is_told_everything(office):
    anna = await office.user()
    assert await choices(anna.client) == (ALL, "en")


async def test_one_chooses_and_goes_back(office):
    anna = await office.user()
    chosen = {"mail": ["account", "letter.due", "account"], "language": "fr"}
    made = await anna.client.patch("/me/notifications", json=chosen)
    assert (made.status_code, made.json()["id"]) == (200, str(anna.id))
    assert await choices(anna.client) == (["letter.due", "account"], "fr")
    async with office.nothing_stored():
        again = await anna.client.patch("/me/notifications", json={"mail": ["letter.due", "account"]})
        assert (again.status_code, again.json()["version"]) == (200, made.json()["version"])
        assert (await anna.client.patch("/me/notifications", json={})).status_code == 200
    await anna.client.patch("/me/notifications", json={"mail": []})
    assert await choices(anna.client) == ([], "fr")
    await anna.client.patch("/me/notifications", json={"mail": None, "language": None})
    assert await choices(anna.client) == (ALL, "en")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"mail": ["everything"]}, "/mail/0"),
        ({"mail": "letter.due"}, "/mail"),
        ({"mail": ["account"] * 11}, "/mail"),
        ({"language": "de"}, "/language"),
        ({"language": ""}, "/language"),
        ({"sms": []}, "/sms"),
    ],
)
async def test_bad_fields_are_named_and_nothing_is_stored(office, body, pointer):
    async with office.nothing_stored():
        answer = await office.admin.patch("/me/notifications", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "body.invalid")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_it_is_changed_on_the_version_that_was_read(office):
    anna = await office.user()
    etag = (await anna.client.get("/me/notifications")).headers["etag"]
    headers = {"If-Match": etag}
    first = await anna.client.patch("/me/notifications", json={"mail": []}, headers=headers)
    assert first.status_code == 200, first.text
    second = await anna.client.patch("/me/notifications", json={"language": "ru"}, headers=headers)
    assert (second.status_code, second.json()["current"]) == (412, 2)


async def test_nobody_else_sees_or_chooses(office):
    anna = await office.user()
    await anna.client.patch("/me/notifications", json={"mail": []})
    shown = (await office.admin.get(f"/users/{anna.id}")).json()
    assert not {"mail", "language"} & shown.keys()
    assert (await office.stranger.get("/me/notifications")).status_code == 401
    assert (await office.stranger.patch("/me/notifications", json={"mail": []})).status_code == 401


async def test_a_dry_run_shows_the_event_and_a_key_repeats_nothing(office):
    anna = await office.user()
    async with office.nothing_stored():
        dry = await anna.client.patch("/me/notifications?dry_run=true", json={"mail": ["account"]})
    events = [{"topic": "user.notifications_changed.v1", "data": {"mail": ["account"]}}]
    assert dry.json() == {"events": events}
    answers = [
        await anna.client.patch("/me/notifications", json={"mail": []}, headers={"Idempotency-Key": "k"})
        for _ in range(2)
    ]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["idempotent-replayed"] == "true"


async def test_who_is_forgotten_leaves_no_choice_behind(office):
    anna = await office.user()
    await anna.client.patch("/me/notifications", json={"language": "ru"})
    erased = await office.admin.post(f"/users/{anna.id}/erase", json={"reason": "asked for"})
    assert erased.status_code == 200, erased.text
    await office.admin.get("/me")
    found = await office.system.records["notification"](anna.id)
    assert found.version == 0
