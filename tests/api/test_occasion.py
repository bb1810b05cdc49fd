"""Occasions over HTTP: who may, what is refused with nothing stored, who is taken twice, and the calendar."""

import asyncio
from uuid import uuid4

import pytest

from tests.arranging import END, START, arranged, arrangement, assign, of_support, support_of
from tests.money import code, drafted, euros, key, pay, signed

pytestmark = pytest.mark.anyio

EVERY = ("view", "edit", "assign", "withdraw")


async def shown(office, path):
    answer = await office.admin.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


# --- add ----------------------------------------------------------------------------------------------------------


async def test_an_occasion_is_added_and_read_back_in_utc(office):
    contract = await signed(office)
    body = arrangement(
        contract,
        starts_at="2026-06-04T18:00:00+02:00",
        ends_at="2026-06-04T23:00:00+02:00",
        place=" Hall 3 ",
        attendees=75,
        notes="Speeches at seven.\nBring chairs.",
    )
    made = await office.admin.post("/occasions", json=body)
    assert made.status_code == 201, made.text
    receipt = made.json()
    assert receipt["contract_id"] == contract.rpartition("/")[2]
    assert made.headers["location"] == f"/api/v1/occasions/{receipt['id']}"
    record = await shown(office, f"/occasions/{receipt['id']}")
    expected = body | {
        "starts_at": "2026-06-04T16:00:00Z",
        "ends_at": "2026-06-04T21:00:00Z",
        "place": "Hall 3",
        "state": "planned",
        "assigned_to": None,
        "version": receipt["version"],
    }
    assert {name: record[name] for name in expected} == expected
    assert (await shown(office, contract))["occasions"] == [receipt["id"]]


async def test_only_a_signed_contract_gets_one(office):
    contract = await drafted(office)
    async with office.nothing_stored():
        answer = await office.admin.post("/occasions", json=arrangement(contract))
        assert code(answer) == (409, "contract.not_signed")
        unknown = await office.admin.post("/occasions", json=arrangement(f"/contracts/{uuid4()}"))
        assert code(unknown) == (404, "contract.unknown")
    await office.admin.post(f"{contract}/cancel", json={"reason": "no"}, headers=key())
    async with office.nothing_stored():
        answer = await office.admin.post("/occasions", json=arrangement(contract))
        assert code(answer) == (409, "contract.canceled")


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"starts_at": END, "ends_at": START}, "/ends_at"),
        ({"ends_at": START}, "/ends_at"),
        ({"starts_at": "2026-06-05T01:00:00+02:00"}, "/ends_at"),
        ({"starts_at": "0001-01-01T00:00:00+14:00"}, "/starts_at"),
        ({"ends_at": "9999-12-31T23:59:59-12:00"}, "/ends_at"),
    ],
)
async def test_times_that_cannot_be_are_refused(office, fields, pointer):
    contract = await signed(office)
    occasion = await arranged(office, contract)
    async with office.nothing_stored():
        added = await office.admin.post("/occasions", json=arrangement(contract, **fields))
        changed = await office.admin.patch(occasion, json=fields)
    for answer in (added, changed):
        assert code(answer) == (422, "contract.occasion_times"), answer.text
        assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize(
    "fields",
    [
        {"title": ""},
        {"title": None},
        {"title": "x" * 256},
        {"place": ""},
        {"notes": "x" * 10_001},
        {"attendees": -1},
        {"attendees": "75"},
        {"attendees": 7.5},
        {"starts_at": "2026-06-04"},
        {"starts_at": "2026-06-04T18:00:00"},
        {"starts_at": "2026-02-30T18:00:00Z"},
        {"starts_at": None},
        {"user_id": str(uuid4())},
        {"assigned_to": str(uuid4())},
        {"state": "withdrawn"},
    ],
)
async def test_bad_fields_are_named_and_nothing_is_stored(office, fields):
    contract = await signed(office)
    occasion = await arranged(office, contract)
    async with office.nothing_stored():
        added = await office.admin.post("/occasions", json=arrangement(contract, **fields))
        changed = await office.admin.patch(occasion, json=fields)
    for answer in (added, changed):
        assert answer.status_code == 400, answer.text
        assert [each["pointer"] for each in answer.json()["errors"]] == [f"/{name}" for name in fields]


async def test_an_occasion_is_never_moved_to_another_contract(office):
    occasion, other = await arranged(office), await signed(office)
    async with office.nothing_stored():
        moved = await office.admin.patch(occasion, json={"contract_id": other.rpartition("/")[2]})
    assert moved.status_code == 400


# --- change, assign, withdraw ---------------------------------------------------------------------------------------


async def test_a_change_merges_null_clears_and_its_history_tells(office):
    occasion = await arranged(office, place="Hall 3", attendees=75)
    changed = await office.admin.patch(occasion, json={"place": None, "title": "Closing"})
    assert changed.status_code == 200, changed.text
    record = await shown(office, occasion)
    assert (record["place"], record["title"], record["attendees"], record["sequence"]) == (
        None,
        "Closing",
        75,
        1,
    )
    async with office.nothing_stored():
        again = await office.admin.patch(occasion, json={"title": "Closing"})
    assert again.status_code == 200
    history = (await office.admin.get(f"{occasion}/history")).json()["data"]
    assert [each["topic"] for each in history] == [
        "contract.occasion_added.v1",
        "contract.occasion_changed.v1",
    ]
    told = {each["field"]: (each["from"], each["to"]) for each in history[1]["changes"]}
    assert told["title"] == ("Opening", "Closing")
    assert told["place"] == ("Hall 3", None)


async def test_only_active_members_of_support_are_assigned(office):
    occasion, sacha = await arranged(office), await of_support(office)
    elsewhere = await office.admin.post("/departments", json={"name": f"Sales {uuid4()}"})
    blocked, gone = await of_support(office), await of_support(office)
    assert (await office.admin.post(f"/users/{blocked.id}/block", json={"reason": "r"})).status_code == 200
    assert (await office.admin.post(f"/users/{gone.id}/deactivate")).status_code == 200
    nobody = await office.user("occasion:edit")
    seller = await office.user("occasion:edit", department_id=elsewhere.json()["id"])
    async with office.nothing_stored():
        for user_id in (uuid4(), nobody.id, seller.id, blocked.id, gone.id):
            answer = await assign(office.admin, occasion, user_id)
            assert code(answer) == (422, "contract.assignee_not_of_support")
            assert answer.json()["errors"][0]["pointer"] == "/user_id"
    assert (await assign(office.admin, occasion, sacha.id)).status_code == 200
    assert (await shown(office, occasion))["assigned_to"] == str(sacha.id)
    async with office.nothing_stored():
        assert (await assign(office.admin, occasion, sacha.id)).status_code == 200
    assert (await assign(office.admin, occasion, None)).status_code == 200
    assert (await shown(office, occasion))["assigned_to"] is None


async def test_somebody_who_leaves_support_at_that_moment_is_not_assigned(office):
    """Two commands at once: whichever comes second knows of the first."""
    sacha = await of_support(office)
    for _ in range(5):
        occasion = await arranged(office)
        assigned, _ = await asyncio.gather(
            assign(office.admin, occasion, sacha.id),
            office.admin.post(f"/users/{sacha.id}/department", json={"department_id": None}),
        )
        assert assigned.status_code in (200, 422), assigned.text
        log = await office.system.recorded(sacha.id)
        left = max(each.position for each in log if each.topic == "user.department_changed.v1")
        if assigned.status_code == 200:
            assert assigned.json()["position"] < left
        back = {"department_id": str(await support_of(office))}
        assert (await office.admin.post(f"/users/{sacha.id}/department", json=back)).status_code == 200


async def test_whoever_is_taken_at_that_time_is_assigned_with_a_warning(office):
    sacha = await of_support(office)
    first = await arranged(office)
    assert "warnings" not in (await assign(office.admin, first, sacha.id)).json()
    next_to_it = await arranged(office, starts_at=END, ends_at="2026-06-05T01:00:00Z")
    assert "warnings" not in (await assign(office.admin, next_to_it, sacha.id)).json()
    within = await arranged(office, starts_at="2026-06-04T22:59:00Z", ends_at="2026-06-04T22:59:30Z")
    warned = await assign(office.admin, within, sacha.id)
    assert warned.status_code == 200
    (warning,) = warned.json()["warnings"]
    assert (warning["pointer"], warning["code"]) == ("/user_id", "double_booked")
    assert first.rpartition("/")[2] in warning["detail"]
    assert (await shown(office, within))["assigned_to"] == str(sacha.id)


async def test_moved_into_another_it_warns_and_moved_away_or_withdrawn_it_does_not(office):
    sacha = await of_support(office)
    first = await arranged(office)
    second = await arranged(office, starts_at="2026-07-01T10:00:00Z", ends_at="2026-07-01T12:00:00Z")
    for occasion in (first, second):
        await assign(office.admin, occasion, sacha.id)
    into = {"starts_at": START, "ends_at": END}
    (warning,) = (await office.admin.patch(second, json=into)).json()["warnings"]
    assert (warning["pointer"], warning["code"]) == ("/starts_at", "double_booked")
    away = {"starts_at": "2026-07-01T10:00:00Z", "ends_at": "2026-07-01T12:00:00Z"}
    assert "warnings" not in (await office.admin.patch(second, json=away)).json()
    third = await arranged(office)
    assert (await assign(office.admin, third, sacha.id)).json()["warnings"]
    for occasion in (first, third):
        await office.admin.post(f"{occasion}/withdraw")
    assert "warnings" not in (await office.admin.patch(second, json=into)).json()


async def test_withdrawn_it_frees_the_contract_and_stays_readable(office):
    contract = await signed(office)
    occasion = await arranged(office, contract)
    occasion_id = occasion.rpartition("/")[2]
    async with office.nothing_stored():
        refused = await office.admin.post(f"{contract}/cancel", json={"reason": "no"}, headers=key())
    assert code(refused) == (409, "contract.occasion_attached")
    assert refused.json()["occasions"] == [occasion_id]
    assert "Opening" in refused.json()["detail"]
    withdrawn = await office.admin.post(f"{occasion}/withdraw", json={"reason": "rain"})
    assert withdrawn.status_code == 200
    async with office.nothing_stored():
        assert (await office.admin.post(f"{occasion}/withdraw")).status_code == 200
        assert code(await office.admin.patch(occasion, json={"title": "No"})) == (
            409,
            "contract.occasion_withdrawn",
        )
        assert code(await assign(office.admin, occasion, None)) == (409, "contract.occasion_withdrawn")
    record = await shown(office, occasion)
    assert (record["state"], record["withdraw_reason"]) == ("withdrawn", "rain")
    assert (await shown(office, contract))["occasions"] == []
    canceled = await office.admin.post(f"{contract}/cancel", json={"reason": "no"}, headers=key())
    assert canceled.status_code == 200, canceled.text


async def test_what_is_still_to_be_held_keeps_a_settled_contract_from_the_archive(office):
    contract = await signed(office, "0.00")
    occasion = await arranged(
        office, contract, starts_at="2999-01-01T00:00:00Z", ends_at="2999-01-02T00:00:00Z"
    )
    async with office.nothing_stored():
        refused = await office.admin.post(f"{contract}/archive")
    assert code(refused) == (409, "contract.occasion_attached")
    over = {"starts_at": "2001-01-01T00:00:00Z", "ends_at": "2001-01-02T00:00:00Z"}
    assert (await office.admin.patch(occasion, json=over)).status_code == 200
    assert (await office.admin.post(f"{contract}/archive")).status_code == 200
    async with office.nothing_stored():
        for answer in (
            await office.admin.patch(occasion, json={"title": "No"}),
            await assign(office.admin, occasion, None),
            await office.admin.post(f"{occasion}/withdraw"),
            await office.admin.post("/occasions", json=arrangement(contract)),
        ):
            assert code(answer) == (409, "contract.archived")


async def test_if_match_is_about_the_occasion_whatever_else_happens_to_its_contract(office):
    contract = await signed(office)
    occasion = await arranged(office, contract)
    etag = (await office.admin.get(occasion)).headers["etag"]
    await pay(office.admin, contract, euros("1.00"))
    other = await arranged(office, contract)
    first = await office.admin.patch(occasion, json={"attendees": 4}, headers={"If-Match": etag})
    assert first.status_code == 200, first.text
    paid = await pay(office.admin, contract, euros("1.00"))
    since = {"If-Match": paid.headers["etag"]}
    changed = await office.admin.patch(occasion, json={"attendees": 5}, headers=since)
    assert changed.status_code == 200, changed.text
    async with office.nothing_stored():
        for stale in (etag, '"v999"'):
            refused = await office.admin.patch(occasion, json={"attendees": 6}, headers={"If-Match": stale})
            assert refused.status_code == 412
            assert refused.json()["current"] == changed.json()["version"]
    since = {"If-Match": changed.headers["etag"]}
    assert (await office.admin.patch(other, json={"attendees": 7}, headers=since)).status_code == 200


async def test_a_rehearsal_stores_nothing_and_a_repeat_makes_no_second_one(office):
    body, headers = arrangement(await signed(office)), key()
    async with office.nothing_stored():
        rehearsed = await office.admin.post("/occasions?dry_run=true", json=body)
    (event,) = rehearsed.json()["events"]
    assert (event["topic"], event["data"]["title"]) == ("contract.occasion_added.v1", "Opening")
    made = [await office.admin.post("/occasions", json=body, headers=headers) for _ in range(2)]
    assert [each.status_code for each in made] == [201, 201]
    assert made[0].json() == made[1].json()


# --- who ------------------------------------------------------------------------------------------------------------


async def test_only_the_contracts_account_manager_adds_one(office):
    manager, other = await office.user("contract:view"), await office.user("contract:view")
    for one in (manager, other):
        office.grant(one.id, "occasion:create", scope=("own", "*"))
    organisation = await office.organisation(account_manager_id=str(manager.id))
    contract = await signed(office, organisation=organisation)
    async with office.nothing_stored():
        refused = await other.client.post("/occasions", json=arrangement(contract))
        assert (code(refused), refused.json()["required"]) == ((403, "forbidden"), "occasion:create")
    assert (await manager.client.post("/occasions", json=arrangement(contract))).status_code == 201


async def test_support_edits_what_is_assigned_to_them_and_nobody_takes_it_by_the_command_itself(office):
    mine, theirs, free = [await arranged(office) for _ in range(3)]
    sacha, other = await of_support(office, "occasion:view"), await of_support(office, "occasion:view")
    for right in ("occasion:edit", "occasion:assign"):
        office.grant(sacha.id, right, scope=("own", "*"))
    await assign(office.admin, mine, sacha.id)
    await assign(office.admin, theirs, other.id)
    assert (await sacha.client.patch(mine, json={"notes": "Bring chairs."})).status_code == 200
    async with office.nothing_stored():
        for occasion in (theirs, free):
            assert code(await sacha.client.patch(occasion, json={"notes": "n"})) == (403, "forbidden")
            assert code(await assign(sacha.client, occasion, sacha.id)) == (403, "forbidden")
            with_himself = {"notes": "n", "assigned_to": str(sacha.id)}
            assert (await sacha.client.patch(occasion, json=with_himself)).status_code == 400
    assert (await assign(sacha.client, mine, other.id)).status_code == 200
    async with office.nothing_stored():
        assert code(await sacha.client.patch(mine, json={"notes": "n"})) == (403, "forbidden")


async def test_who_may_not_see_it_learns_nothing_and_who_may_not_do_it_is_told(office):
    occasion = await arranged(office)
    stranger, viewer = await office.user("occasion:edit"), await office.user("occasion:view")
    commands = [
        ("PATCH", "", {"title": "No"}),
        ("POST", "/assign", {"user_id": None}),
        ("POST", "/withdraw", {}),
    ]
    async with office.nothing_stored():
        for method, path, body in commands:
            hidden = await stranger.client.request(method, f"{occasion}{path}", json=body)
            assert code(hidden) == (404, "contract.occasion_unknown"), path
            told = await viewer.client.request(method, f"{occasion}{path}", json=body)
            assert code(told) == (403, "forbidden"), path
            unknown = await office.admin.request(method, f"/occasions/{uuid4()}{path}", json=body)
            assert code(unknown) == (404, "contract.occasion_unknown"), path
            unnamed = await office.admin.request(method, f"/occasions/x{path}", json=body)
            assert unnamed.status_code == 404, path
    for path in (occasion, f"{occasion}/history"):
        assert (await stranger.client.get(path)).status_code == 404
        assert (await viewer.client.get(path)).status_code == 200
    assert (await stranger.client.get("/occasions")).json()["data"] == []
    assert (await office.stranger.get("/occasions")).status_code == 401
    assert (await office.stranger.get("/occasions.ics")).status_code == 401


async def test_a_right_reaches_as_far_as_its_organisation_and_own_as_what_is_assigned(office):
    organisation = await office.organisation()
    within = await arranged(office, await signed(office, organisation=organisation))
    outside = await arranged(office)
    there = await office.user("occasion:view", scope=("organisation", organisation.rpartition("/")[2]))
    sacha = await of_support(office, "occasion:view", scope=("own", "*"))
    await assign(office.admin, outside, sacha.id)
    for person, sees, misses in ((there, within, outside), (sacha, outside, within)):
        listed = (await person.client.get("/occasions")).json()["data"]
        assert [each["id"] for each in listed] == [sees.rpartition("/")[2]]
        assert (await person.client.get(sees)).status_code == 200
        assert (await person.client.get(misses)).status_code == 404
        calendar = (await person.client.get("/occasions.ics")).text
        assert (sees.rpartition("/")[2] in calendar, misses.rpartition("/")[2] in calendar) == (True, False)


# --- lists and the calendar -----------------------------------------------------------------------------------------


async def test_lists_know_what_is_without_support_what_is_mine_and_what_was_withdrawn(office):
    organisation = await office.organisation()
    contract = await signed(office, organisation=organisation)
    _, mine, gone = [await arranged(office, contract, title=title) for title in ("Free", "Mine", "Gone")]
    sacha = await of_support(office, staff_number=uuid4().hex[:8])
    number = (await office.admin.get(f"/users/{sacha.id}")).json()["staff_number"]
    await assign(office.admin, mine, sacha.id)
    await office.admin.post(f"{gone}/withdraw")

    async def found(wanted, **more):
        scope = f"organisation_id={organisation.rpartition('/')[2]}"
        params = {"filter": f"{scope} AND {wanted}", "order_by": "title", **more}
        answer = await office.admin.get("/occasions", params=params)
        assert answer.status_code == 200, answer.text
        return [each["title"] for each in answer.json()["data"]]

    assert await found("assigned_to=null") == ["Free"]
    assert await found("assigned_to=None", show_archived="true") == ["Free", "Gone"]
    assert await found(f"assigned_to={sacha.id}") == ["Mine"]
    assert await found(f"support_id={number}") == ["Mine"]
    assert await found(f"starts_at>={START}") == ["Free", "Mine"]
    assert await found("title:fre") == ["Free"]
    with_occasion = {"filter": f"organisation_id={organisation.rpartition('/')[2]} AND occasions=2"}
    assert len((await office.admin.get("/contracts", params=with_occasion)).json()["data"]) == 1


async def test_the_calendar_tells_each_with_a_lasting_id_and_a_growing_sequence(office):
    contract = await signed(office)
    path = await arranged(office, contract, title="Fair, big; one", place="Hall\\3", notes="Bring\nchairs")
    params = {"filter": f"contract_id={contract.rpartition('/')[2]}"}
    first = await office.admin.get("/occasions.ics", params=params)
    assert (first.status_code, first.headers["content-type"]) == (200, "text/calendar; charset=utf-8")
    lines = first.text.split("\r\n")
    assert (lines[0], lines[-2], lines[-1]) == ("BEGIN:VCALENDAR", "END:VCALENDAR", "")
    occasion_id = path.rpartition("/")[2]
    for line in (
        f"UID:{occasion_id}",
        "SEQUENCE:0",
        "STATUS:CONFIRMED",
        "DTSTART:20260604T180000Z",
        "DTEND:20260604T230000Z",
        r"SUMMARY:Fair\, big\; one",
        r"LOCATION:Hall\\3",
        r"DESCRIPTION:Bring\nchairs",
    ):
        assert line in lines
    same = {"If-None-Match": first.headers["etag"]}
    assert (await office.admin.get("/occasions.ics", params=params, headers=same)).status_code == 304
    await office.admin.patch(path, json={"starts_at": "2026-06-04T19:00:00+02:00"})
    moved = (await office.admin.get("/occasions.ics", params=params, headers=same)).text.split("\r\n")
    assert {f"UID:{occasion_id}", "SEQUENCE:1", "DTSTART:20260604T170000Z"} <= set(moved)
    await office.admin.post(f"{path}/withdraw")
    gone = (await office.admin.get("/occasions.ics", params=params)).text.split("\r\n")
    assert {f"UID:{occasion_id}", "SEQUENCE:2", "STATUS:CANCELLED"} <= set(gone)


async def test_the_calendar_leaves_out_what_is_long_past_and_refuses_what_a_list_refuses(office):
    old = await arranged(office, starts_at="2001-01-01T00:00:00Z", ends_at="2001-01-02T00:00:00Z")
    assert old.rpartition("/")[2] not in (await office.admin.get("/occasions.ics")).text
    for params in ({"filter": "nonsense=1"}, {"filter": "("}, {"page_size": "5"}, {"token": "x"}):
        assert (await office.admin.get("/occasions.ics", params=params)).status_code == 400, params
