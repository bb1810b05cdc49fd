"""Contracts over HTTP: the way from draft to signature, every refusal, and who sees what."""

import asyncio
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID, uuid4

import msgspec
import pytest

from domain.contract.document import document
from domain.contract.events import Terms

pytestmark = pytest.mark.anyio

EUROS = {"amount": "12500.00", "currency": "EUR"}
ALL = tuple(
    f"contract:{action}" for action in ("view", "create", "edit", "sign", "cancel", "amend", "archive")
)


def key():
    return {"Idempotency-Key": uuid4().hex}


async def organisation(office, **fields):
    return (await office.organisation(**fields)).removeprefix("/organisations/")


async def drafted(office, client=None, **fields):
    """The path of a new sale."""
    body = {"kind": "sale", "amount": EUROS, "title": "Site"} | fields
    body.setdefault("organisation_id", await organisation(office))
    answer = await (client or office.admin).post(
        "/contracts", json={n: v for n, v in body.items() if v is not None}
    )
    assert answer.status_code == 201, answer.text
    return answer.headers["location"].removeprefix("/api/v1")


async def signed(office, **fields):
    place = await drafted(office, **fields)
    answer = await office.admin.post(f"{place}/sign", headers=key())
    assert answer.status_code == 200, answer.text
    return place


def refused(answer, status, code, pointer=None):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    if pointer is not None:
        assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]
    return True


# --- what goes right -------------------------------------------------------------------------------------------


async def test_a_drafted_contract_is_unsigned_and_all_of_it_remains(office):
    place = await drafted(office, custom_id=f"N-{uuid4().hex}", due_on="2026-12-31")
    shown = (await office.admin.get(place)).json()
    me = (await office.admin.get("/me")).json()["id"]
    assert shown["status"] == "unsigned"
    assert (shown["amount"], shown["remaining"]) == (EUROS, EUROS)
    assert shown["paid"] == shown["invoiced"] == {"amount": "0.00", "currency": "EUR"}
    assert (shown["account_manager_id"], shown["drafted_by"], shown["amendments"]) == (me, me, [])
    assert (shown["due_on"], shown["signed_at"], shown["version"]) == ("2026-12-31", None, 1)


async def test_a_custom_id_is_as_good_as_the_id_everywhere(office):
    name = f"North.{uuid4().hex}"
    place = await drafted(office, custom_id=name)
    by_name = f"/contracts/{name.upper()}"
    assert (await office.admin.get(by_name)).content == (await office.admin.get(place)).content
    assert (await office.admin.patch(by_name, json={"title": "Other"})).status_code == 200
    for suffix in ("sign", "amend", "cancel"):
        body = {"sign": {}, "amend": {"amount": EUROS, "reason": "so"}, "cancel": {"reason": "so"}}[suffix]
        assert (await office.admin.post(f"{by_name}/{suffix}", json=body, headers=key())).status_code == 200
    assert (await office.admin.get(f"{by_name}/history")).json()["data"][0]["topic"] == "contract.drafted.v1"
    assert (await office.admin.get(f"{by_name}/diff", params={"from": "v1", "to": "v2"})).status_code == 200
    assert (await office.admin.post(f"{by_name}/archive")).status_code == 200


@pytest.mark.parametrize("ref", ["none.such", "-", "%D0%96", "a" * 121, uuid4().hex])
async def test_a_name_that_nothing_has_is_not_found(office, ref):
    assert (await office.admin.get(f"/contracts/{ref}")).status_code == 404
    assert (await office.admin.post(f"/contracts/{ref}/archive")).status_code == 404


async def test_a_signature_records_who_when_and_what(office):
    place = await drafted(office, custom_id=f"S-{uuid4().hex}")
    before = (await office.admin.get(place)).json()
    answer = await office.admin.post(f"{place}/sign", headers=key())
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    shown = (await office.admin.get(place)).json()
    terms = msgspec.convert({name: before[name] for name in Terms.__struct_fields__}, Terms)
    assert shown["status"] == "signed"
    assert shown["signed_by"] == (await office.admin.get("/me")).json()["id"]
    assert datetime.fromisoformat(shown["signed_at"]) <= datetime.now(UTC)
    assert shown["signed_version"] == 1
    assert shown["document_sha256"] == sha256(document(UUID(before["id"]), 1, terms)).hexdigest()
    then = (await office.admin.get(place, params={"as_of": "v1"})).json()
    assert (then["status"], then["title"]) == ("unsigned", "Site")


async def test_an_amendment_is_listed_with_who_when_from_to_and_why(office):
    place = await signed(office)
    less = {"amount": "10.5", "currency": "EUR"}
    answer = await office.admin.post(
        f"{place}/amend", json={"amount": less, "reason": "less work"}, headers=key()
    )
    assert (answer.status_code, answer.json()["version"]) == (200, 3)
    shown = (await office.admin.get(place)).json()
    (amendment,) = shown["amendments"]
    assert (amendment["from"], amendment["to"]) == (EUROS, {"amount": "10.50", "currency": "EUR"})
    assert (amendment["by"], amendment["reason"]) == (shown["signed_by"], "less work")
    assert shown["amount"] == shown["remaining"] == amendment["to"]
    last = (await office.admin.get(f"{place}/history")).json()["data"][-1]
    assert (last["topic"], last["reason"]) == ("contract.amended.v1", "less work")
    again = await office.admin.post(f"{place}/amend", json={"amount": less, "reason": "again"}, headers=key())
    assert (again.status_code, again.json()["version"]) == (200, 3)


async def test_a_dry_run_shows_the_events_and_needs_no_key(office):
    place = await drafted(office)
    async with office.nothing_stored():
        answer = await office.admin.post(f"{place}/sign", params={"dry_run": True})
    assert [event["topic"] for event in answer.json()["events"]] == ["contract.signed.v1"]


async def test_an_archived_contract_is_listed_on_demand_and_keeps_its_name(office):
    name = f"A-{uuid4().hex}"
    place = await drafted(office, custom_id=name)
    assert (await office.admin.post(f"{place}/archive", json={"reason": "old"})).status_code == 200
    asked = {"filter": f"custom_id={name}"}
    assert (await office.admin.get("/contracts", params=asked)).json()["data"] == []
    listed = (await office.admin.get("/contracts", params=asked | {"show_archived": True})).json()["data"]
    assert [one["status"] for one in listed] == ["unsigned"]
    refused(await office.admin.patch(place, json={"title": "x"}), 409, "contract.archived")
    body = {"kind": "cooperation", "organisation_id": await organisation(office), "custom_id": name}
    refused(await office.admin.post("/contracts", json=body), 409, "contract.custom_id_taken")


# --- what is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({"amount": None}, "contract.amount_missing", "/amount"),
        ({"kind": "cooperation"}, "contract.amount_unwanted", "/amount"),
        ({"amount": {"amount": "-1.00", "currency": "EUR"}}, "contract.amount_negative", "/amount"),
        ({"amount": {"amount": "1.005", "currency": "EUR"}}, "money.invalid", "/amount/amount"),
        ({"amount": {"amount": "1.5", "currency": "JPY"}}, "money.invalid", "/amount/amount"),
        ({"amount": {"amount": "1.00", "currency": "ZZZ"}}, "money.invalid", "/amount/currency"),
        ({"contact_id": str(uuid4())}, "contract.contact_unknown", "/contact_id"),
        ({"organisation_id": str(uuid4())}, "contract.organisation_unknown", "/organisation_id"),
    ],
)
async def test_what_no_rule_lets_through_is_not_drafted(office, body, code, pointer):
    whole = {"kind": "sale", "amount": EUROS, "organisation_id": await organisation(office)} | body
    async with office.nothing_stored():
        refused(await office.admin.post("/contracts", json=whole), 422, code, pointer)


@pytest.mark.parametrize(
    "body",
    [
        {"amount": {"amount": 12500.5, "currency": "EUR"}},
        {"amount": {"amount": "1000000000000.00", "currency": "EUR"}},
        {"amount": {"amount": "1e5", "currency": "EUR"}},
        {"amount": "12500.00"},
        {"kind": "gift"},
        {"title": ""},
        {"title": "x" * 256},
        {"custom_id": "with space"},
        {"custom_id": str(uuid4())},
        {"custom_id": str(uuid4()).upper()},
        {"status": "signed"},
        {"account_manager_id": str(uuid4())},
    ],
)
async def test_a_body_that_cannot_be_read_is_malformed(office, body):
    whole = {"kind": "sale", "amount": EUROS, "organisation_id": str(uuid4())} | body
    refused(await office.admin.post("/contracts", json=whole), 400, "body.invalid")


async def test_no_contract_is_made_with_an_archived_organisation(office):
    archived, other = await organisation(office), await drafted(office)
    assert (await office.admin.post(f"/organisations/{archived}/archive")).status_code == 200
    body = {"kind": "cooperation", "organisation_id": archived}
    refused(await office.admin.post("/contracts", json=body), 422, "contract.organisation_unknown")
    moved = await office.admin.patch(other, json={"organisation_id": archived})
    refused(moved, 422, "contract.organisation_unknown", "/organisation_id")


async def test_a_draft_and_the_archiving_of_its_organisation_at_once_leave_no_draft_behind_it(office):
    party = await organisation(office)
    body = {"kind": "cooperation", "organisation_id": party}
    drafts = [office.admin.post("/contracts", json=body) for _ in range(6)]
    *answers, archived = await asyncio.gather(*drafts, office.admin.post(f"/organisations/{party}/archive"))
    assert archived.status_code == 200
    for answer in answers:
        if answer.status_code == 201:
            assert answer.json()["position"] < archived.json()["position"]
        else:
            refused(answer, 422, "contract.organisation_unknown")


async def test_of_two_with_one_custom_id_one_is_drafted(office):
    name, party = f"Twice-{uuid4().hex}", await organisation(office)
    bodies = [{"kind": "cooperation", "organisation_id": party, "custom_id": n} for n in (name, name.lower())]
    answers = await asyncio.gather(*(office.admin.post("/contracts", json=body) for body in bodies * 2))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    free = await drafted(office)
    refused(await office.admin.patch(free, json={"custom_id": name}), 409, "contract.custom_id_taken")


@pytest.mark.parametrize(
    ("what", "body"),
    [("sign", {}), ("cancel", {"reason": "so"}), ("amend", {"amount": EUROS, "reason": "so"})],
)
async def test_what_must_not_happen_twice_needs_a_key(office, what, body):
    refused(
        await office.admin.post(f"/contracts/none.such/{what}", json=body), 400, "idempotency_key_missing"
    )
    place = await (drafted(office) if what == "sign" else signed(office))
    headers = key()
    answers = [await office.admin.post(f"{place}/{what}", json=body, headers=headers) for _ in range(2)]
    assert answers[0].text == answers[1].text
    assert answers[1].headers["idempotent-replayed"] == "true"


async def test_a_signed_contract_is_firm(office):
    place = await signed(office)
    for body, code in (
        ({"amount": {"amount": "1.00", "currency": "EUR"}}, "contract.signed_amount_firm"),
        ({"kind": "cooperation", "amount": None}, "contract.signed_amount_firm"),
        ({"organisation_id": await organisation(office)}, "contract.signed_terms_firm"),
    ):
        refused(await office.admin.patch(place, json=body), 409, code)
    same = await office.admin.patch(place, json={"amount": EUROS, "kind": "sale"})
    assert (same.status_code, same.json()["version"]) == (200, 2)
    assert (await office.admin.patch(place, json={"due_on": "2027-01-31"})).status_code == 200
    refused(await office.admin.post(f"{place}/archive"), 409, "contract.not_settled")


async def test_an_unsigned_contract_is_not_amended(office):
    body = {"amount": EUROS, "reason": "so"}
    answer = await office.admin.post(f"{await drafted(office)}/amend", json=body, headers=key())
    refused(answer, 409, "contract.not_signed")


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        ({"amount": "-5.00", "currency": "EUR"}, "contract.amount_negative"),
        ({"amount": "5.001", "currency": "EUR"}, "money.invalid"),
        ({"amount": "5.00", "currency": "USD"}, "contract.currency_differs"),
    ],
)
async def test_an_amendment_that_cannot_be_is_refused(office, amount, code):
    place = await signed(office)
    answer = await office.admin.post(f"{place}/amend", json={"amount": amount, "reason": "so"}, headers=key())
    refused(answer, 422, code)


async def test_a_canceled_contract_is_touched_in_no_way(office):
    place = await signed(office)
    assert (
        await office.admin.post(f"{place}/cancel", json={"reason": "no"}, headers=key())
    ).status_code == 200
    async with office.nothing_stored():
        for method, path, body in (
            ("PATCH", place, {"title": "Other"}),
            ("PATCH", place, {"amount": EUROS}),
            ("POST", f"{place}/sign", {}),
            ("POST", f"{place}/amend", {"amount": EUROS, "reason": "so"}),
            ("POST", f"{place}/cancel", {"reason": "again"}),
        ):
            refused(
                await office.admin.request(method, path, json=body, headers=key()), 409, "contract.canceled"
            )
    shown = (await office.admin.get(place)).json()
    assert (shown["status"], shown["cancel_reason"]) == ("canceled", "no")


async def test_another_version_than_the_one_insisted_on_is_not_signed(office):
    place = await drafted(office)
    await office.admin.patch(place, json={"title": "Changed meanwhile"})
    answer = await office.admin.post(f"{place}/sign", headers=key() | {"If-Match": '"v1"'})
    assert (answer.status_code, answer.json()["current"]) == (412, 2)


# --- who may ---------------------------------------------------------------------------------------------------


async def test_of_two_signers_at_once_one_signs_and_the_other_hears_of_it(office):
    anna, boris = [await office.user(*ALL) for _ in range(2)]
    place = await drafted(office)
    answers = await asyncio.gather(
        *(who.client.post(f"{place}/sign", headers=key()) for who in (anna, boris))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    winner, loser = (anna, boris) if answers[0].status_code == 200 else (boris, anna)
    refused(next(answer for answer in answers if answer.status_code == 409), 409, "contract.already_signed")
    assert (await office.admin.get(place)).json()["signed_by"] == str(winner.id)
    again = await winner.client.post(f"{place}/sign", headers=key())
    assert (again.status_code, again.json()["version"]) == (200, 2)
    refused(await loser.client.post(f"{place}/sign", headers=key()), 409, "contract.already_signed")


async def test_a_stranger_knows_of_no_contract(office):
    mallory = await office.user()
    name = f"Secret-{uuid4().hex}"
    for place in (await drafted(office, custom_id=name), f"/contracts/{name}"):
        for method, path, body in (
            ("GET", place, None),
            ("GET", f"{place}/history", None),
            ("GET", f"{place}/diff?from=v1&to=v1", None),
            ("PATCH", place, {"title": "Mine"}),
            ("POST", f"{place}/sign", {}),
            ("POST", f"{place}/cancel", {"reason": "so"}),
            ("POST", f"{place}/amend", {"amount": EUROS, "reason": "so"}),
            ("POST", f"{place}/archive", {}),
        ):
            answer = await mallory.client.request(method, path, json=body, headers=key())
            assert answer.status_code == 404, (method, path, answer.text)
    assert (await mallory.client.get("/contracts")).json()["data"] == []
    refused(await office.stranger.get(place), 401, "missing_bearer_token")


async def test_who_may_only_look_may_not_touch(office):
    viewer, place = await office.user("contract:view"), await drafted(office)
    assert (await viewer.client.get(place)).status_code == 200
    for action, body in (
        ("sign", {}),
        ("cancel", {"reason": "so"}),
        ("amend", {"amount": EUROS, "reason": "so"}),
        ("archive", {}),
    ):
        answer = await viewer.client.post(f"{place}/{action}", json=body, headers=key())
        assert refused(answer, 403, "forbidden")
        assert answer.json()["required"] == f"contract:{action}"
    refused(await viewer.client.patch(place, json={"title": "Mine"}), 403, "forbidden")
    body = {"kind": "cooperation", "organisation_id": await organisation(office)}
    refused(await viewer.client.post("/contracts", json=body), 403, "forbidden")


async def test_an_account_manager_works_on_the_contracts_of_own_organisations_alone(office):
    anna = await office.user(*ALL, scope=("own", "*"))
    mine, other = await organisation(office, account_manager_id=str(anna.id)), await organisation(office)
    place = await drafted(office, client=anna.client, organisation_id=mine)
    assert (await anna.client.get(place)).json()["account_manager_id"] == str(anna.id)
    assert (await anna.client.post(f"{place}/sign", headers=key())).status_code == 200
    foreign = await drafted(office, organisation_id=other)
    assert (await anna.client.get(foreign)).status_code == 404
    listed = (await anna.client.get("/contracts")).json()["data"]
    assert [one["id"] for one in listed] == [place.removeprefix("/contracts/")]
    answer = await anna.client.post("/contracts", json={"kind": "cooperation", "organisation_id": other})
    refused(answer, 403, "forbidden")


async def test_nobody_moves_a_contract_to_where_he_may_not_edit(office):
    here, there = await organisation(office), await organisation(office)
    boris = await office.user(*ALL, scope=("organisation", here))
    place = await drafted(office, client=boris.client, organisation_id=here)
    refused(await boris.client.patch(place, json={"organisation_id": there}), 403, "forbidden")
    assert (await boris.client.patch(place, json={"organisation_id": here, "title": "x"})).status_code == 200
    office.grant(boris.id, "contract:edit", scope=("organisation", there))
    assert (await boris.client.patch(place, json={"organisation_id": there})).status_code == 200
    assert (await boris.client.get(place)).status_code == 404


async def test_a_contract_that_moves_follows_the_manager_of_its_new_organisation(office):
    carla = await office.user("contract:view", scope=("own", "*"))
    place, party = await drafted(office), await organisation(office, account_manager_id=str(carla.id))
    assert (await carla.client.get(place)).status_code == 404
    await office.admin.patch(place, json={"organisation_id": party})
    assert (await carla.client.get(place)).json()["account_manager_id"] == str(carla.id)
    kept = office.owner.execute(
        "select record_id from responsibles where user_id = %s", (carla.id,)
    ).fetchall()
    assert [f"/contracts/{record_id}" for (record_id,) in kept] == [place]


@pytest.mark.parametrize(("what", "body"), [("sign", {}), ("cancel", {"reason": "so"})])
async def test_a_password_proved_long_ago_is_proved_again_first(office, what, body):
    anna, place = await office.user(*ALL), await drafted(office)
    office.owner.execute(
        "update sessions set proved_at = proved_at - interval '301 seconds', access_version = access_version + 1"
        " where user_id = %s",
        (anna.id,),
    )
    await anna.client.get("/me")  # what is remembered of the session is renewed
    answer = await anna.client.post(f"{place}/{what}", json=body, headers=key())
    refused(answer, 401, "step_up_required")
    assert "insufficient_user_authentication" in answer.headers["www-authenticate"]
    rehearsed = await anna.client.post(f"{place}/{what}", json=body, params={"dry_run": True})
    assert rehearsed.status_code == 200
    assert (await anna.client.patch(place, json={"title": "needs no proof"})).status_code == 200


# --- lists -----------------------------------------------------------------------------------------------------


async def test_contracts_are_found_by_what_they_hold(office):
    anna = await office.user(staff_number=f"aa{uuid4().hex[:8]}")
    number = (await office.admin.get(f"/users/{anna.id}")).json()["staff_number"]
    party = await organisation(office, account_manager_id=str(anna.id))
    big = await signed(office, organisation_id=party, title="Ёлка for Société", due_on="2026-12-31")
    small = await drafted(office, organisation_id=party, amount={"amount": "90", "currency": "EUR"})
    plain = await drafted(office, organisation_id=party, kind="cooperation", amount=None)
    place = {
        path.removeprefix("/contracts/"): name
        for path, name in ((big, "big"), (small, "small"), (plain, "plain"))
    }
    for text, expected in {
        "": {"big", "small", "plain"},
        "status=signed": {"big"},
        "kind=cooperation": {"plain"},
        "remaining>=0": {"big", "small"},
        "remaining>=100": {"big"},
        "remain_amount_to_pay>100 et status=signed": {"big"},
        "full_amount_to_pay<=90.00": {"small"},
        "amount=null": {"plain"},
        "currency=EUR": {"big", "small"},
        'title:"елка"': {"big"},
        'title:"societe"': {"big"},
        "due_on=31-12-2026": {"big"},
        "signed_at!=null": {"big"},
        f"commercial_id={anna.id}": {"big", "small", "plain"},
        f"commercial_id={number} AND status=unsigned": {"small", "plain"},
        "commercial_id=null": set(),
    }.items():
        asked = f"organisation_id={party}" + (f" AND ({text})" if text else "")
        answer = await office.admin.get("/contracts", params={"filter": asked, "include_total": True})
        assert answer.status_code == 200, answer.text
        assert {place[one["id"]] for one in answer.json()["data"]} == expected, text
        assert answer.json()["total"] == len(expected)
    asked = {
        "filter": f"organisation_id={party}",
        "order_by": "amount desc",
        "fields": "id,amount",
        "page_size": 2,
    }
    first = (await office.admin.get("/contracts", params=asked)).json()
    then = (
        await office.admin.get("/contracts", params=asked | {"page_token": first["next_page_token"]})
    ).json()
    assert [place[one["id"]] for one in first["data"] + then["data"]] == ["big", "small", "plain"]
    refused(
        await office.admin.get("/contracts", params={"filter": "state=signed"}), 400, "filter_unknown_field"
    )
    refused(await office.admin.get("/contracts", params={"filter": "status=paid"}), 400, "filter_wrong_type")
