"""The amounts of contracts over HTTP: what may be agreed, what a canceled one refuses, what stays when people go."""

from uuid import UUID, uuid4

import pytest

from infrastructure.papers.ledger_check import verify
from tests.money import code, credit, drafted, euros, invoice, key, pay, signed

pytestmark = pytest.mark.anyio

WRONG = [
    (euros("-0.01"), (422, "contract.amount_negative")),
    (euros("1.001"), (422, "money.invalid")),
    ({"amount": "1.5", "currency": "JPY"}, (422, "money.invalid")),
    ({"amount": "1.0001", "currency": "BHD"}, (422, "money.invalid")),
    ({"amount": "1.00", "currency": "ZZZ"}, (422, "money.invalid")),
]
NO_AMOUNTS = [5, 5.0, "5", {"amount": 5.0, "currency": "EUR"}, {"amount": "1e3", "currency": "EUR"}]
NO_AMOUNTS += [{"amount": "9" * 13, "currency": "EUR"}, {"amount": "NaN", "currency": "EUR"}]


async def draft(office, **fields):
    body = {"kind": "sale", "organisation_id": (await office.organisation()).rpartition("/")[2], **fields}
    async with office.nothing_stored():
        return await office.admin.post("/contracts", json=body)


async def amend(office, contract, amount):
    return await office.admin.post(
        f"{contract}/amend", json={"amount": amount, "reason": "so"}, headers=key()
    )


# --- what may be agreed -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("amount", "said"), WRONG)
async def test_an_amount_that_cannot_be_agreed_is_refused_and_nothing_stored(office, amount, said):
    assert code(await draft(office, amount=amount)) == said
    unsigned, contract = await drafted(office), await signed(office)
    async with office.nothing_stored():
        assert code(await office.admin.patch(unsigned, json={"amount": amount})) == said
        assert code(await amend(office, contract, amount)) == said


@pytest.mark.parametrize("amount", NO_AMOUNTS)
async def test_what_is_no_amount_is_bad_syntax_wherever_it_stands(office, amount):
    assert (await draft(office, amount=amount)).status_code == 400
    contract = await signed(office)
    async with office.nothing_stored():
        assert (await amend(office, contract, amount)).status_code == 400
        assert (await invoice(office.admin, contract, amount)).status_code == 400


async def test_what_remains_is_never_told_so_it_is_never_more_than_the_amount(office):
    told = await draft(office, amount=euros("10.00"), remaining=euros("10.01"))
    assert told.status_code == 400
    unsigned = await drafted(office)
    async with office.nothing_stored():
        for name in ("remaining", "remain_amount_to_pay", "paid", "invoiced", "balance"):
            assert (await office.admin.patch(unsigned, json={name: euros("10.01")})).status_code == 400, name


async def test_an_amendment_keeps_the_signed_currency(office):
    contract = await signed(office)
    async with office.nothing_stored():
        dollars = await amend(office, contract, {"amount": "2000.00", "currency": "USD"})
    assert code(dollars) == (422, "contract.currency_differs")
    assert (await amend(office, contract, euros("2000"))).status_code == 200
    shown = (await office.admin.get(contract)).json()
    assert (shown["amount"], shown["remaining"]) == (euros("2000.00"), euros("2000.00"))


@pytest.mark.parametrize(("currency", "amount"), [("JPY", "7000"), ("BHD", "0.125"), ("EUR", "0.10")])
async def test_sums_are_exact_in_the_currencys_own_decimals(office, currency, amount):
    organisation = await office.organisation()
    contract = await signed(office, "9000", currency, organisation=organisation)
    for _ in range(3):
        paid = await pay(office.admin, contract, {"amount": amount, "currency": currency})
        if paid.status_code != 201:
            assert code(paid) == (422, "contract.payment_too_large")
    (balance,) = (await office.admin.get(f"{organisation}/balance")).json()["balances"]
    expected = {"JPY": ("7000", "2000"), "BHD": ("0.375", "8999.625"), "EUR": ("0.30", "8999.70")}[currency]
    assert (balance["paid"]["amount"], balance["remaining"]["amount"]) == expected


# --- what is over -----------------------------------------------------------------------------------------------


async def test_a_canceled_contract_refuses_whatever_touches_its_money(office):
    contract = await signed(office)
    payment = (await pay(office.admin, contract, euros("1.00"))).json()["id"]
    bill = (await invoice(office.admin, contract, euros("1.00"))).json()["id"]
    reverse = f"{contract}/payments/{payment}/reverse"
    assert (await office.admin.post(reverse, json={"reason": "no"})).status_code == 200
    assert (await credit(office.admin, bill)).status_code == 201
    canceled = await office.admin.post(f"{contract}/cancel", json={"reason": "no"}, headers=key())
    assert canceled.status_code == 200, canceled.text
    async with office.nothing_stored():
        for answer in (
            await pay(office.admin, contract, euros("1.00")),
            await office.admin.post(reverse, json={"reason": "no"}),
            await invoice(office.admin, contract, euros("1.00")),
            await credit(office.admin, bill),
            await amend(office, contract, euros("1.00")),
            await office.admin.patch(contract, json={"amount": euros("1.00")}),
            await office.admin.post(f"{contract}/sign", headers=key()),
            await office.admin.post(f"{contract}/cancel", json={"reason": "again"}, headers=key()),
        ):
            assert code(answer) == (409, "contract.canceled"), answer.request.url


# --- what stays -------------------------------------------------------------------------------------------------


async def test_a_contact_who_is_forgotten_leaves_sums_and_dates(office):
    organisation = await office.organisation()
    body = {"first_name": f"Zoe{uuid4().hex}", "last_name": "Zimt"}
    contact = (await office.admin.post(f"{organisation}/contacts", json=body)).json()["id"]
    contract = await signed(office, organisation=organisation, contact_id=contact, due_on="2026-12-31")
    await invoice(office.admin, contract, euros("600.00"), due_on="2026-12-31")
    await pay(office.admin, contract, euros("250.00"), reference="VIR 7")
    parts = (contract, f"{contract}/payments", f"{organisation}/statement", f"{organisation}/balance")
    before = [(await office.admin.get(part)).json() for part in parts]
    erased = await office.admin.post(f"/contacts/{contact}/erase", json={"reason": "asked for it"})
    assert erased.status_code == 200, erased.text
    assert [(await office.admin.get(part)).json() for part in parts] == before
    assert before[0]["due_on"] == "2026-12-31"
    assert before[0]["balance"] == euros("350.00")
    (of_contact,) = before[3]["contacts"]
    assert (of_contact["contact_id"], of_contact["balance"]) == (contact, euros("350.00"))
    assert body["first_name"] not in str(before)
    assert (await pay(office.admin, contract, euros("750.00"))).status_code == 201
    assert (await verify(office.addresses.app)).differences == []


async def test_what_is_archived_stays_in_the_books(office):
    organisation = await office.organisation()
    contract = await signed(office, organisation=organisation)
    bill = (await invoice(office.admin, contract, euros("1000.00"))).json()
    await pay(office.admin, contract, euros("1000.00"))
    before = (await office.admin.get(f"{organisation}/balance")).json()
    assert (await office.admin.post(f"{contract}/archive")).status_code == 200
    assert (await office.admin.get(f"{organisation}/balance")).json() == before
    assert len((await office.admin.get(f"{organisation}/statement")).json()["data"]) == 2
    assert (await office.admin.get(f"/invoices/{bill['id']}")).json()["number"] == bill["number"]
    shown = (await office.admin.get(contract)).json()
    assert (shown["status"], shown["paid"], shown["balance"]) == ("signed", euros("1000.00"), euros("0.00"))
    of_it = {"filter": f"organisation_id={organisation.rpartition('/')[2]}"}
    assert (await office.admin.get("/contracts", params=of_it)).json()["data"] == []
    kept = (await office.admin.get("/contracts", params={**of_it, "show_archived": "true"})).json()["data"]
    assert [UUID(each["id"]) for each in kept] == [UUID(contract.rpartition("/")[2])]
    async with office.nothing_stored():
        assert code(await credit(office.admin, bill["id"])) == (409, "contract.archived")
