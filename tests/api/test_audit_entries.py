"""Who did what, when, from where, on whose authority: entries found by each of these, and the same after a rebuild."""

from datetime import datetime, timedelta

import pytest

from projections.projection import discover
from tests.api.test_internal import client_of
from tests.api.test_step_up import age
from tests.serving import PASSWORD
from workers.rebuild import rebuild

pytestmark = pytest.mark.anyio


async def found(office, asked: str) -> list[dict]:
    answer = await office.admin.get("/audit/entries", params={"filter": asked, "page_size": 100})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def entry(office, position: str | int) -> dict:
    answer = await office.admin.get(f"/audit/entries/{position}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_entry_is_found_by_actor_right_session_request_time_and_topic(office):
    clerk = await office.user()
    right = office.grant(clerk.id, "organisation:create")
    headers = {"X-Request-Id": f"from-{clerk.id}", "User-Agent": "a browser"}
    made = await clerk.client.post("/organisations", json={"full_name": "Audited"}, headers=headers)
    one = await entry(office, made.headers["x-event-position"])
    assert (one["allowed_by"], one["actor"]) == (str(right), {"kind": "user", "id": str(clerk.id)})
    assert (one["request_id"], one["agent"], one["cause"]) == (headers["X-Request-Id"], "a browser", None)
    assert one["address"]
    assert one["session_id"]
    at = datetime.fromisoformat(one["recorded_at"])
    before, after = [(at + timedelta(seconds=s)).isoformat() for s in (-60, 60)]
    mine = f"actor={clerk.id} AND topic=organisation.added.v1"
    for asked in (
        mine,
        f'allowed_by="{right}"',
        f"session_id={one['session_id']} AND topic=organisation.added.v1",
        f"request_id={headers['X-Request-Id']}",
        f"subject={made.json()['id']}",
        f'{mine} AND time>="{before}" AND time<="{after}"',
        f"event_id={one['event_id']}",
        f"{mine} AND actor_kind=user AND cause=null",
    ):
        assert [each["position"] for each in await found(office, asked)] == [one["position"]], asked
    for asked in (f'{mine} AND time<"{before}"', f'{mine} AND time>"{after}"', f"{mine} AND allowed_by=null"):
        assert await found(office, asked) == [], asked


async def test_a_programs_entries_are_found_by_the_program(office):
    client = await client_of(office, "organisation:create")
    made = await office.stranger.post("/organisations", json={"full_name": "By a program"}, headers=client)
    assert made.status_code == 201, made.text
    one = await entry(office, made.headers["x-event-position"])
    assert one["actor"]["kind"] == "client"
    assert [each["position"] for each in await found(office, f"actor={one['actor']['id']}")] == [
        one["position"]
    ]


async def test_a_sign_in_a_step_up_and_a_sign_out_are_entries_with_address_and_agent(office):
    person = await office.user()
    client = await office.signed_in(person.email)
    age(office, person)
    proved = await client.post(
        "/auth/step-up", json={"password": PASSWORD}, headers={"User-Agent": "a phone"}
    )
    assert proved.status_code == 200
    client.headers["Authorization"] = f"Bearer {proved.json()['access_token']}"
    assert (await client.post("/auth/logout", headers={"User-Agent": "a phone"})).status_code == 204
    said = await found(office, f"actor={person.id}")
    topics = [each["topic"] for each in reversed(said)]
    assert topics == ["session.opened.v1", "session.opened.v1", "session.proved.v1", "session.closed.v1"]
    assert all(each["address"] and each["agent"] for each in said)
    assert [each["agent"] for each in said[:2]] == ["a phone"] * 2


async def test_entries_are_the_same_after_the_log_was_read_again(office):
    await office.organisation()
    before = await found(office, "position>0")
    await rebuild(office.system.url, office.system.log, discover()["audit_log"])
    assert await found(office, f"position<={before[0]['position']}") == before


@pytest.mark.parametrize(
    "asked", ["address=127.0.0.1", "agent=curl", "actor=me", "time>yesterday", "position=first", "nothing=1"]
)
async def test_what_cannot_be_asked_for_is_refused(office, asked):
    answer = await office.admin.get("/audit/entries", params={"filter": asked})
    assert (answer.status_code, answer.json()["code"].startswith("filter_")) == (400, True)
