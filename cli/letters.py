"""The demo's letters: one comes in, its answer goes out under a number, and one that nobody answered is found."""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cli.story import Story


def correspond(story: Story, ids: Mapping[str, str]) -> None:
    story.step("A letter comes in, is answered, and one that is late is found")
    came = _registered(story, ids["ORANGE"], "On the lighting of the north site", "17/3-204")
    story.shows(f"Orange's letter 17/3-204 is registered as {came['number']}, to be answered by yesterday")
    late = _registered(story, ids["LIDL"], "On the delivery of the old chairs", "L/88")
    story.shows(f"so is Lidl's L/88, as {late['number']}")
    wrong = _incoming(ids["ORANGE"], "A letter from tomorrow, or so", "?") | {"received_on": _day(3)}
    refused = story.call("POST", "/letters/incoming", 422, json=wrong).json()
    story.shows(f"one received three days from now: 422 {refused['errors'][0]['pointer']}")
    answer = _answered(story, ids["ORANGE"], came)
    _corrected(story, came["number"])
    _found(story, late, came, answer)


def _registered(story: Story, organisation_id: str, subject: str, number: str) -> dict[str, Any]:
    body = _incoming(organisation_id, subject, number)
    receipt: dict[str, Any] = story.call("POST", "/letters/incoming", 201, json=body).json()
    return receipt


def _incoming(organisation_id: str, subject: str, number: str) -> dict[str, Any]:
    return {
        "organisation_ids": [organisation_id],
        "subject": subject,
        "sender_number": number,
        "sender_date": _day(-20),
        "received_on": _day(-18),
        "due_on": _day(-1),
    }


def _answered(story: Story, organisation_id: str, came: Mapping[str, Any]) -> dict[str, Any]:
    body = {
        "organisation_ids": [organisation_id],
        "subject": "Our answer on the north site",
        "parent_id": came["id"],
    }
    draft = story.call("POST", "/letters/outgoing", 201, json=body).json()
    drafts = story.read("/letters", filter="unnumbered=true")["data"]
    story.holds(
        "number" not in draft and [each["id"] for each in drafts] == [draft["id"]],
        "the answer is a draft: unnumbered=true finds it, and it has no number",
    )
    headers = {"Idempotency-Key": secrets.token_hex(8)}
    signed: dict[str, Any] = story.call("POST", f"/letters/{draft['id']}/sign", 200, headers=headers).json()
    again = story.call("POST", f"/letters/{draft['id']}/sign", 200, headers=headers).json()
    story.holds(
        signed["number"].startswith("OUT-") and again == signed,
        f"signed, it goes out as {signed['number']}; signed twice under one key, it is signed once",
    )
    parent = story.read(f"/letters/{came['number']}")
    story.holds(
        parent["answered"] and [each["number"] for each in parent["answers"]] == [signed["number"]],
        f"{came['number']} shows its answer {signed['number']}",
    )
    circle = {"parent_id": draft["id"]}
    refused = story.call("PATCH", f"/letters/{came['number']}", 422, json=circle).json()
    story.shows(f"that it should answer its own answer: 422 {refused['code']}")
    return signed


def _corrected(story: Story, number: str) -> None:
    story.call("PATCH", f"/letters/{number}", 200, json={"sender_number": "17/3-205"})
    *_, entry = story.read(f"/letters/{number}/history")["data"]
    (change,) = entry["changes"]
    story.holds(
        (change["from"], change["to"]) == ("17/3-204", "17/3-205"),
        f"a typing mistake is corrected: {change['field']}: {change['from']} → {change['to']}, both stay readable",
    )


def _found(story: Story, late: Mapping[str, Any], came: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    found = [each["number"] for each in story.read("/letters", filter="overdue=true")["data"]]
    story.holds(
        late["number"] in found and not {came["number"], answer["number"]} & set(found),
        f"overdue=true finds {late['number']}, and not {came['number']}, which was answered",
    )


def _day(ahead: int) -> str:
    return (datetime.now(UTC) + timedelta(days=ahead)).date().isoformat()
