"""The CRM's access matrix as shipped grants (seed E): what a member of each department may do, and what not; who is in
none; and who is in a fourth, which has grants of its own and nothing else.
"""

from uuid import UUID, uuid4

import pytest

from application.catalogue import EVERYTHING
from domain.department.events import shipped_id
from infrastructure.shipped_departments import ship_departments, shipped_departments
from tests import office as offices
from tests.arranging import arranged, arrangement, assign, of_support
from tests.money import code, credit, invoice, pay

pytestmark = pytest.mark.anyio

DEPARTMENTS = ("commercial", "gestion", "support")
FOURTH = "quality"
"""A department that an administrator made, with these grants."""
FOURTH_MAY = (
    "organisation:view",
    "contract:view",
    "department:view",
    "occasion:view",
    "occasion:edit",
    "occasion:withdraw",
)
NONE = "none"
WHO = (*DEPARTMENTS, FOURTH, NONE)
AMOUNT = {"amount": "100.00", "currency": "EUR"}


def key() -> dict[str, str]:
    return {"Idempotency-Key": uuid4().hex}


def somebody() -> dict:
    return {"email": f"{uuid4()}@example.org", "first_name": "Anna", "last_name": "Berg"}


class Desk:
    """One member at work: an organisation that he answers for and one that a colleague does, with all that is there."""

    def __init__(self, office, member, colleague, holder):
        self.office, self.me, self.client, self.colleague = office, member, member.client, colleague
        self.holder, self._made = holder, {}

    async def organisation(self, manager) -> str:
        return await self.office.organisation(account_manager_id=str(manager.id))

    async def own(self) -> str:
        return await self._once("own", lambda: self.organisation(self.me))

    async def foreign(self) -> str:
        return await self._once("foreign", lambda: self.organisation(self.colleague))

    async def signed(self, place) -> str:
        """A contract that occasions alone happen to."""
        return await self._once(f"signed {place}", lambda: self.contract(place, signed=True))

    async def _once(self, name, make) -> str:
        if name not in self._made:
            self._made[name] = await make()
        return self._made[name]

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

    async def occasion(self, place) -> str:
        """Of a signed contract with that organisation; assigned to the member where he is of support."""
        path = await arranged(self.office, await self.signed(place))
        assigned = await assign(self.office.admin, path, self.me.id)
        assert assigned.status_code in (200, 422)
        return path

    async def foreign_occasion(self) -> str:
        """Assigned to another of support."""
        path = await arranged(self.office, await self.signed(await self.foreign()))
        assert (await assign(self.office.admin, path, self.holder.id)).status_code == 200
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
    return await at.client.post(f"{await at.organisation(at.me)}/archive")


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


async def reads_a_certificate(at):
    return await at.client.get(f"{await at.signed(await at.foreign())}/certificate")


async def reads_occasions(at):
    return await at.client.get(await at.foreign_occasion())


async def adds_an_occasion_to_his_contract(at):
    return await at.client.post("/occasions", json=arrangement(await at.signed(await at.own())))


async def adds_an_occasion_to_a_foreign_contract(at):
    return await at.client.post("/occasions", json=arrangement(await at.signed(await at.foreign())))


async def updates_his_occasion(at):
    return await at.client.patch(await at.occasion(await at.own()), json={"notes": "n"})


async def updates_a_foreign_occasion(at):
    return await at.client.patch(await at.foreign_occasion(), json={"notes": "n"})


async def assigns_an_occasion(at):
    return await assign(at.client, await at.foreign_occasion(), at.holder.id)


async def frees_an_occasion_of_whoever_holds_it(at):
    return await assign(at.client, await at.foreign_occasion(), None)


async def withdraws_his_occasion(at):
    return await at.client.post(f"{await at.occasion(await at.own())}/withdraw")


async def withdraws_a_foreign_occasion(at):
    return await at.client.post(f"{await at.foreign_occasion()}/withdraw")


async def cancels_a_foreign_contract(at):
    path = await at.contract(await at.foreign())
    return await at.client.post(f"{path}/cancel", json={"reason": "r"}, headers=key())


async def forgets_a_client(at):
    contact = await at.contact(await at.foreign(), at.me)
    return await at.client.post(f"{contact}/erase", json={"reason": "r"})


async def reads_the_password_policy(at):
    return await at.client.get("/auth/password-policy")


async def signs_in_and_out(at):
    client = await at.office.signed_in(at.me.email)
    assert (await client.post("/auth/logout")).status_code == 204
    assert (await client.get("/me")).status_code == 401
    return await at.client.get("/me")


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


EVERYBODY, COMMERCIAL, GESTION, NOBODY = {*DEPARTMENTS, FOURTH}, {"commercial"}, {"gestion"}, set()
BOTH, WHOEVER = COMMERCIAL | GESTION, set(WHO)
MATRIX = [
    (reads_organisations, EVERYBODY),
    (reads_contacts, EVERYBODY),
    (reads_contracts, EVERYBODY),
    (reads_a_certificate, EVERYBODY),
    (reads_occasions, EVERYBODY),
    (reads_colleagues, WHOEVER),
    (reads_the_password_policy, WHOEVER),
    (signs_in_and_out, WHOEVER),
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
    (cancels_a_foreign_contract, GESTION),
    (adds_an_occasion_to_his_contract, COMMERCIAL),
    (adds_an_occasion_to_a_foreign_contract, NOBODY),
    (updates_his_occasion, GESTION | {"support", FOURTH}),
    (updates_a_foreign_occasion, GESTION | {FOURTH}),
    (assigns_an_occasion, GESTION),
    (frees_an_occasion_of_whoever_holds_it, GESTION),
    (withdraws_his_occasion, GESTION | {FOURTH}),
    (withdraws_a_foreign_occasion, GESTION | {FOURTH}),
    (forgets_a_client, GESTION),
    (adds_a_department, GESTION),
    (updates_a_department, GESTION),
    (removes_a_department, GESTION),
    (gives_himself_a_right, NOBODY),
]
KNOWS_OF_IT = {
    adds_a_company,
    adds_a_contract,
    adds_a_collaborator,
    updates_a_collaborator,
    moves_a_collaborator,
    removes_a_collaborator,
    adds_a_department,
    gives_himself_a_right,
}
"""What is made of nothing, or done to colleagues, of whom every user knows: who may not is told so."""


@pytest.fixture(scope="module")
async def desks(office):
    await ship_departments(office.system)
    fourth = (await office.admin.post("/departments", json={"name": FOURTH, "custom_id": FOURTH})).json()[
        "id"
    ]
    for right in FOURTH_MAY:
        module, action = right.split(":")
        grant = {"scope_type": "global", "scope_id": "*", "module": module, "action": action}
        given = await office.admin.post(
            "/grants", json={"subject": {"type": "department", "id": fourth}, **grant}
        )
        assert given.status_code == 201, given.text
    colleague, holder = await office.user(), await of_support(office)
    ids = {name: str(shipped_id(name)) for name in DEPARTMENTS} | {FOURTH: fourth, NONE: None}
    found = {}
    for name in WHO:
        member = await office.user()
        body = {"department_id": ids[name]}
        assert (await office.admin.post(f"/users/{member.id}/department", json=body)).status_code == 200
        found[name] = Desk(office, member, colleague, holder)
    return found


@pytest.mark.parametrize("name", WHO)
@pytest.mark.parametrize(("does", "allowed"), MATRIX, ids=[row[0].__name__ for row in MATRIX])
async def test_a_member_may_what_the_matrix_says(desks, does, allowed, name):
    """Who may not see what it is about is told that there is nothing."""
    answer = await does(desks[name])
    if name in allowed:
        assert answer.status_code in (200, 201, 202), answer.text
    elif name == NONE and does not in KNOWS_OF_IT:
        assert answer.status_code == 404, answer.text
    else:
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize("name", ["commercial", "support", NONE, FOURTH])
async def test_nobody_takes_an_occasion_by_the_command_that_he_would_need_it_for(desks, office, name):
    """Seed E's ownership hole: applied first and judged after, one was whatever one sent."""
    at, me = desks[name], str(desks[name].me.id)
    path = await at.foreign_occasion()
    async with office.nothing_stored():
        assert (await assign(at.client, path, me)).status_code == (404 if name == NONE else 403)
        for field in ("user_id", "assigned_to", "account_manager_id"):
            answer = await at.client.patch(path, json={"notes": "n", field: me})
            assert answer.status_code == 400, field


async def test_an_occasion_waits_for_the_signature_of_its_contract(desks, office):
    at = desks["commercial"]
    path = await at.contract(await at.own())
    async with office.nothing_stored():
        answer = await at.client.post("/occasions", json=arrangement(path))
    assert code(answer) == (409, "contract.not_signed")


async def test_management_assigns_people_of_support_and_nobody_else(desks, office):
    path = await desks["gestion"].foreign_occasion()
    async with office.nothing_stored():
        for name in ("commercial", "gestion", FOURTH, NONE):
            answer = await assign(desks["gestion"].client, path, desks[name].me.id)
            assert code(answer) == (422, "contract.assignee_not_of_support"), name
    answer = await assign(desks["gestion"].client, path, desks["support"].me.id)
    assert answer.status_code == 200, answer.text


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
