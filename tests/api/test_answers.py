"""Receipts, records and pages are written once, with the headers that readers rely on."""

import json

import pytest
from msgspec import Raw, structs

from api.answers import etag, json_answer, nothing, page, receipt, record
from application.ports import Answer
from tests.api.tiny import ID, client


def test_a_receipt_names_what_was_made():
    answer = receipt(ID, 1, 42, {"number": "IN-2026-00001"}, status=201, location="/api/v1/houses/1")
    assert json.loads(answer.body) == {"id": str(ID), "version": 1, "position": 42, "number": "IN-2026-00001"}
    headers = dict(answer.fields)
    assert (answer.status, headers[b"etag"], headers[b"x-event-position"]) == (201, b'"v1"', b"42")
    assert headers[b"location"] == b"/api/v1/houses/1"
    assert b"idempotent-replayed" not in headers


def test_a_receipt_takes_the_applications_answer_whole():
    said = Answer(id=ID, version=2, position=3, status=200, replayed=True)
    assert dict(receipt(**structs.asdict(said)).fields)[b"idempotent-replayed"] == b"true"


def test_a_record_is_tagged_by_version_and_body():
    body = b'{"name":"x"}'
    first, other = record(body, 17, 9), record(b'{"name":"y"}', 17, 9)
    tag = dict(first.fields)[b"etag"].decode()
    assert tag == etag(17, body)
    assert tag.startswith('"v17-')
    assert tag != dict(other.fields)[b"etag"].decode()


@pytest.mark.parametrize("given", ["{tag}", "W/{tag}", '"x", {tag}', "*"])
def test_who_holds_the_body_gets_304(given: str):
    body = b'{"name":"x"}'
    answer = record(body, 17, 9, given.format(tag=etag(17, body)))
    assert (answer.status, answer.body) == (304, b"")
    assert not {b"content-length", b"content-type"} & dict(answer.fields).keys()
    assert dict(answer.fields)[b"x-projection-position"] == b"9"


def test_who_holds_another_body_gets_the_new_one():
    assert record(b"{}", 17, 9, '"v17"').status == 200


def test_a_page_links_to_the_next():
    rows = [Raw(b'{"a":1}'), {"a": 2}]
    answer = page(
        rows, projection_position=9, url="/api/v1/houses?filter=a%3D1&page_token=old", next_page_token="t+/="
    )
    assert json.loads(answer.body) == {
        "data": [{"a": 1}, {"a": 2}],
        "has_more": True,
        "next_page_token": "t+/=",
    }
    expected = b'</api/v1/houses?filter=a%3D1&page_token=t%2B%2F%3D>; rel="next"'
    assert dict(answer.fields)[b"link"] == expected


def test_the_last_page_links_nowhere():
    answer = page([], projection_position=9, url="/api/v1/houses", total=0)
    assert json.loads(answer.body) == {"data": [], "has_more": False, "next_page_token": None, "total": 0}
    assert b"link" not in dict(answer.fields)


def test_nothing_is_204_and_anything_is_json():
    assert (nothing().status, nothing().fields) == (204, [])
    assert json_answer({"a": ID}).body == f'{{"a":"{ID}"}}'.encode()


@pytest.mark.anyio
async def test_answers_leave_as_they_were_written():
    async with client() as http:
        made = await http.post("/api/v1/houses", json={"name": "x"})
        listed = await http.get("/api/v1/houses?page_size=2")
    assert (made.status_code, made.headers["etag"], made.headers["x-event-position"]) == (201, '"v1"', "7")
    assert made.json()["id"] == str(ID)
    assert listed.json()["data"] == [{"size": 2}]
    assert listed.headers["link"] == '</api/v1/houses?page_size=2&page_token=next>; rel="next"'
