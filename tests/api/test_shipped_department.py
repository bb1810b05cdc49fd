"""The CRM's access matrix as shipped grants (seed E): what a member of each department may do, and what not."""

from uuid import UUID, uuid4

import pytest

from application.catalogue import EVERYTHING
from domain.department.events import shipped_id
from infrastructure.shipped_departments import ship_departments, shipped_departments
from tests import office as offices
from tests.money import credit, invoice, pay

pytestmark = pytest.mark.anyio

DEPARTMENTS = ("commercial", "gestion", "support")
AMOUNT = {"amount": "100.00", "currency": "EUR"}


def key() -> dict[str, str]:
    return {"Idempotency-Key": uuid4().hex}


def somebody() -> dict:
    return {"email": f"{uuid4()}@example.org", "first_name": "Anna", "last_name": "Berg"}


class Desk:
    """One member at work: an organisation that he answers for and one that a colleague does, with all that is there."""

    def __init__(self, office, member, colleague):
        self.office, self.me, self.client, self.colleague = office, member, member.client, colleague

    async def organisation(self, manager) -> str:
        return await self.office.organisation(account_manager_id=str(manager.id))

    async def own(self) -> str:
        return await self.organisation(self.me)

    async def foreign(self) -> str:
        return await self.organisation(self.colleague)

    async def contact(self, place, responsible) -> str:
        body = {"last_name": "Casey", "responsible_id": str(responsible.id)}
        made = await self.office.admin.post(f"{place}/contacts", json=body)
        assert made.status_code == 201, made.text
        return made.headers["location"].removeprefix("/api/v1")

    async def contract(self, place, *, signed: bool = False) -> str:
        body = {"kind": "sale", "organisation_id": place.rpartition("/")[2], "amount": AMOUNT}
        made = await self.office.admin.post("/contracts", json=body)
        assert made.status_code == 201, made.text
        path = made.headers["location"].removeprefix("/api/v1")
        if signed:
            assert (await self.office.admin.post(f"{path}/sign", headers=key())).status_code == 200
        return path

    async def colleague_of(self) -> str:
        return f"/users/{(await self.office.user()).id}"

    async def department(self) -> str:
        made = await self.office.admin.post("/departments", json={"name": f"Department {uuid4()}"})
        return f"/departments/{made.json()['id']}"


# command: what is done, and by whom it may be
async def reads_organisations(at):
    return await at.client.get(await at.foreign())


async def reads_contacts(at):
    place = await at.foreign()
    return await at.client.get(await at.contact(place, at.colleague))


async def reads_contracts(at):
    return await at.client.get(await at.contract(await at.foreign()))


async def reads_colleagues(at):
    return await at.client.get(await at.colleague_of())


async def reads_departments(at):
    return await at.client.get("/departments/support")


async def adds_a_client(at):
    return await at.client.post(f"{await at.foreign()}/contacts", json={"last_name": "Casey"})


async def updates_his_client(at):
    contact = await at.contact(await at.foreign(), at.me)
    return await at.client.patch(contact, json={"phone": "+33 1 40 20 50 50"})


async def updates_a_foreign_client(at):
    contact = await at.contact(await at.foreign(), at.colleague)
    return await at.client.patch(contact, json={"phone": "+33 1 40 20 50 50"})


async def moves_his_client_to_another(at):
    contact = await at.contact(await at.foreign(), at.me)
    return await at.client.patch(contact, json={"responsible_id": str(at.colleague.id)})


async def takes_a_foreign_client(at):
    contact = await at.contact(await at.foreign(), at.colleague)
    return await at.client.patch(contact, json={"responsible_id": str(at.me.id)})


async def adds_a_company(at):
    return await at.client.post("/organisations", json={"full_name": "Alpha"})


async def updates_his_company(at):
    return await at.client.patch(await at.own(), json={"short_name": "A"})


async def archives_his_company(at):
    return await at.client.post(f"{await at.own()}/archive")


async def adds_a_collaborator(at):
    return await at.client.post("/users", json=somebody())


async def updates_a_collaborator(at):
    return await at.client.patch(await at.colleague_of(), json={"job_title": "Clerk"})


async def moves_a_collaborator(at):
    return await at.client.post(
        f"{await at.colleague_of()}/department", json={"department_id": str(shipped_id("support"))}
    )


async def removes_a_collaborator(at):
    return await at.client.post(f"{await at.colleague_of()}/deactivate")


async def adds_a_contract(at):
    body = {"kind": "sale", "organisation_id": (await at.own()).rpartition("/")[2], "amount": AMOUNT}
    return await at.client.post("/contracts", json=body)


async def updates_his_contract(at):
    return await at.client.patch(await at.contract(await at.own()), json={"title": "Other"})


async def updates_a_foreign_contract(at):
    return await at.client.patch(await at.contract(await at.foreign()), json={"title": "Other"})


async def takes_a_foreign_contract(at):
    """Seed E's ownership hole: the move itself must not make one its owner."""
    body = {"organisation_id": (await at.own()).rpartition("/")[2]}
    return await at.client.patch(await at.contract(await at.foreign()), json=body)


async def signs_his_contract(at):
    return await at.client.post(f"{await at.contract(await at.own())}/sign", headers=key())


async def signs_a_foreign_contract(at):
    return await at.client.post(f"{await at.contract(await at.foreign())}/sign", headers=key())


async def cancels_his_contract(at):
    path = await at.contract(await at.own())
    return await at.client.post(f"{path}/cancel", json={"reason": "r"}, headers=key())


async def amends_his_contract(at):
    path = await at.contract(await at.own(), signed=True)
    body = {"amount": {"amount": "120.00", "currency": "EUR"}, "reason": "r"}
    return await at.client.post(f"{path}/amend", json=body, headers=key())


async def records_a_payment(at):
    path = await at.contract(await at.own(), signed=True)
    return await pay(at.client, path, AMOUNT)


async def reverses_a_payment(at):
    path = await at.contract(await at.own(), signed=True)
    payment = (await pay(at.office.admin, path, AMOUNT)).json()["id"]
    return await at.client.post(f"{path}/payments/{payment}/reverse", json={"reason": "r"})


async def issues_an_invoice(at):
    path = await at.contract(await at.own(), signed=True)
    return await invoice(at.client, path, AMOUNT)


async def credits_an_invoice(at):
    path = await at.contract(await at.own(), signed=True)
    issued = (await invoice(at.office.admin, path, AMOUNT)).json()
    return await credit(at.client, issued["number"])


async def archives_his_contract(at):
    return await at.client.post(f"{await at.contract(await at.own())}/archive")


async def adds_a_department(at):
    return await at.client.post("/departments", json={"name": f"Department {uuid4()}"})


async def updates_a_department(at):
    return await at.client.patch(await at.department(), json={"description": "d"})


async def removes_a_department(at):
    return await at.client.post(f"{await at.department()}/archive")


async def gives_himself_a_right(at):
    right = {"scope_type": "global", "scope_id": "*", "module": "contract", "action": "create"}
    return await at.client.post("/grants", json={"subject": {"type": "user", "id": str(at.me.id)}, **right})


EVERYBODY, COMMERCIAL, GESTION, NOBODY = set(DEPARTMENTS), {"commercial"}, {"gestion"}, set()
BOTH = COMMERCIAL | GESTION
MATRIX = [
    (reads_organisations, EVERYBODY),
    (reads_contacts, EVERYBODY),
    (reads_contracts, EVERYBODY),
    (reads_colleagues, EVERYBODY),
    (reads_departments, EVERYBODY),
    (adds_a_client, BOTH),  # seed E: commercial alone; who may edit any client may also add one here
    (updates_his_client, BOTH),
    (updates_a_foreign_client, GESTION),
    (moves_his_client_to_another, GESTION),
    (takes_a_foreign_client, GESTION),
    (adds_a_company, COMMERCIAL),
    (
        updates_his_company,
        BOTH,
    ),  # seed E: commercial alone; a client's organisation is edited by the same right
    (archives_his_company, COMMERCIAL),
    (adds_a_collaborator, GESTION),
    (updates_a_collaborator, GESTION),
    (moves_a_collaborator, GESTION),
    (removes_a_collaborator, GESTION),
    (adds_a_contract, GESTION),
    (updates_his_contract, BOTH),
    (updates_a_foreign_contract, GESTION),
    (takes_a_foreign_contract, GESTION),
    (signs_his_contract, BOTH),
    (signs_a_foreign_contract, GESTION),
    (cancels_his_contract, BOTH),
    (amends_his_contract, GESTION),
    (records_a_payment, GESTION),
    (reverses_a_payment, GESTION),
    (issues_an_invoice, GESTION),
    (credits_an_invoice, GESTION),
    (archives_his_contract, GESTION),
    (adds_a_department, GESTION),
    (updates_a_department, GESTION),
    (removes_a_department, GESTION),
    (gives_himself_a_right, NOBODY),
]


@pytest.fixture(scope="module")
async def desks(office):
    await ship_departments(office.system)
    colleague = await office.user()
    found = {}
    for name in DEPARTMENTS:
        member = await office.user()
        body = {"department_id": str(shipped_id(name))}
        assert (await office.admin.post(f"/users/{member.id}/department", json=body)).status_code == 200
        found[name] = Desk(office, member, colleague)
    return found


@pytest.mark.parametrize("name", DEPARTMENTS)
@pytest.mark.parametrize(("does", "allowed"), MATRIX, ids=[row[0].__name__ for row in MATRIX])
async def test_a_member_may_what_the_matrix_says(desks, does, allowed, name):
    answer = await does(desks[name])
    if name in allowed:
        assert answer.status_code in (200, 201), answer.text
    else:
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_what_is_shipped_stands_in_the_catalogue():
    shipped = {right for each in shipped_departments() for right in (*each.everywhere, *each.own)}
    assert shipped <= EVERYTHING
    assert [each.custom_id for each in shipped_departments()] == list(DEPARTMENTS)


def test_no_shipped_right_can_be_passed_on():
    assert not any(grant.grantable for each in shipped_departments() for grant in each.grants())


async def test_a_second_start_makes_nothing(office, desks):
    async with office.nothing_stored():
        await ship_departments(office.system)


async def test_what_was_done_since_stands_for_ever(database, nats_server):
    async with offices.opened(database, nats_server.url) as office:
        await ship_departments(office.system)
        await office.admin.patch("/departments/commercial", json={"name": "Sales", "custom_id": "sales"})
        await office.admin.post("/departments/support/archive")
        held = {"filter": f"subject_id={shipped_id('gestion')}", "page_size": 100}
        grants = (await office.admin.get("/grants", params=held)).json()["data"]
        assert len(grants) == 27
        for grant in grants[:3]:
            revoked = await office.admin.post(f"/grants/{grant['id']}/revoke", json={"reason": "not here"})
            assert revoked.status_code == 200
        async with office.nothing_stored():
            await ship_departments(office.system)


async def test_what_a_crash_left_out_is_made_at_the_next_start(database, nats_server, monkeypatch):
    async with offices.opened(database, nats_server.url) as office:
        given, give = [], office.system.grants.give

        async def some(grant, context):
            if len(given) == 5:
                raise ConnectionError
            given.append(await give(grant, context))

        with monkeypatch.context() as patched:
            patched.setattr(office.system.grants, "give", some)
            with pytest.raises(ConnectionError):
                await ship_departments(office.system)
        await ship_departments(office.system)
        held = {"page_size": 100, "include_total": "true", "filter": "subject_type=department"}
        expected = sum(len(list(each.grants())) for each in shipped_departments())
        assert (await office.admin.get("/grants", params=held)).json()["total"] == expected


async def test_a_department_of_that_name_is_left_alone(database, nats_server):
    async with offices.opened(database, nats_server.url) as office:
        mine = await office.admin.post("/departments", json={"name": "SUPPORT"})
        await ship_departments(office.system)
        assert (await office.admin.get("/departments/support")).status_code == 404
        shown = (await office.admin.get(f"/departments/{mine.json()['id']}")).json()
        assert (shown["name"], UUID(shown["id"]) != shipped_id("support")) == ("SUPPORT", True)
        listed = (await office.admin.get("/departments")).json()["data"]
        assert {each["name"] for each in listed} == {"Commercial", "Gestion", "SUPPORT"}
