"""What a request is made conditional on: a version, a key, a position, a rehearsal, a body already known."""

import asyncio
from uuid import uuid4

import pytest

pytestmark = pytest.mark.anyio

ABSENT = f"/organisations/{uuid4()}"


def numbers(inn: int) -> dict:
    return {"identifiers": {"inn": str(inn), "kpp": "773601001"}}


@pytest.fixture
async def place(office):
    return await office.organisation()


# --- receipts -----------------------------------------------------------------------------------------------


async def test_a_command_answers_with_a_receipt(office, place):
    answer = await office.admin.patch(place, json={"short_name": "A"})
    receipt = answer.json()
    assert answer.status_code == 200
    assert receipt == {"id": place.rpartition("/")[2], "version": 2, "position": await office.head()}
    assert answer.headers["etag"] == '"v2"'
    assert answer.headers["x-event-position"] == str(receipt["position"])
    assert "location" not in answer.headers


async def test_what_was_made_is_found_where_the_answer_says(office):
    answer = await office.admin.post("/organisations", json={"full_name": "Found"})
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/api/v1/organisations/{answer.json()['id']}"
    shown = await office.admin.get(answer.headers["location"].removeprefix("/api/v1"))
    assert shown.json()["full_name"] == "Found"


@pytest.mark.parametrize(
    "nothing",
    [{}, {"short_name": None}, {"full_name": "Alpha"}, {"identifiers": {}}, {"full_name": " Alpha "}],
)
async def test_a_change_that_changes_nothing_answers_with_what_is_there(office, nothing):
    place = await office.organisation()
    made = await office.head()
    await office.organisation(full_name="Another")
    async with office.nothing_stored():
        answer = await office.admin.patch(place, json=nothing)
    assert (answer.status_code, answer.json()["version"], answer.json()["position"]) == (200, 1, made)
    assert (answer.headers["etag"], answer.headers["x-event-position"]) == ('"v1"', str(made))


async def test_archiving_twice_is_archiving_once(office, place):
    once = await office.admin.post(f"{place}/archive", json={"reason": "Closed"})
    async with office.nothing_stored():
        twice = await office.admin.post(f"{place}/archive")
    assert once.json() == twice.json()


# --- If-Match -----------------------------------------------------------------------------------------------


async def test_a_change_of_another_version_is_refused_and_named_the_present_one(office, place):
    await office.admin.patch(place, json={"short_name": "A"})
    async with office.nothing_stored():
        answer = await office.admin.patch(place, json={"short_name": "B"}, headers={"If-Match": '"v1"'})
    assert (answer.status_code, answer.json()["code"], answer.json()["current"]) == (
        412,
        "version_mismatch",
        2,
    )
    again = await office.admin.patch(place, json={"short_name": "B"}, headers={"If-Match": '"v2"'})
    assert again.json()["version"] == 3


async def test_the_etag_of_a_read_is_good_for_a_command(office, place):
    shown = await office.admin.get(place)
    answer = await office.admin.patch(
        place, json={"short_name": "A"}, headers={"If-Match": shown.headers["etag"]}
    )
    assert answer.status_code == 200


async def test_a_change_that_would_change_nothing_is_still_held_to_its_version(office, place):
    await office.admin.patch(place, json={"short_name": "A"})
    answer = await office.admin.patch(place, json={"short_name": "A"}, headers={"If-Match": '"v1"'})
    assert answer.status_code == 412


@pytest.mark.parametrize("malformed", ["v1", '"1"', '"v0"', '"v1", "v2"', '"v99999999999999999999"', ""])
async def test_a_version_that_cannot_be_read_is_no_version(office, place, malformed):
    answer = await office.admin.patch(place, json={"short_name": "A"}, headers={"If-Match": malformed})
    assert (answer.status_code, answer.json()["code"]) == (400, "condition.malformed")


async def test_of_two_changes_racing_for_one_version_one_wins(office, place):
    changes = ({"short_name": name} for name in ("A", "B"))
    answers = await asyncio.gather(
        *(office.admin.patch(place, json=each, headers={"If-Match": '"v1"'}) for each in changes)
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412]


async def test_changes_without_a_version_are_all_made_one_after_the_other(office, place):
    changes = ({"region_code": str(number)} for number in range(12))
    answers = await asyncio.gather(*(office.admin.patch(place, json=each) for each in changes))
    assert sorted(answer.json()["version"] for answer in answers) == list(range(2, 14))


# --- Idempotency-Key ----------------------------------------------------------------------------------------


def key() -> dict[str, str]:
    return {"Idempotency-Key": uuid4().hex}


async def test_twenty_at_once_with_one_key_are_one(office):
    given, before = key(), await office.head()
    answers = await asyncio.gather(
        *(office.admin.post("/organisations", json={"full_name": "Once"}, headers=given) for _ in range(20))
    )
    assert await office.head() == before + 1
    assert {(a.status_code, a.text, a.headers["location"], a.headers["etag"]) for a in answers} == {
        (201, answers[0].text, answers[0].headers["location"], '"v1"')
    }
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1


async def test_the_stored_answer_stays_what_it_was(office):
    given = key()
    first = await office.admin.post(
        "/organisations", json={"full_name": "Once", **numbers(1234567890)}, headers=given
    )
    place = first.headers["location"].removeprefix("/api/v1")
    await office.admin.patch(place, json={"short_name": "A"})
    again = await office.admin.post(
        "/organisations",
        content='{"identifiers":{"kpp":"773601001","inn":"1234567890"}, "full_name":"Once"}',
        headers={**given, "Content-Type": "application/json"},
    )
    assert (again.status_code, again.text) == (201, first.text)
    assert first.json()["warnings"][0]["pointer"] == "/identifiers/inn"
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]


async def test_a_key_means_one_request_of_one_caller_at_one_address(office):
    given = key()
    await office.admin.post("/organisations", json={"full_name": "Once"}, headers=given)
    async with office.nothing_stored():
        other_body = await office.admin.post("/organisations", json={"full_name": "Twice"}, headers=given)
        other_query = await office.admin.post(
            "/organisations?dry_run=false", json={"full_name": "Once"}, headers=given
        )
    for answer in (other_body, other_query):
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    another = await office.user("organisation:create")
    theirs = await another.client.post("/organisations", json={"full_name": "Twice"}, headers=given)
    assert theirs.status_code == 201
    place = await office.organisation()
    elsewhere = await office.admin.patch(place, json={"full_name": "Twice"}, headers=given)
    assert (elsewhere.status_code, elsewhere.json()["version"]) == (200, 2)


async def test_a_refusal_is_not_kept(office):
    given, place = key(), await office.organisation()
    refused = await office.admin.patch(place, json={"short_name": "A"}, headers={**given, "If-Match": '"v7"'})
    assert refused.status_code == 412
    done = await office.admin.patch(place, json={"short_name": "A"}, headers=given)
    assert (done.status_code, "idempotent-replayed" in done.headers) == (200, False)


async def test_that_nothing_changed_is_kept_too(office, place):
    given, made = key(), await office.head()
    first = await office.admin.patch(place, json={}, headers=given)
    await office.admin.patch(place, json={"short_name": "A"})
    again = await office.admin.patch(place, json={}, headers=given)
    assert first.json() == again.json() == {"id": place.rpartition("/")[2], "version": 1, "position": made}
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_seen_key_is_answered_before_anything_about_the_record(office, place):
    given = key()
    first = await office.admin.patch(place, json={"short_name": "A"}, headers={**given, "If-Match": '"v1"'})
    await office.admin.post(f"{place}/archive")
    again = await office.admin.patch(place, json={"short_name": "A"}, headers={**given, "If-Match": '"v1"'})
    assert (again.status_code, again.text) == (200, first.text)


@pytest.mark.parametrize("malformed", ["", " ", "x" * 256, "tab\there", "é".encode()])
async def test_a_key_is_visible_ascii(office, malformed):
    async with office.nothing_stored():
        answer = await office.admin.post(
            "/organisations", json={"full_name": "Once"}, headers={"Idempotency-Key": malformed}
        )
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_malformed")


# --- dry_run ------------------------------------------------------------------------------------------------


async def test_a_rehearsal_tells_the_events_and_stores_none(office, place):
    given = key()
    async with office.nothing_stored():
        add = await office.admin.post("/organisations?dry_run=true", json={"full_name": "B"}, headers=given)
        change = await office.admin.patch(f"{place}?dry_run=true", json={"short_name": "A"})
        nothing = await office.admin.patch(f"{place}?dry_run=true", json={})
    assert (add.status_code, add.json()["events"][0]["topic"]) == (200, "organisation.added.v1")
    assert change.json() == {"events": [{"topic": "organisation.changed.v1", "data": {"short_name": "A"}}]}
    assert nothing.json() == {"events": []}
    made = await office.admin.post("/organisations", json={"full_name": "C"}, headers=given)
    assert made.status_code == 201, "the rehearsal left the key free"


async def test_a_rehearsal_is_refused_what_the_play_would_be(office, place):
    await office.admin.post(f"{place}/archive")
    rehearsed = await office.admin.patch(f"{place}?dry_run=true", json={"short_name": "A"})
    assert (rehearsed.status_code, rehearsed.json()["code"]) == (409, "organisation.archived")
    assert (await office.admin.patch(f"{ABSENT}?dry_run=true", json={})).status_code == 404
    large = {"addresses": {kind: {"text": "é" * 10_000} for kind in ("legal", "factual", "mailing")}}
    too_large = await office.admin.post("/organisations?dry_run=true", json={"full_name": "é" * 999, **large})
    assert (too_large.status_code, too_large.json()["code"]) == (413, "event.too_large")
    taken = {"full_name": "A", "identifiers": {"inn": "9999999999"}}
    await office.admin.post("/organisations", json=taken)
    async with office.nothing_stored():
        duplicate = await office.admin.post("/organisations?dry_run=true", json=taken)
    assert (duplicate.status_code, duplicate.json()["code"]) == (409, "organisation.duplicate")


# --- X-Min-Position, X-Projection-Position ------------------------------------------------------------------


@pytest.fixture
def lagging(office):
    office.transport.follows = False
    yield
    office.transport.follows = True


READS = ["", "?as_of=v1", "/history", "/diff?from=v1&to=v1"]


@pytest.mark.parametrize("read", READS)
async def test_a_read_says_how_far_it_knows_the_log(office, read):
    place = await office.organisation()
    head = await office.head()
    answer = await office.admin.get(f"{place}{read}", headers={"X-Min-Position": str(head)})
    assert answer.status_code == 200
    assert int(answer.headers["x-projection-position"]) >= head


async def test_a_read_waits_for_the_position_it_was_told(office, lagging):
    await office.transport._follow()
    answer = await office.admin.post("/organisations", json={"full_name": "Awaited"})
    place = answer.headers["location"].removeprefix("/api/v1")
    asked = asyncio.create_task(
        office.admin.get(place, headers={"X-Min-Position": answer.headers["x-event-position"]})
    )
    await asyncio.wait([asked], timeout=0.1)
    assert not asked.done()
    await office.transport._follow()
    assert (await asked).json()["full_name"] == "Awaited"


async def test_a_read_model_that_does_not_come_is_told_so(office, lagging):
    await office.transport._follow()
    await office.organisation()
    asked = {"X-Min-Position": str(await office.head())}
    one, many = await asyncio.gather(
        office.admin.get("/me", headers=asked), office.admin.get("/organisations", headers=asked)
    )
    for answer in (one, many):
        assert (answer.status_code, answer.json()["code"]) == (503, "projection_behind")
        assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("asked", "code"),
    [(str(10**15), "position.unknown"), ("-1", "condition.malformed"), ("v1", "condition.malformed")],
)
@pytest.mark.parametrize("read", ["/me", "/organisations", "/users", "/auth/sessions"])
async def test_a_position_that_is_not_there_is_refused(office, read, asked, code):
    answer = await office.admin.get(read, headers={"X-Min-Position": asked})
    assert (answer.status_code, answer.json()["code"]) == (400, code)


@pytest.mark.parametrize("read", READS[1:])
async def test_the_past_knows_the_last_position_too(office, place, read):
    answer = await office.admin.get(f"{place}{read}", headers={"X-Min-Position": str(10**15)})
    assert (answer.status_code, answer.json()["code"]) == (400, "position.unknown")


# --- ETag, If-None-Match, HEAD ------------------------------------------------------------------------------


@pytest.mark.parametrize("read", ["", "?as_of=v1"])
async def test_who_holds_the_record_is_not_sent_it_again(office, place, read):
    shown = await office.admin.get(f"{place}{read}")
    tag = shown.headers["etag"]
    assert tag.startswith('"v1-')
    for asked in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = await office.admin.get(f"{place}{read}", headers={"If-None-Match": asked})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    await office.admin.patch(place, json={"short_name": "A"})
    answer = await office.admin.get(place, headers={"If-None-Match": tag})
    assert (answer.status_code, answer.json()["version"]) == (200, 2)


async def test_a_head_is_its_get_without_the_body(office, place):
    head, get = await office.admin.head(place), await office.admin.get(place)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == get.headers["etag"]
    assert head.headers["content-length"] == str(len(get.content))
    assert (await office.admin.head(ABSENT)).status_code == 404


# --- the order in which a request is judged -----------------------------------------------------------------


async def test_a_request_is_judged_in_one_order(office):
    """Each caller below gets one thing more right than the one before."""
    place = await office.organisation()
    viewer, editor = (
        await office.user("organisation:view"),
        await office.user("organisation:view", "organisation:edit"),
    )
    nobody = await office.user()
    await office.admin.patch(place, json={"short_name": "A"})
    await office.admin.post(f"{place}/archive")
    bad, old = {"fullname": 1}, {"If-Match": '"v1"'}
    given = key()

    async def judged(client, *, at=place, body=None, **headers) -> tuple[int, str]:
        answer = await client.patch(at, json=body or {"short_name": "B"}, headers=headers)
        return answer.status_code, answer.json()["code"]

    async with office.nothing_stored():
        assert await judged(office.stranger, at=f"{ABSENT}?x=1", body=bad) == (401, "missing_bearer_token")
        assert await judged(nobody.client, at=f"{ABSENT}?x=1", body=bad) == (400, "query.unknown_parameter")
        assert await judged(nobody.client, at=ABSENT, body=bad, **old) == (400, "body.invalid")
        assert await judged(nobody.client, at=ABSENT, **{"Idempotency-Key": "a b"}) == (
            400,
            "idempotency_key_malformed",
        )
        assert await judged(nobody.client, at=ABSENT, **old) == (404, "organisation.unknown")
        assert await judged(nobody.client, **old) == (404, "organisation.unknown")
        assert await judged(viewer.client, **old, **given) == (403, "forbidden")
        assert await judged(editor.client, **old, **given) == (412, "version_mismatch")
        manager = {"account_manager_id": str(uuid4())}
        assert await judged(editor.client, body=manager, **given) == (409, "organisation.archived")
    living = await office.organisation()
    assert await judged(editor.client, at=living, body=manager) == (
        422,
        "organisation.account_manager_unknown",
    )
