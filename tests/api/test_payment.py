"""Payments over HTTP: who may, what is refused with nothing stored, what two at once come to."""

import asyncio
from uuid import uuid4

import pytest

from tests.money import code, drafted, euros, key, pay, signed

pytestmark = pytest.mark.anyio


async def shown(office, contract):
    answer = await office.admin.get(contract)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_contract_is_paid_in_parts_and_shows_what_remains(office):
    contract = await signed(office)
    first = await pay(office.admin, contract, euros("400"), reference="VIR 1")
    assert first.status_code == 201, first.text
    assert first.headers["etag"] == f'"v{first.json()["version"]}"'
    await pay(office.admin, contract, euros("600.00"))
    record = await shown(office, contract)
    assert (record["paid"], record["remaining"]) == (euros("1000.00"), euros("0.00"))
    listed = (await office.admin.get(f"{contract}/payments")).json()["data"]
    assert [each["amount"] for each in listed] == [euros("600.00"), euros("400.00")]
    assert listed[1]["id"] == first.json()["id"]
    assert (listed[1]["reference"], listed[1]["paid_on"], listed[1]["state"]) == (
        "VIR 1",
        "2026-03-01",
        "recorded",
    )


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        (euros("1000.01"), (422, "contract.payment_too_large")),
        (euros("0.00"), (422, "contract.amount_not_positive")),
        (euros("-5.00"), (422, "contract.amount_not_positive")),
        (euros("5.001"), (422, "money.invalid")),
        ({"amount": "5.00", "currency": "USD"}, (422, "contract.currency_differs")),
        ({"amount": "5.00", "currency": "ZZZ"}, (422, "money.invalid")),
    ],
)
async def test_an_amount_that_cannot_be_paid_is_refused_and_nothing_stored(office, amount, said):
    contract = await signed(office)
    async with office.nothing_stored():
        answer = await pay(office.admin, contract, amount)
    assert code(answer) == said
    assert answer.json()["errors"][0]["pointer"].startswith("/amount")


@pytest.mark.parametrize("amount", [5, 5.0, "5", {"amount": 5.0, "currency": "EUR"}, {"amount": "5.00"}])
async def test_what_is_no_amount_is_bad_syntax(office, amount):
    contract = await signed(office)
    async with office.nothing_stored():
        answer = await pay(office.admin, contract, amount)
    assert answer.status_code == 400


async def test_a_day_to_come_is_refused(office):
    contract = await signed(office)
    async with office.nothing_stored():
        answer = await pay(office.admin, contract, euros("1.00"), paid_on="2999-01-01")
    assert code(answer) == (422, "contract.payment_to_come")


async def test_only_a_signed_contract_is_paid(office):
    contract = await drafted(office)
    async with office.nothing_stored():
        assert code(await pay(office.admin, contract, euros("1.00"))) == (409, "contract.not_signed")
        assert code(await pay(office.admin, f"/contracts/{uuid4()}", euros("1.00"))) == (
            404,
            "contract.unknown",
        )


async def test_a_payment_needs_a_key_and_a_replay_pays_once(office):
    contract, headers = await signed(office), key()
    body = {"amount": euros("400.00"), "paid_on": "2026-03-01"}
    async with office.nothing_stored():
        assert code(await office.admin.post(f"{contract}/payments", json=body)) == (
            400,
            "idempotency_key_missing",
        )
    first = await pay(office.admin, contract, euros("400.00"), headers)
    again = await pay(office.admin, contract, euros("400.00"), headers)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    other = await pay(office.admin, contract, euros("401.00"), headers)
    assert code(other) == (422, "idempotency_key_reused")
    assert (await shown(office, contract))["paid"] == euros("400.00")


async def test_twenty_with_one_key_at_once_pay_once(office):
    contract, headers = await signed(office), key()
    answers = await asyncio.gather(*(pay(office.admin, contract, euros("1.00"), headers) for _ in range(20)))
    assert {(each.status_code, each.text) for each in answers} == {(201, answers[0].text)}
    assert (await shown(office, contract))["paid"] == euros("1.00")


async def test_two_keys_at_once_never_pay_more_than_remains(office):
    contract = await signed(office)
    answers = await asyncio.gather(*(pay(office.admin, contract, euros("600.00")) for _ in range(4)))
    assert sorted(each.status_code for each in answers) == [201, 422, 422, 422]
    assert (await shown(office, contract))["remaining"] == euros("400.00")


async def test_a_reversal_gives_back_what_remains_and_happens_once(office):
    contract = await signed(office)
    payment = (await pay(office.admin, contract, euros("400.00"))).json()["id"]
    path = f"{contract}/payments/{payment}/reverse"
    answer = await office.admin.post(path, json={"reason": "bounced"})
    assert (answer.status_code, answer.json()["id"]) == (200, payment)
    record = await shown(office, contract)
    assert (record["paid"], record["remaining"]) == (euros("0.00"), euros("1000.00"))
    async with office.nothing_stored():
        again = await office.admin.post(path, json={"reason": "bounced"})
        unknown = await office.admin.post(f"{contract}/payments/{uuid4()}/reverse", json={"reason": "so"})
        nothing = await office.admin.post(f"{contract}/payments/7/reverse", json={"reason": "so"})
    assert code(again) == (409, "contract.payment_reversed")
    assert code(unknown) == (404, "contract.payment_unknown")
    assert nothing.status_code == 404
    listed = (await office.admin.get(f"{contract}/payments")).json()["data"]
    assert [(each["state"], each["reverse_reason"]) for each in listed] == [("reversed", "bounced")]


async def test_a_payment_is_not_another_contracts(office):
    one, other = await signed(office), await signed(office)
    payment = (await pay(office.admin, one, euros("1.00"))).json()["id"]
    async with office.nothing_stored():
        answer = await office.admin.post(f"{other}/payments/{payment}/reverse", json={"reason": "so"})
    assert code(answer) == (404, "contract.payment_unknown")


async def test_who_may_not_pay_is_told_so_and_who_may_not_see_learns_nothing(office):
    contract = await signed(office)
    viewer, nobody = await office.user("contract:view"), await office.user()
    payer = await office.user("contract:view", "contract:pay")
    async with office.nothing_stored():
        refused = await pay(viewer.client, contract, euros("1.00"))
        hidden = await pay(nobody.client, contract, euros("1.00"))
    assert (code(refused), refused.json()["required"]) == ((403, "forbidden"), "contract:pay")
    assert code(hidden) == (404, "contract.unknown")
    assert (await pay(payer.client, contract, euros("1.00"))).status_code == 201
    assert code(await viewer.client.get(f"{contract}/payments")) == (403, "forbidden")
    assert (await nobody.client.get(f"{contract}/payments")).status_code == 404
    assert len((await payer.client.get(f"{contract}/payments")).json()["data"]) == 1


async def test_money_paid_holds_a_contract(office):
    contract = await signed(office)
    payment = (await pay(office.admin, contract, euros("400.00"))).json()["id"]
    async with office.nothing_stored():
        canceled = await office.admin.post(f"{contract}/cancel", json={"reason": "no"}, headers=key())
        less = {"amount": euros("399.99"), "reason": "less"}
        amended = await office.admin.post(f"{contract}/amend", json=less, headers=key())
        archived = await office.admin.post(f"{contract}/archive")
    assert code(canceled) == (409, "contract.paid")
    assert code(amended) == (422, "contract.amount_below_paid")
    assert code(archived) == (409, "contract.not_settled")
    await office.admin.post(f"{contract}/payments/{payment}/reverse", json={"reason": "bounced"})
    canceled = await office.admin.post(f"{contract}/cancel", json={"reason": "no"}, headers=key())
    assert canceled.status_code == 200
    async with office.nothing_stored():
        assert code(await pay(office.admin, contract, euros("1.00"))) == (409, "contract.canceled")


async def test_what_is_paid_is_archived(office):
    contract = await signed(office)
    await pay(office.admin, contract, euros("1000.00"))
    assert (await office.admin.post(f"{contract}/archive")).status_code == 200


async def test_a_rehearsal_stores_nothing_and_shows_the_event(office):
    contract = await signed(office)
    body = {"amount": euros("5"), "paid_on": "2026-03-01"}
    async with office.nothing_stored():
        answer = await office.admin.post(f"{contract}/payments?dry_run=true", json=body)
    (event,) = answer.json()["events"]
    assert event["topic"] == "contract.payment_recorded.v1"
    assert (event["data"]["amount"], event["data"]["paid_on"]) == (euros("5.00"), "2026-03-01")


async def test_a_stale_version_is_refused(office):
    contract = await signed(office)
    async with office.nothing_stored():
        answer = await pay(office.admin, contract, euros("1.00"), {**key(), "If-Match": '"v1"'})
    assert (code(answer), answer.json()["current"]) == ((412, "version_mismatch"), 2)
