"""Letters over HTTP: registered, answered, signed, corrected, withdrawn, and who may."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from tests import office as offices
from tests import servers

pytestmark = pytest.mark.anyio
SUBJECT = "On the audit of the north site"
RIGHTS = "letter:view", "letter:create", "letter:edit", "letter:sign", "letter:withdraw"
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(200)


@pytest.fixture(scope="module")
async def office(cluster, nats_server, object_store):
    """One API for all tests here, with an object store."""
    with servers.database(cluster) as addresses:
        async with offices.opened(addresses, nats_server.url, **object_store.settings) as opened:
            yield opened


def day(ahead=0):
    return (datetime.now(UTC) + timedelta(days=ahead)).date().isoformat()


YEAR = day()[:4]


def id_of(place):
    return place.rpartition("/")[2]


def incoming(*places, **fields):
    told = {"sender_number": "17/3-204", "sender_date": day(-9), "received_on": day(-2)}
    return {"organisation_ids": [id_of(each) for each in places], "subject": SUBJECT} | told | fields


def outgoing(*places, **fields):
    return {"organisation_ids": [id_of(each) for each in places], "subject": SUBJECT} | fields


async def registered(client, *places, **fields):
    answer = await client.post("/letters/incoming", json=incoming(*places, **fields))
    assert answer.status_code == 201, answer.text
    return answer.json()


async def drafted(client, *places, **fields):
    answer = await client.post("/letters/outgoing", json=outgoing(*places, **fields))
    assert answer.status_code == 201, answer.text
    return answer.json()


async def sign(client, letter_id, key=None, **body):
    headers = {"Idempotency-Key": key or uuid4().hex}
    return await client.post(f"/letters/{letter_id}/sign", json=body, headers=headers)


async def signed(client, *places, **fields):
    letter_id = (await drafted(client, *places, **fields))["id"]
    answer = await sign(client, letter_id)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def uploaded(client, purpose="attachment"):
    files = {"file": ("scan.pdf", PDF, "application/pdf")}
    answer = await client.post("/files", files=files, data={"purpose": purpose})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def code(answer):
    return answer.status_code, answer.json()["code"]


def pointers(answer):
    return [error["pointer"] for error in answer.json()["errors"]]


def counter(number):
    return int(number.rpartition("-")[2])


# --- the two registers -----------------------------------------------------------------------------------------


async def test_a_letter_comes_in_is_answered_and_its_answer_signed(office):
    place, clerk = await office.organisation(), await office.user(*RIGHTS)
    came = await registered(clerk.client, place, due_on=day(7))
    assert came["number"].startswith(f"IN-{YEAR}-")
    assert len(came["number"]) == len("IN-2026-00042")
    shown = (await clerk.client.get(f"/letters/{came['number']}")).json()
    assert (shown["id"], shown["direction"], shown["state"], shown["answers"], shown["answered"]) == (
        came["id"],
        "incoming",
        "registered",
        [],
        False,
    )
    draft = await drafted(clerk.client, place, parent_id=came["id"])
    assert "number" not in draft
    assert (await clerk.client.get(f"/letters/{draft['id']}")).json()["number"] is None

    answer = await sign(clerk.client, draft["id"])
    number = answer.json()["number"]
    assert (answer.status_code, number[:9]) == (200, f"OUT-{YEAR}-")
    shown = (await clerk.client.get(f"/letters/{number}")).json()
    assert (shown["state"], shown["signed_on"], shown["signed_by"]) == ("signed", day(), str(clerk.id))
    parent = (await clerk.client.get(f"/letters/{came['id']}")).json()
    assert parent["answered"] is True
    assert [(each["id"], each["number"]) for each in parent["answers"]] == [(draft["id"], number)]


async def test_numbers_follow_each_other_whatever_is_refused_in_between(office):
    place = await office.organisation()
    first = (await registered(office.admin, place))["number"]
    async with office.nothing_stored():
        for body in (incoming(place, received_on=day(3)), incoming(f"/x/{uuid4()}")):
            assert (await office.admin.post("/letters/incoming", json=body)).status_code == 422
        rehearsed = await office.admin.post(
            "/letters/incoming", json=incoming(place), params={"dry_run": True}
        )
    assert rehearsed.json()["events"][0]["data"]["number"] > first
    withdrawn = await registered(office.admin, place)
    gone = await office.admin.post(f"/letters/{withdrawn['id']}/withdraw", json={"reason": "twice"})
    assert gone.status_code == 200
    third = (await registered(office.admin, place))["number"]
    assert [counter(each) - counter(first) for each in (withdrawn["number"], third)] == [1, 2]


async def test_clerks_who_register_at_once_get_numbers_without_a_gap(office):
    place, clerk = await office.organisation(), await office.user(*RIGHTS)
    made = await asyncio.gather(
        *(registered(client, place) for client in (office.admin, clerk.client) for _ in range(10))
    )
    numbers = sorted(counter(each["number"]) for each in made)
    assert numbers == list(range(numbers[0], numbers[0] + 20))


async def test_signing_needs_a_key_and_repeats_nothing(office):
    place = await office.organisation()
    letter_id = (await drafted(office.admin, place))["id"]
    async with office.nothing_stored():
        assert code(await office.admin.post(f"/letters/{letter_id}/sign")) == (400, "idempotency_key_missing")
    key = uuid4().hex
    answers = await asyncio.gather(*(sign(office.admin, letter_id, key) for _ in range(20)))
    assert {answer.text for answer in answers} == {answers[0].text}
    assert sorted(answer.headers.get("idempotent-replayed", "") for answer in answers) == ["", *["true"] * 19]
    async with office.nothing_stored():
        again = await sign(office.admin, letter_id)
        assert (again.status_code, again.json()) == (200, answers[0].json())
        assert code(await sign(office.admin, letter_id, signed_on=day(-1))) == (409, "letter.already_signed")


async def test_two_who_sign_at_once_sign_it_once(office):
    place, boss = await office.organisation(), await office.user(*RIGHTS)
    letter_id = (await drafted(office.admin, place))["id"]
    both = await asyncio.gather(*(sign(client, letter_id) for client in (office.admin, boss.client)))
    assert [answer.status_code for answer in both] == [200, 200]
    assert both[0].json() == both[1].json()
    after = (await signed(office.admin, place))["number"]
    assert counter(after) == counter(both[0].json()["number"]) + 1


async def test_what_came_in_is_not_signed(office):
    place = await office.organisation()
    came = await registered(office.admin, place)
    async with office.nothing_stored():
        assert code(await sign(office.admin, came["id"])) == (409, "letter.incoming")
        assert code(await sign(office.admin, str(uuid4()))) == (404, "letter.unknown")
        assert code(await sign(office.admin, f"OUT-{YEAR}-99999")) == (404, "not_found")


async def test_a_letter_is_withdrawn_with_a_reason_and_keeps_its_number(office):
    place = await office.organisation()
    came = await registered(office.admin, place)
    path = f"/letters/{came['number']}"
    async with office.nothing_stored():
        assert (await office.admin.post(f"{path}/withdraw", json={})).status_code == 400
    assert (await office.admin.post(f"{path}/withdraw", json={"reason": "twice"})).status_code == 200
    shown = (await office.admin.get(path)).json()
    assert (shown["state"], shown["number"], shown["withdraw_reason"]) == (
        "withdrawn",
        came["number"],
        "twice",
    )
    assert shown["withdrawn_at"] is not None
    async with office.nothing_stored():
        assert (await office.admin.post(f"{path}/withdraw", json={"reason": "again"})).status_code == 200
        assert code(await office.admin.patch(path, json={"due_on": None, "subject": SUBJECT * 2})) == (
            409,
            "letter.withdrawn",
        )
        answer = await office.admin.post("/letters/outgoing", json=outgoing(place, parent_id=came["id"]))
        assert code(answer) == (422, "letter.parent_unknown")
    draft = await drafted(office.admin, place)
    await office.admin.post(f"/letters/{draft['id']}/withdraw", json={"reason": "not needed"})
    async with office.nothing_stored():
        assert code(await sign(office.admin, draft["id"])) == (409, "letter.withdrawn")


# --- corrections -----------------------------------------------------------------------------------------------


async def test_corrections_stand_in_the_history_from_and_to(office):
    place, other = await office.organisation(), await office.organisation(full_name="Beta")
    came = await registered(office.admin, place)
    path = f"/letters/{came['id']}"
    body = {"sender_number": "17/3-205", "organisation_ids": [id_of(place), id_of(other)]}
    changed = await office.admin.patch(path, json=body)
    assert (changed.status_code, changed.headers["etag"]) == (200, '"v2"')
    async with office.nothing_stored():
        assert (await office.admin.patch(path, json=body)).headers["etag"] == '"v2"'
    history = (await office.admin.get(f"{path}/history")).json()["data"]
    assert [each["topic"] for each in history] == ["letter.registered.v1", "letter.changed.v1"]
    found = {each["field"]: (each["from"], each["to"]) for each in history[1]["changes"]}
    assert found == {
        "sender_number": ("17/3-204", "17/3-205"),
        "organisation_ids": ([id_of(place)], [id_of(place), id_of(other)]),
    }
    assert (await office.admin.get(path)).json()["number"] == came["number"]


async def test_a_letter_stays_in_or_out(office):
    place = await office.organisation()
    came, went = await registered(office.admin, place), await signed(office.admin, place)
    async with office.nothing_stored():
        for letter, field, value in (
            (came, "signed_on", day()),
            (went, "sender_number", "17/3"),
            (went, "received_on", day()),
        ):
            refused = await office.admin.patch(f"/letters/{letter['id']}", json={field: value})
            assert (code(refused), pointers(refused)) == ((422, "letter.invalid"), [f"/{field}"])
        both = incoming(place, signed_on=day())
        refused = await office.admin.post("/letters/incoming", json=both)
        assert (refused.status_code, pointers(refused)) == (400, ["/signed_on"])
        refused = await office.admin.post("/letters/outgoing", json=outgoing(place, sender_number="17/3"))
        assert (refused.status_code, pointers(refused)) == (400, ["/sender_number"])


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"received_on": 3}, ["/received_on"]),
        ({"sender_date": 3}, ["/sender_date", "/received_on"]),
        ({"sender_date": -1, "received_on": -2}, ["/received_on"]),
    ],
)
async def test_no_day_is_in_the_future_or_before_it_was_signed(office, fields, wrong):
    place = await office.organisation()
    days = {name: day(ahead) for name, ahead in fields.items()}
    async with office.nothing_stored():
        refused = await office.admin.post("/letters/incoming", json=incoming(place, **days))
    assert (code(refused), pointers(refused)) == ((422, "letter.invalid"), wrong)


async def test_a_letter_is_not_signed_in_the_future(office):
    draft = await drafted(office.admin, await office.organisation())
    async with office.nothing_stored():
        refused = await sign(office.admin, draft["id"], signed_on=day(3))
    assert (code(refused), pointers(refused)) == ((422, "letter.invalid"), ["/signed_on"])


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"subject": "too short"}, "/subject"),
        ({"subject": "x" * 2_001}, "/subject"),
        ({"subject": "x" * 1_000_000}, "/subject"),
        ({"subject": "         x         "}, "/subject"),
        ({"sender_number": "x" * 71}, "/sender_number"),
        ({"sender_number": None}, "/sender_number"),
        ({"organisation_ids": []}, "/organisation_ids"),
        ({"organisation_ids": [str(uuid4())] * 51}, "/organisation_ids"),
        ({"attachments": [str(uuid4())] * 11}, "/attachments"),
        ({"parent_id": f"IN-{YEAR}-00001"}, "/parent_id"),
        ({"number": f"IN-{YEAR}-00001"}, "/number"),
        ({"received_on": "01.03.2026"}, "/received_on"),
    ],
)
async def test_bad_fields_are_named_and_nothing_is_stored(office, fields, pointer):
    place = await office.organisation()
    async with office.nothing_stored():
        answer = await office.admin.post("/letters/incoming", json=incoming(place) | fields)
    assert (answer.status_code, pointers(answer)) == (400, [pointer])


# --- letters that answer each other ----------------------------------------------------------------------------


async def test_a_letter_answers_neither_itself_nor_what_answers_it(office):
    place = await office.organisation()
    first = (await registered(office.admin, place))["id"]
    second = (await drafted(office.admin, place, parent_id=first))["id"]
    third = (await drafted(office.admin, place, parent_id=second))["id"]
    async with office.nothing_stored():
        for parent in (first, second, third):
            refused = await office.admin.patch(f"/letters/{first}", json={"parent_id": parent})
            assert (code(refused), pointers(refused)) == ((422, "letter.parent_cycle"), ["/parent_id"])
    assert (await office.admin.patch(f"/letters/{second}", json={"parent_id": None})).status_code == 200
    assert (await office.admin.patch(f"/letters/{first}", json={"parent_id": third})).status_code == 200


async def test_two_who_let_letters_answer_each_other_at_once_close_no_cycle(office):
    place = await office.organisation()
    for _ in range(5):
        one, two = [(await registered(office.admin, place))["id"] for _ in range(2)]
        both = await asyncio.gather(
            office.admin.patch(f"/letters/{one}", json={"parent_id": two}),
            office.admin.patch(f"/letters/{two}", json={"parent_id": one}),
        )
        assert sorted(answer.status_code for answer in both) == [200, 422]


async def test_only_a_letter_that_one_knows_is_answered(office):
    place, elsewhere = await office.organisation(), await office.organisation(full_name="Beta")
    foreign = (await registered(office.admin, elsewhere))["id"]
    clerk = await office.user()
    for right in RIGHTS:
        office.grant(clerk.id, right, scope=("organisation", id_of(place)))
    async with office.nothing_stored():
        for parent in (foreign, str(uuid4()), id_of(place)):
            refused = await clerk.client.post("/letters/outgoing", json=outgoing(place, parent_id=parent))
            assert (code(refused), pointers(refused)) == ((422, "letter.parent_unknown"), ["/parent_id"])


async def test_answers_are_shown_to_those_who_may_view_them(office):
    place, elsewhere = await office.organisation(), await office.organisation(full_name="Beta")
    first = (await registered(office.admin, place, elsewhere))["id"]
    here = (await drafted(office.admin, place, parent_id=first))["id"]
    there = (await drafted(office.admin, elsewhere, parent_id=first))["id"]
    reader = await office.user("letter:view", scope=("organisation", id_of(place)))
    shown = (await reader.client.get(f"/letters/{first}")).json()
    assert [each["id"] for each in shown["answers"]] == [here]
    shown = (await office.admin.get(f"/letters/{first}")).json()
    assert [each["id"] for each in shown["answers"]] == [here, there]


# --- organisations, rights, files ------------------------------------------------------------------------------


async def test_a_letter_is_with_organisations_that_are_open(office):
    place, closed = await office.organisation(), await office.organisation(full_name="Beta")
    came = await registered(office.admin, place, closed)
    await office.admin.post(f"{closed}/archive")
    nobody = f"/organisations/{uuid4()}"
    async with office.nothing_stored():
        refused = await office.admin.post("/letters/incoming", json=incoming(place, nobody, closed))
        assert code(refused) == (422, "letter.organisation_unknown")
        assert pointers(refused) == ["/organisation_ids/1", "/organisation_ids/2"]
    kept = {"organisation_ids": [id_of(closed), id_of(place)]}
    assert (await office.admin.patch(f"/letters/{came['id']}", json=kept)).status_code == 200


async def test_each_command_takes_its_right(office):
    place = await office.organisation()
    came, draft = await registered(office.admin, place), await drafted(office.admin, place)
    reader, stranger = await office.user("letter:view"), await office.user()

    def asked(client):
        return (
            client.patch(f"/letters/{came['id']}", json={"subject": SUBJECT * 2}),
            sign(client, draft["id"]),
            client.post(f"/letters/{came['id']}/withdraw", json={"reason": "no"}),
        )

    async with office.nothing_stored():
        for command in asked(reader.client):
            assert code(await command) == (403, "forbidden")
        for kind, body in (("incoming", incoming(place)), ("outgoing", outgoing(place))):
            for person in (reader, stranger):
                refused = await person.client.post(f"/letters/{kind}", json=body)
                assert (code(refused), refused.json()["required"]) == ((403, "forbidden"), "letter:create")
        for command in asked(stranger.client):
            assert code(await command) == (404, "letter.unknown")
        assert (await stranger.client.get(f"/letters/{came['number']}")).status_code == 404
        assert (await stranger.client.get(f"/letters/{came['id']}/history")).status_code == 404
        assert (await stranger.client.get("/letters")).json()["data"] == []
        assert (await office.stranger.get("/letters")).status_code == 401


async def granted(office, person, place, *rights):
    """By grants such as administrators give, since what a letter to several rests on is judged by its terms."""
    made = []
    for right in rights:
        module, action = right.split(":")
        body = {"subject": {"type": "user", "id": str(person.id)}, "module": module, "action": action}
        body |= {"scope_type": "organisation", "scope_id": id_of(place)}
        answer = await office.admin.post("/grants", json=body)
        assert answer.status_code == 201, answer.text
        made.append(answer.json()["id"])
    return made


async def test_rights_reach_as_far_as_their_organisation(office):
    place, elsewhere = await office.organisation(), await office.organisation(full_name="Beta")
    clerk = await office.user()
    await granted(office, clerk, place, *RIGHTS)
    mine = await registered(clerk.client, place)
    shared = await registered(office.admin, place, elsewhere)
    foreign = await registered(office.admin, elsewhere)
    found = [each["id"] for each in (await clerk.client.get("/letters")).json()["data"]]
    assert found == [shared["id"], mine["id"]]
    path = f"/letters/{shared['id']}"
    async with office.nothing_stored():
        for body in (incoming(place, elsewhere), incoming(elsewhere)):
            assert code(await clerk.client.post("/letters/incoming", json=body)) == (403, "forbidden")
        alone = {"organisation_ids": [id_of(place)]}
        assert code(await clerk.client.patch(path, json=alone)) == (403, "forbidden")
        more = {"organisation_ids": [id_of(place), id_of(elsewhere)]}
        assert code(await clerk.client.patch(f"/letters/{mine['id']}", json=more)) == (403, "forbidden")
        assert (await clerk.client.get(f"/letters/{foreign['id']}")).status_code == 404
    left = {"organisation_ids": [id_of(elsewhere)], "due_on": day(1)}
    assert (await clerk.client.patch(path, json=left)).status_code == 200
    assert (await clerk.client.get(path)).status_code == 404


async def test_who_has_the_right_in_each_writes_to_several_until_one_is_revoked(office):
    place, elsewhere = await office.organisation(), await office.organisation(full_name="Beta")
    clerk = await office.user()
    await granted(office, clerk, place, "letter:create")
    (grant_id,) = await granted(office, clerk, elsewhere, "letter:create")
    await registered(clerk.client, place, elsewhere)
    revoked = await office.admin.post(f"/grants/{grant_id}/revoke", json={"reason": "moved on"})
    assert revoked.status_code == 200, revoked.text
    async with office.nothing_stored():
        refused = await clerk.client.post("/letters/incoming", json=incoming(place, elsewhere))
        assert code(refused) == (403, "forbidden")
    await registered(clerk.client, place)


async def test_the_feed_shows_a_letter_to_readers_of_each_of_its_organisations(office):
    place, elsewhere = await office.organisation(), await office.organisation(full_name="Beta")
    reader, before = (
        await office.user("events:read", scope=("organisation", id_of(place))),
        await office.head(),
    )
    await registered(office.admin, elsewhere)
    await registered(office.admin, elsewhere, place)
    feed = (await reader.client.get("/events", params={"after": before})).json()["data"]
    assert [each.get("hidden", False) for each in feed] == [True, False]
    assert feed[1]["data"]["subject"] == SUBJECT


async def test_files_are_enclosed_once_and_seen_by_whoever_sees_the_letter(office):
    place, clerk = await office.organisation(), await office.user(*RIGHTS)
    scan, paper = await uploaded(clerk.client), await uploaded(clerk.client, "document")
    theirs = await uploaded(office.admin)
    came = await registered(clerk.client, place, attachments=[scan, scan, paper])
    path = f"/letters/{came['id']}"
    assert (await clerk.client.get(path)).json()["attachments"] == [scan, paper]
    async with office.nothing_stored():
        refused = await clerk.client.post("/letters/incoming", json=incoming(place, attachments=[theirs]))
        assert (code(refused), pointers(refused)) == ((400, "file.not_yours"), ["/attachments/0"])
        refused = await clerk.client.post("/letters/outgoing", json=outgoing(place, attachments=[scan]))
        assert (code(refused), pointers(refused)) == ((409, "file.already_bound"), ["/attachments/0"])
    another = await office.user(*RIGHTS)
    more = await uploaded(another.client)
    changed = await another.client.patch(path, json={"attachments": [scan, more]})
    assert changed.status_code == 200, changed.text
    reader, stranger = await office.user("letter:view"), await office.user()
    for file_id in (scan, paper, more):
        assert (await reader.client.get(f"/files/{file_id}/content")).content == PDF
        assert (await stranger.client.get(f"/files/{file_id}/content")).status_code == 404


# --- lists -----------------------------------------------------------------------------------------------------


async def test_lists_know_what_is_overdue_and_what_has_no_number(office):
    place = await office.organisation()
    late = (await registered(office.admin, place, due_on=day(-1)))["id"]
    answered = (await registered(office.admin, place, due_on=day(-1)))["id"]
    reply = (await signed(office.admin, place, parent_id=answered))["id"]
    waiting = (await registered(office.admin, place, due_on=day(2)))["id"]
    draft = (await drafted(office.admin, place))["id"]
    gone = (await drafted(office.admin, place, due_on=day(-1)))["id"]
    await office.admin.post(f"/letters/{gone}/withdraw", json={"reason": "no"})

    async def found(text):
        query = f"organisation={id_of(place)} AND {text}"
        answer = await office.admin.get("/letters", params={"filter": query})
        assert answer.status_code == 200, answer.text
        return [each["id"] for each in answer.json()["data"]]

    assert await found("overdue=true") == [late]
    assert await found("overdue=false") == [gone, draft, waiting, reply, answered]
    assert await found("unnumbered=true") == [draft]
    assert await found(f"parent_id={answered}") == [reply]
    assert await found("direction=outgoing AND NOT state=withdrawn") == [draft, reply]
    assert await found(f"due_on>{day()}") == [waiting]


@pytest.mark.parametrize(
    "text",
    [
        "information:ЁЛОЧ",
        'subject:"о поставке елочных"',
        'sender_number="99/Ж-1"',
        "sender_number:Ж",
        f"sender_date={day(-9)} AND sender_number:99",
        f"received_on>={day(-2)} AND sender_number:99",
        "number:IN AND sender_number:99",
    ],
)
async def test_a_letter_is_found_by_what_seed_d_filtered_by(office, text):
    client = (await office.user(*RIGHTS)).client
    place = await office.organisation()
    made = await registered(client, place, subject="О поставке ёлочных игрушек", sender_number="99/Ж-1")
    await registered(client, place, subject="Something else entirely", sender_number="1")
    query = f"organisation={id_of(place)} AND {text}"
    answer = await client.get("/letters", params={"filter": query, "include_total": "true"})
    assert ([each["id"] for each in answer.json()["data"]], answer.json()["total"]) == ([made["id"]], 1)


async def test_a_letter_is_changed_on_the_version_that_was_read(office):
    came = await registered(office.admin, await office.organisation())
    path = f"/letters/{came['id']}"
    etag = (await office.admin.get(path)).headers["etag"]
    assert (await office.admin.get(path, headers={"If-None-Match": etag})).status_code == 304
    first = await office.admin.patch(path, json={"due_on": day(1)}, headers={"If-Match": etag})
    assert first.status_code == 200
    async with office.nothing_stored():
        second = await office.admin.patch(path, json={"due_on": day(2)}, headers={"If-Match": etag})
    assert (second.status_code, second.json()["current"]) == (412, 2)
