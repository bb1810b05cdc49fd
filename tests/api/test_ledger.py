"""What an organisation owes, over HTTP: its balance, and the statement of how that came about."""

from uuid import uuid4

import pytest

from infrastructure.papers.ledger_check import verify
from tests.money import credit, euros, invoice, pay, signed

pytestmark = pytest.mark.anyio


async def traded(office, **fields):
    """An organisation with two contracts: some paid, some invoiced, some taken back."""
    organisation = await office.organisation()
    one = await signed(office, organisation=organisation, **fields)
    other = await signed(office, "500.00", organisation=organisation)
    bill = (await invoice(office.admin, one, euros("800.00"))).json()
    payment = (await pay(office.admin, one, euros("300.00"), reference="VIR 9")).json()
    await credit(office.admin, bill["id"], amount=euros("100.00"))
    await pay(office.admin, other, euros("500.00"))
    await office.admin.post(f"{one}/payments/{payment['id']}/reverse", json={"reason": "bounced"})
    return organisation, bill


async def test_a_balance_says_what_was_agreed_paid_invoiced_and_is_owed(office):
    organisation, _ = await traded(office)
    answer = await office.admin.get(f"{organisation}/balance")
    assert answer.status_code == 200
    assert int(answer.headers["x-projection-position"]) == await office.head()
    body = answer.json()
    assert body["organisation_id"] == organisation.rpartition("/")[2]
    assert body["contacts"] == []
    assert body["balances"] == [
        {
            "currency": "EUR",
            "amount": euros("1500.00"),
            "paid": euros("500.00"),
            "remaining": euros("1000.00"),
            "invoiced": euros("700.00"),
            "debit": euros("700.00"),
            "credit": euros("500.00"),
            "balance": euros("200.00"),
        }
    ]


async def test_a_contact_and_a_currency_have_balances_of_their_own(office):
    organisation = await office.organisation()
    body = {"first_name": "Anna", "last_name": "Petit"}
    contact = (await office.admin.post(f"{organisation}/contacts", json=body)).json()["id"]
    contract = await signed(office, organisation=organisation, contact_id=contact)
    await signed(office, "7000", "JPY", organisation=organisation)
    await pay(office.admin, contract, euros("1.00"))
    body = (await office.admin.get(f"{organisation}/balance")).json()
    assert [(each["currency"], each["remaining"]["amount"]) for each in body["balances"]] == [
        ("EUR", "999.00"),
        ("JPY", "7000"),
    ]
    assert [(each["contact_id"], each["paid"]) for each in body["contacts"]] == [(contact, euros("1.00"))]


async def test_nothing_signed_nothing_owed(office):
    body = (await office.admin.get(f"{await office.organisation()}/balance")).json()
    assert (body["balances"], body["contacts"]) == ([], [])


async def test_a_statement_tells_it_in_order_with_what_was_owed_after_each(office):
    organisation, bill = await traded(office)
    lines = (await office.admin.get(f"{organisation}/statement")).json()["data"]
    assert [(line["kind"], line["amount"]["amount"], line["balance"]["amount"]) for line in lines] == [
        ("invoice", "800.00", "800.00"),
        ("payment", "300.00", "500.00"),
        ("credit_note", "100.00", "400.00"),
        ("payment", "500.00", "-100.00"),
        ("reversal", "300.00", "200.00"),
    ]
    assert (lines[0]["number"], lines[1]["reference"]) == (bill["number"], "VIR 9")
    assert {line["organisation_id"] for line in lines} == {organisation.rpartition("/")[2]}


async def test_a_statement_comes_in_pages_and_is_filtered(office):
    organisation, _ = await traded(office)
    first = (await office.admin.get(f"{organisation}/statement", params={"page_size": 2})).json()
    rest = await office.admin.get(
        f"{organisation}/statement", params={"page_size": 50, "page_token": first["next_page_token"]}
    )
    assert [len(first["data"]), len(rest.json()["data"])] == [2, 3]
    wanted = {"filter": "kind=payment AND amount>=500"}
    (line,) = (await office.admin.get(f"{organisation}/statement", params=wanted)).json()["data"]
    assert line["amount"] == euros("500.00")


async def test_what_one_may_not_see_has_no_balance(office):
    organisation = await office.organisation()
    nobody, viewer = await office.user(), await office.user("organisation:view")
    for part in ("balance", "statement"):
        assert (await nobody.client.get(f"{organisation}/{part}")).status_code == 404
        assert (await office.admin.get(f"/organisations/{uuid4()}/{part}")).status_code == 404
        assert (await viewer.client.get(f"{organisation}/{part}")).status_code == 200


async def test_a_read_waits_for_its_own_write(office):
    organisation = await office.organisation()
    contract = await signed(office, organisation=organisation)
    paid = await pay(office.admin, contract, euros("1.00"))
    fresh = {"X-Min-Position": paid.headers["x-event-position"]}
    for part in ("balance", "statement"):
        assert (await office.admin.get(f"{organisation}/{part}", headers=fresh)).status_code == 200
        beyond = {"X-Min-Position": "999999999"}
        assert (await office.admin.get(f"{organisation}/{part}", headers=beyond)).status_code == 400


async def test_all_of_it_agrees_with_the_log(office):
    await traded(office)
    await office.admin.get("/invoices")  # so that the read models follow
    report = await verify(office.addresses.app)
    assert (report.differences, report.missing) == ([], [])
    assert report.numbers > 0
