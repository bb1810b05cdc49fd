"""The event feed: nothing is skipped, nothing is shown to whom it is hidden, and it says where it is."""

import asyncio
import secrets

import pytest

pytestmark = pytest.mark.anyio
READ = "events:read"


async def feed(client, after, **params):
    answer = await client.get("/events", params={"after": after, **params})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_event_has_the_members_of_the_contract_and_says_who_did_it(office):
    reader, before = await office.user(READ), await office.head()
    organisation = (await office.organisation(full_name="Delta")).rpartition("/")[2]
    page = await feed(reader.client, before)
    (event,) = page["data"]
    assert set(event) == {
        *("position", "event_id", "topic", "stream_id", "version", "recorded_at", "actor", "data")
    }
    assert (event["position"], event["topic"], event["stream_id"], event["version"]) == (
        before + 1,
        "organisation.added.v1",
        organisation,
        1,
    )
    assert event["data"]["full_name"] == "Delta"
    assert event["actor"]["kind"] == "user"
    assert (page["next_after"], page["has_more"]) == (before + 1, False)


async def test_pages_follow_each_other_without_a_gap_under_parallel_writes(office):
    reader, before = await office.user(READ), await office.head()
    office.transport.follows = False
    try:
        writing = asyncio.gather(*(office.organisation(full_name=f"Parallel {n}") for n in range(40)))
        found, after = [], before
        while not writing.done() or len(found) < 40:
            page = await feed(reader.client, after, limit=7)
            found += [event["position"] for event in page["data"]]
            after = page["next_after"]
        await writing
    finally:
        office.transport.follows = True
    assert found == list(range(before + 1, before + 41))
    assert (await feed(reader.client, before, limit=39))["has_more"]
    assert not (await feed(reader.client, before, limit=40))["has_more"]


async def test_a_reader_of_one_organisation_sees_its_records_and_only_the_places_of_others(office):
    hers = (await office.organisation(full_name="Hers")).rpartition("/")[2]
    reader, before = await office.user(READ, scope=("organisation", hers)), await office.head()
    await office.organisation(full_name="Another's")
    (
        await office.admin.post(f"/organisations/{hers}/contacts", json={"last_name": "Byron"})
    ).raise_for_status()
    (await office.admin.patch(f"/organisations/{hers}", json={"short_name": "H"})).raise_for_status()
    told = (await feed(reader.client, before))["data"]
    assert [event["position"] for event in told] == list(range(before + 1, await office.head() + 1))
    hidden = [event for event in told if "hidden" in event]
    assert [event["topic"] for event in hidden] == ["organisation.added.v1"]
    assert hidden == [
        {"position": hidden[0]["position"], "topic": "organisation.added.v1", "hidden": True, "data": None}
    ]
    assert [event["data"] for event in told if event["topic"] == "organisation.changed.v1"] == [
        {"short_name": "H"}
    ]
    assert "Byron" in [event["data"]["last_name"] for event in told if event["topic"] == "contact.added.v1"]


async def test_own_shows_the_records_one_answers_for(office):
    manager = await office.user(READ, scope=("own", "*"))
    before = await office.head()
    await office.organisation(full_name="His", account_manager_id=str(manager.id))
    await office.organisation(full_name="Not his")
    told = (await feed(manager.client, before))["data"]
    assert [event.get("hidden", False) for event in told] == [False, True]


async def test_a_scoped_reader_waits_for_the_read_models_and_is_told_to_come_again(office):
    hers = (await office.organisation(full_name="Hers")).rpartition("/")[2]
    reader, before = await office.user(READ, scope=("organisation", hers)), await office.head()
    (await office.admin.patch(f"/organisations/{hers}", json={"short_name": "H"})).raise_for_status()
    office.transport.follows = False
    try:
        answer = await reader.client.get("/events", params={"after": before})
    finally:
        office.transport.follows = True
    assert (answer.status_code, answer.json()["code"]) == (503, "projection_behind")
    assert answer.headers["retry-after"] == "1"


async def test_what_was_erased_is_null_and_the_event_stays(office):
    reader, before = await office.user(READ), await office.head()
    email = f"{secrets.token_hex(4)}@example.org"
    body = {"email": email, "first_name": "Ada", "last_name": "Byron"}
    user = (await office.admin.post("/users", json=body)).json()["id"]
    (event,) = (await feed(reader.client, before))["data"]
    assert event["data"]["email"] == email
    office.owner.execute("update subject_keys set wrapped = null where subject_id = %s", (user,))
    office.system.log._vault.forget(event["stream_id"])  # it keeps a key for a minute at most
    office.system.log._vault._keys.clear()
    (event,) = (await feed(reader.client, before))["data"]
    assert (event["data"]["email"], event["data"]["last_name"]) == (None, None)
    assert event["data"]["role"] == "user"
    entry = (await office.admin.get(f"/audit/entries/{event['position']}")).json()
    assert entry["data"] == event["data"]


async def test_it_waits_for_a_position_and_knows_none_above_the_head(office):
    reader, head = await office.user(READ), await office.head()
    answer = await reader.client.get("/events", params={"after": 0}, headers={"X-Min-Position": str(head)})
    assert answer.status_code == 200
    assert int(answer.headers["x-projection-position"]) >= head
    far = str(head + 1_000)
    for asked in (
        {"params": {"after": far}},
        {"params": {"after": 0}, "headers": {"X-Min-Position": far}},
    ):
        answer = await reader.client.get("/events", **asked)
        assert (answer.status_code, answer.json()["code"]) == (400, "position.unknown")
    answer = await reader.client.get("/events/stream", headers={"Last-Event-ID": far})
    assert (answer.status_code, answer.json()["code"]) == (400, "position.unknown")


@pytest.mark.parametrize(
    ("path", "params", "headers"),
    [
        ("/events", {"after": "-1"}, {}),
        ("/events", {"after": "x"}, {}),
        ("/events", {"limit": "0"}, {}),
        ("/events", {"before": "1"}, {}),
        ("/events/stream", {"after": "-1"}, {}),
        ("/events/stream", {}, {"Last-Event-ID": "yesterday"}),
        ("/events/stream", {}, {"Last-Event-ID": "-1"}),
        ("/events/stream", {}, {"Last-Event-ID": "9" * 30}),
    ],
)
async def test_what_cannot_be_read_is_400(office, path, params, headers):
    answer = await office.admin.get(path, params=params, headers=headers)
    assert answer.status_code == 400, answer.text


async def test_it_needs_the_right_in_some_scope(office):
    nobody = await office.user()
    for path in ("/events", "/events/stream"):
        assert (await office.stranger.get(path)).status_code == 401
        answer = await nobody.client.get(path)
        assert (answer.status_code, answer.json()["required"]) == (403, READ)
