"""Organisations over HTTP: what a command answers, what it refuses, and what is read back."""

import asyncio
from uuid import uuid4

import pytest

pytestmark = pytest.mark.anyio

ALPHA = {"full_name": "Alpha", "identifiers": {"inn": "7707083893", "kpp": "773601001"}}


async def test_adding_answers_with_where_it_stands(client):
    answer = await client.post("/organisations", json=ALPHA)
    assert answer.status_code == 201
    assert answer.headers["location"].endswith(answer.json()["id"])
    assert (answer.headers["etag"], answer.headers["x-event-position"]) == (
        '"v1"',
        str(answer.json()["position"]),
    )
    shown = await client.get(f"/organisations/{answer.json()['id']}")
    assert (shown.status_code, shown.json()["full_name"]) == (200, "Alpha")


async def test_a_stranger_may_neither_add_nor_look(stranger):
    for answer in (await stranger.post("/organisations", json=ALPHA), await stranger.get("/organisations")):
        assert (answer.status_code, answer.json()["code"]) == (401, "missing_bearer_token")


async def test_of_two_with_the_same_numbers_one_is_added_and_named_to_the_other(client):
    answers = await asyncio.gather(*(client.post("/organisations", json=ALPHA) for _ in range(8)))
    (added,) = [answer for answer in answers if answer.status_code == 201]
    refused = [answer for answer in answers if answer.status_code != 201]
    assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {
        (409, "organisation.duplicate")
    }
    assert all(added.json()["id"] in answer.text for answer in refused)


async def test_a_repeat_with_the_same_key_is_answered_and_not_done_again(client):
    key = {"Idempotency-Key": uuid4().hex}
    answers = await asyncio.gather(
        *(client.post("/organisations", json=ALPHA, headers=key) for _ in range(8))
    )
    assert {(answer.status_code, answer.text) for answer in answers} == {(201, answers[0].text)}
    assert (await client.get("/organisations", params={"include_total": True})).json()["total"] == 1
    other = await client.post("/organisations", json={"full_name": "Beta"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_of_two_racing_changes_of_one_version_one_wins(client):
    place = (await client.post("/organisations", json=ALPHA)).headers["location"].removeprefix("/api/v1")
    changes = ({"short_name": name} for name in ("A", "B"))
    answers = await asyncio.gather(
        *(client.patch(place, json=each, headers={"If-Match": '"v1"'}) for each in changes)
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412]


async def test_a_dry_run_tells_the_events_and_stores_none(client):
    answer = await client.post("/organisations", params={"dry_run": True}, json=ALPHA)
    assert answer.status_code == 200
    assert "organisation.added.v1" in answer.text
    assert (await client.get("/organisations")).json()["data"] == []


async def test_a_70_kilobyte_event_is_too_large_and_loses_nothing(client):
    answer = await client.post("/organisations", json={"full_name": "x" * 70_000})
    assert answer.status_code in (400, 413)
    assert (await client.get("/organisations")).json()["data"] == []
