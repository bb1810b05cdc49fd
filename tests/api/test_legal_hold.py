"""Legal holds over HTTP: who places and releases them, and that nobody under one is forgotten."""

import asyncio
from uuid import UUID, uuid4

import pytest

pytestmark = pytest.mark.anyio

ASKED = {"reason": "asked for it"}


def code(answer):
    return answer.status_code, answer.json().get("code")


async def held(office, kind, subject, reason="case 12/2026"):
    body = {"subject": {"type": kind, "id": str(subject)}, "reason": reason}
    answer = await office.admin.post("/legal-holds", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


@pytest.fixture
async def contact(office):
    organisation = await office.organisation()
    made = await office.admin.post(
        f"{organisation}/contacts", json={"first_name": "Kevin", "phone": "+33142685300"}
    )
    assert made.status_code == 201, made.text
    return made.json()["id"], organisation.rpartition("/")[2]


# --- place, look at, release ---------------------------------------------------------------------------------------


async def test_a_hold_is_placed_listed_and_released(office):
    zoe = await office.user()
    hold = await held(office, "user", zoe.id)
    shown = (await office.admin.get(f"/legal-holds/{hold}")).json()
    assert (shown["state"], shown["subject"]) == ("in_force", {"type": "user", "id": str(zoe.id)})
    assert shown["placed_by"]["kind"] == "user"
    found = (await office.admin.get("/legal-holds", params={"filter": f"subject={zoe.id}"})).json()["data"]
    assert [each["id"] for each in found] == [hold]
    released = await office.admin.post(f"/legal-holds/{hold}/release", json={"reason": "settled"})
    assert released.status_code == 200, released.text
    shown = (await office.admin.get(f"/legal-holds/{hold}")).json()
    assert (shown["state"], shown["release_reason"]) == ("released", "settled")
    topics = [each.topic for each in await office.system.recorded(UUID(hold))]
    assert topics == ["legal_hold.placed.v1", "legal_hold.released.v1"]


async def test_a_hold_is_released_once(office):
    hold = await held(office, "user", (await office.user()).id)
    first = await office.admin.post(f"/legal-holds/{hold}/release")
    async with office.nothing_stored():
        again = await office.admin.post(f"/legal-holds/{hold}/release")
    assert (again.status_code, again.json()) == (200, first.json())


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (400, "body.invalid")),
        ({"subject": {"type": "user"}, "reason": "x"}, (400, "body.invalid")),
        ({"subject": {"type": "grant", "id": str(UUID(int=1))}, "reason": "x"}, (400, "body.invalid")),
        ({"subject": {"type": "user", "id": str(UUID(int=1))}}, (400, "body.invalid")),
        ({"subject": {"type": "user", "id": str(UUID(int=1))}, "reason": ""}, (400, "body.invalid")),
        (
            {"subject": {"type": "user", "id": str(UUID(int=1))}, "reason": "x"},
            (422, "legal_hold.subject_unknown"),
        ),
        (
            {"subject": {"type": "contact", "id": str(UUID(int=1))}, "reason": "x"},
            (422, "legal_hold.subject_unknown"),
        ),
    ],
)
async def test_a_hold_on_nobody_is_refused(office, body, expected):
    async with office.nothing_stored():
        refused = await office.admin.post("/legal-holds", json=body)
    assert refused.status_code == expected[0], refused.text
    if expected[0] == 422:
        assert code(refused) == expected


async def test_a_hold_is_on_what_it_says_it_is_on(office, contact):
    body = {"subject": {"type": "user", "id": contact[0]}, "reason": "x"}
    async with office.nothing_stored():
        assert code(await office.admin.post("/legal-holds", json=body)) == (422, "legal_hold.subject_unknown")


async def test_holds_are_for_who_keeps_them(office):
    zoe, keeper, other = await office.user(), await office.user("audit:hold"), await office.user("audit:view")
    body = {"subject": {"type": "user", "id": str(zoe.id)}, "reason": "x"}
    made = await keeper.client.post("/legal-holds", json=body)
    assert made.status_code == 201, made.text
    hold = made.json()["id"]
    refused = await other.client.post("/legal-holds", json=body)
    assert (code(refused), refused.json()["required"]) == ((403, "forbidden"), "audit:hold")
    assert code(await other.client.post(f"/legal-holds/{hold}/release")) == (404, "legal_hold.unknown")
    assert (await other.client.get(f"/legal-holds/{hold}")).status_code == 404
    assert (await other.client.get("/legal-holds")).json()["data"] == []
    assert (await keeper.client.post(f"/legal-holds/{hold}/release")).status_code == 200


async def test_an_unknown_hold_is_not_released(office):
    async with office.nothing_stored():
        assert code(await office.admin.post(f"/legal-holds/{uuid4()}/release")) == (404, "legal_hold.unknown")


# --- what it prevents ----------------------------------------------------------------------------------------------


async def test_nobody_under_a_hold_is_forgotten_before_the_last_one_is_released(office):
    zoe = await office.user()
    holds = {await held(office, "user", zoe.id), await held(office, "user", zoe.id)}
    path = f"/users/{zoe.id}/erase"
    for left in (2, 1):
        async with office.nothing_stored():
            refused = await office.admin.post(path, json=ASKED)
        assert code(refused) == (423, "legal_hold")
        assert set(refused.json()["legal_holds"]) == holds
        assert len(holds) == left
        assert (await zoe.client.get("/me")).json()["email"] == zoe.email
        (await office.admin.post(f"/legal-holds/{holds.pop()}/release")).raise_for_status()
    assert (await office.admin.post(path, json=ASKED)).status_code == 200


async def test_a_rehearsal_meets_the_hold_too(office):
    zoe = await office.user()
    await held(office, "user", zoe.id)
    assert code(await office.admin.post(f"/users/{zoe.id}/erase?dry_run=true", json=ASKED)) == (
        423,
        "legal_hold",
    )


@pytest.mark.parametrize("kind", ["contact", "organisation"])
async def test_a_contact_is_held_by_a_hold_on_him_or_on_his_organisation(office, contact, kind):
    contact_id, organisation_id = contact
    hold = await held(office, kind, contact_id if kind == "contact" else organisation_id)
    async with office.nothing_stored():
        refused = await office.admin.post(f"/contacts/{contact_id}/erase", json=ASKED)
    assert code(refused) == (423, "legal_hold")
    assert refused.json()["legal_holds"] == [hold]
    (await office.admin.post(f"/legal-holds/{hold}/release")).raise_for_status()
    assert (await office.admin.post(f"/contacts/{contact_id}/erase", json=ASKED)).status_code == 200


async def test_who_was_forgotten_is_not_held(office, contact):
    zoe = await office.user()
    (await office.admin.post(f"/users/{zoe.id}/erase", json=ASKED)).raise_for_status()
    (await office.admin.post(f"/contacts/{contact[0]}/erase", json=ASKED)).raise_for_status()
    for kind, subject in (("user", zoe.id), ("contact", contact[0])):
        body = {"subject": {"type": kind, "id": str(subject)}, "reason": "x"}
        async with office.nothing_stored():
            refused = await office.admin.post("/legal-holds", json=body)
        assert code(refused) == (409, "legal_hold.subject_erased")


async def test_of_a_hold_and_an_erasure_at_once_exactly_one_is_said_yes_to(office, contact):
    for _ in range(10):
        organisation = await office.organisation()
        made = await office.admin.post(f"{organisation}/contacts", json={"last_name": "Casey"})
        contact_id = made.json()["id"]
        kinds = {"contact": contact_id, "user": str((await office.user()).id)}
        for kind, subject in kinds.items():
            body = {"subject": {"type": kind, "id": subject}, "reason": "x"}
            hold, erased = await asyncio.gather(
                office.admin.post("/legal-holds", json=body),
                office.admin.post(f"/{kind}s/{subject}/erase", json=ASKED),
            )
            assert (hold.status_code, erased.status_code) in ((201, 423), (409, 200)), (
                hold.text,
                erased.text,
            )
