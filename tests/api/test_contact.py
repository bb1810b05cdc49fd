"""Contacts over HTTP: who may add, change and see them, and who answers for them."""

from uuid import uuid4

import pytest

pytestmark = pytest.mark.anyio
OWN = ("own", "*")
VIEW, EDIT, ASSIGN = "organisation:view", "organisation:edit", "contact:assign"


async def added(client, place, **fields):
    answer = await client.post(f"{place}/contacts", json={"last_name": "Casey", **fields})
    assert answer.status_code == 201, answer.text
    return answer.headers["location"].removeprefix("/api/v1")


async def commercial(office):
    """As the shipped grants make one: he sees every organisation, and edits what he answers for."""
    person = await office.user(VIEW)
    office.grant(person.id, EDIT, scope=OWN)
    return person


def code(answer):
    return answer.status_code, answer.json()["code"]


# --- who answers for it ----------------------------------------------------------------------------------------


async def test_who_adds_a_contact_answers_for_it(office):
    place, anna = await office.organisation(), await commercial(office)
    contact = await added(anna.client, place, first_name="Kevin", email="kevin@example.org", civility="MR")
    shown = (await anna.client.get(contact)).json()
    assert (shown["responsible_id"], shown["organisation_id"]) == (str(anna.id), place.rpartition("/")[2])
    assert (shown["first_name"], shown["email"], shown["is_main"]) == ("Kevin", "kevin@example.org", False)
    changed = await anna.client.patch(contact, json={"phone": "+33 1 40 20 50 50"})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"v2"')


async def test_another_commercial_sees_the_contact_but_changes_nothing_of_it(office):
    place, anna, boris = await office.organisation(), await commercial(office), await commercial(office)
    contact = await added(anna.client, place)
    assert (await boris.client.get(contact)).status_code == 200
    async with office.nothing_stored():
        answers = [
            await boris.client.patch(contact, json={"phone": "12345"}),
            await boris.client.patch(contact, json={"responsible_id": str(boris.id)}),
            await boris.client.post(f"{contact}/archive"),
        ]
    assert {(code(answer), answer.json()["required"]) for answer in answers} == {((403, "forbidden"), EDIT)}


async def test_only_management_names_another_responsible(office):
    place, anna, boris = await office.organisation(), await commercial(office), await commercial(office)
    chief = await office.user(VIEW, EDIT, ASSIGN)
    contact = await added(anna.client, place)
    async with office.nothing_stored():
        passed_on = await anna.client.patch(contact, json={"responsible_id": str(boris.id)})
        let_go = await anna.client.patch(contact, json={"responsible_id": None})
        for_another = await anna.client.post(
            f"{place}/contacts", json={"last_name": "X", "responsible_id": str(boris.id)}
        )
    assert [(code(each), each.json()["required"]) for each in (passed_on, let_go)] == [
        ((403, "forbidden"), ASSIGN)
    ] * 2
    assert code(for_another) == (403, "forbidden")
    assert (await chief.client.patch(contact, json={"responsible_id": str(boris.id)})).status_code == 200
    assert (await boris.client.patch(contact, json={"phone": "12345"})).status_code == 200
    assert (await anna.client.patch(contact, json={"phone": "54321"})).status_code == 403
    assert (await chief.client.patch(contact, json={"responsible_id": None})).status_code == 200


async def test_a_responsible_is_an_active_user(office):
    place, contact = await office.organisation(), None
    gone = await office.user()
    await office.admin.post(f"/users/{gone.id}/deactivate", json={})
    contact = await added(office.admin, place)
    async with office.nothing_stored():
        for somebody in (uuid4(), gone.id):
            body = {"responsible_id": str(somebody)}
            answers = [
                await office.admin.patch(contact, json=body),
                await office.admin.post(f"{place}/contacts", json={"last_name": "X", **body}),
            ]
            assert {code(answer) for answer in answers} == {(422, "contact.responsible_unknown")}


# --- where it belongs ------------------------------------------------------------------------------------------


async def test_an_organisation_lists_its_own_contacts(office):
    here, there = await office.organisation(), await office.organisation(full_name="Beta")
    first, second = await added(office.admin, here), await added(office.admin, here, last_name="Curie")
    await added(office.admin, there)
    listed = (await office.admin.get(f"{here}/contacts")).json()["data"]
    assert [each["id"] for each in listed] == [path.rpartition("/")[2] for path in (second, first)]
    found = await office.admin.get(f"{here}/contacts", params={"filter": "name:curie"})
    assert [each["last_name"] for each in found.json()["data"]] == ["Curie"]
    assert (await office.admin.get(f"/organisations/{uuid4()}/contacts")).status_code == 404
    stranger = await office.user()
    assert (await stranger.client.get(f"{here}/contacts")).status_code == 404
    assert (await stranger.client.get(first)).status_code == 404
    assert (await stranger.client.get("/contacts")).json()["data"] == []


async def test_a_right_within_one_organisation_covers_its_contacts(office):
    here, there = await office.organisation(), await office.organisation(full_name="Beta")
    clerk = await office.user()
    for right in (VIEW, EDIT):
        office.grant(clerk.id, right, scope=("organisation", here.rpartition("/")[2]))
    contact = await added(office.admin, here)
    assert (await clerk.client.patch(contact, json={"job_title": "Buyer"})).status_code == 200
    elsewhere = await clerk.client.post(f"{there}/contacts", json={"last_name": "X"})
    assert code(elsewhere) == (404, "organisation.unknown")


async def test_an_archived_organisation_gets_no_contacts_and_an_archived_contact_no_changes(office):
    place = await office.organisation()
    contact = await added(office.admin, place)
    assert (await office.admin.post(f"{contact}/archive", json={"reason": "left"})).status_code == 200
    again = await office.admin.post(f"{contact}/archive")
    assert (again.status_code, again.headers["etag"]) == (200, '"v2"')
    await office.admin.post(f"{place}/archive")
    async with office.nothing_stored():
        late = await office.admin.patch(contact, json={"phone": "12345"})
        later = await office.admin.post(f"{place}/contacts", json={"last_name": "X"})
    assert code(late) == (409, "contact.archived")
    assert code(later) == (409, "organisation.archived")


@pytest.mark.parametrize(
    ("body", "status", "pointers"),
    [
        ({}, 422, ["/last_name"]),
        ({"last_name": ""}, 400, ["/last_name"]),
        ({"last_name": "x" * 129}, 400, ["/last_name"]),
        ({"last_name": "X", "email": "nowhere"}, 400, ["/email"]),
        ({"last_name": "X", "phone": "call me", "color": "red"}, 400, ["/color", "/phone"]),
        ({"last_name": "X", "is_main": "yes"}, 400, ["/is_main"]),
        ({"last_name": "X", "responsible_id": "me"}, 400, ["/responsible_id"]),
    ],
)
async def test_bad_fields_are_named(office, body, status, pointers):
    place = await office.organisation()
    async with office.nothing_stored():
        answer = await office.admin.post(f"{place}/contacts", json=body)
    assert answer.status_code == status
    assert sorted(error["pointer"] for error in answer.json()["errors"]) == pointers


# --- contracts -------------------------------------------------------------------------------------------------


def contract(place, **fields):
    amount = {"amount": "10.00", "currency": "EUR"}
    return {"kind": "sale", "organisation_id": place.rpartition("/")[2], "amount": amount, **fields}


async def test_the_account_manager_of_a_contract_answers_for_its_contact(office):
    anna, boris = await commercial(office), await office.user()
    place = await office.organisation(account_manager_id=str(boris.id))
    contact = (await added(anna.client, place)).rpartition("/")[2]
    drafted = await office.admin.post("/contracts", json=contract(place, contact_id=contact))
    path = drafted.headers["location"].removeprefix("/api/v1")
    assert (await office.admin.get(path)).json()["account_manager_id"] == str(anna.id)
    assert (await office.admin.patch(path, json={"contact_id": None})).status_code == 200
    assert (await office.admin.get(path)).json()["account_manager_id"] == str(boris.id)
    assert (await office.admin.patch(path, json={"contact_id": contact})).status_code == 200
    assert (await office.admin.get(path)).json()["account_manager_id"] == str(anna.id)


async def test_a_contract_names_a_contact_of_its_own_organisation_who_is_not_archived(office):
    here, there = await office.organisation(), await office.organisation(full_name="Beta")
    foreign, gone = await added(office.admin, there), await added(office.admin, here)
    await office.admin.post(f"{gone}/archive")
    drafted = await office.admin.post("/contracts", json=contract(here))
    path = drafted.headers["location"].removeprefix("/api/v1")
    async with office.nothing_stored():
        for contact in (foreign.rpartition("/")[2], gone.rpartition("/")[2], str(uuid4())):
            new = await office.admin.post("/contracts", json=contract(here, contact_id=contact))
            old = await office.admin.patch(path, json={"contact_id": contact})
            assert {code(new), code(old)} == {(422, "contract.contact_unknown")}


async def test_a_contract_that_moves_leaves_its_contact_behind(office):
    here, there = await office.organisation(), await office.organisation(full_name="Beta")
    contact = (await added(office.admin, here)).rpartition("/")[2]
    drafted = await office.admin.post("/contracts", json=contract(here, contact_id=contact))
    path = drafted.headers["location"].removeprefix("/api/v1")
    moved = {"organisation_id": there.rpartition("/")[2]}
    assert code(await office.admin.patch(path, json=moved)) == (422, "contract.contact_unknown")
    assert (await office.admin.patch(path, json={**moved, "contact_id": None})).status_code == 200
