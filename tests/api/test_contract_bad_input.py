"""What is asked of contracts that cannot be: each refusal with its code, and nothing stored."""

import asyncio

import pytest

from tests.arranging import arrangement
from tests.money import code, credit, drafted, euros, invoice, key, pay, signed

pytestmark = pytest.mark.anyio


def etag(answer):
    return {"If-Match": answer.headers["etag"]}


async def test_who_signs_a_document_that_was_changed_meanwhile_is_told_and_signs_nothing(office):
    contract = await drafted(office, "1000.00")
    read = await office.admin.get(contract)
    changed = await office.admin.patch(contract, json={"amount": euros("2000.00")})
    async with office.nothing_stored():
        refused = await office.admin.post(f"{contract}/sign", headers={**key(), **etag(read)})
    assert (refused.status_code, refused.json()["current"]) == (412, changed.json()["version"])
    assert (await office.admin.get(contract)).json()["status"] == "unsigned"
    agreed = await office.admin.post(f"{contract}/sign", headers={**key(), **etag(changed)})
    assert agreed.status_code == 200, agreed.text
    record = (await office.admin.get(contract)).json()
    assert (record["signed_version"], record["amount"]) == (changed.json()["version"], euros("2000.00"))


async def test_of_a_change_and_a_signature_at_once_the_signature_is_of_what_was_read(office):
    for _ in range(5):
        contract = await drafted(office, "1000.00")
        read = await office.admin.get(contract)
        sign, change = await asyncio.gather(
            office.admin.post(f"{contract}/sign", headers={**key(), **etag(read)}),
            office.admin.patch(contract, json={"amount": euros("2000.00")}),
        )
        record = (await office.admin.get(contract)).json()
        if sign.status_code == 200:
            assert code(change) == (409, "contract.signed_amount_firm")
            assert (record["status"], record["amount"]) == ("signed", euros("1000.00"))
        else:
            assert (sign.status_code, change.status_code) == (412, 200)
            assert (record["status"], record["amount"]) == ("unsigned", euros("2000.00"))


async def test_it_is_signed_once_and_by_one(office):
    contract = await signed(office)
    other = await office.user("contract:view", "contract:sign")
    async with office.nothing_stored():
        again = await office.admin.post(f"{contract}/sign", headers=key())
        assert again.status_code == 200
        assert code(await other.client.post(f"{contract}/sign", headers=key())) == (
            409,
            "contract.already_signed",
        )
        assert code(await office.admin.post(f"{contract}/sign")) == (400, "idempotency_key_missing")
        unknown = await office.admin.post(f"{contract}/sign", json={"document_sha256": "00"}, headers=key())
        assert unknown.status_code == 400


async def test_a_foreign_account_manager_does_nothing_with_a_contract(office):
    mine, theirs = await office.user("contract:view"), await office.user("contract:view")
    for right in ("contract:edit", "contract:sign", "contract:cancel", "occasion:create"):
        for person in (mine, theirs):
            office.grant(person.id, right, scope=("own", "*"))
    organisation = await office.organisation(account_manager_id=str(theirs.id))
    own = await office.organisation(account_manager_id=str(mine.id))
    contract = await drafted(office, organisation=organisation)
    agreed = await signed(office, organisation=organisation)
    to_himself = {"organisation_id": own.rpartition("/")[2]}
    async with office.nothing_stored():
        for answer in (
            await mine.client.patch(contract, json={"title": "No"}),
            await mine.client.patch(contract, json=to_himself),
            await mine.client.post(f"{contract}/sign", headers=key()),
            await mine.client.post(f"{contract}/cancel", json={"reason": "no"}, headers=key()),
            await mine.client.post("/occasions", json=arrangement(agreed)),
        ):
            assert code(answer) == (403, "forbidden"), answer.text
        with_himself = {"title": "No", "account_manager_id": str(mine.id)}
        assert (await mine.client.patch(contract, json=with_himself)).status_code == 400
    assert (await theirs.client.patch(contract, json={"title": "Yes"})).status_code == 200


async def every_way(office, contract, payment="00000000-0000-7000-8000-000000000000", bill="F-1999-000001"):
    """Every command there is for a contract, by name."""
    ask = office.admin
    reason, amount = {"reason": "r"}, euros("1.00")
    return {
        "change": await ask.patch(contract, json={"title": "Another"}),
        "clear": await ask.patch(contract, json={"title": None}),
        "sign": await ask.post(f"{contract}/sign", headers=key()),
        "amend": await ask.post(
            f"{contract}/amend", json={"amount": euros("2000.00"), **reason}, headers=key()
        ),
        "cancel": await ask.post(f"{contract}/cancel", json=reason, headers=key()),
        "pay": await pay(ask, contract, amount),
        "reverse": await ask.post(f"{contract}/payments/{payment}/reverse", json=reason),
        "invoice": await invoice(ask, contract, amount),
        "credit": await credit(ask, bill),
        "occasion": await ask.post("/occasions", json=arrangement(contract)),
    }


async def test_a_canceled_contract_is_not_touched_in_any_way(office):
    """It had money, an invoice and an occasion, all taken back, so that nothing but its end refuses."""
    contract = await signed(office)
    payment = (await pay(office.admin, contract, euros("1.00"))).json()["id"]
    await office.admin.post(f"{contract}/payments/{payment}/reverse", json={"reason": "r"})
    bill = (await invoice(office.admin, contract, euros("1.00"))).json()["number"]
    await credit(office.admin, bill)
    occasion = (await office.admin.post("/occasions", json=arrangement(contract))).json()["id"]
    await office.admin.post(f"/occasions/{occasion}/withdraw")
    done = await office.admin.post(f"{contract}/cancel", json={"reason": "no"}, headers=key())
    assert done.status_code == 200, done.text
    async with office.nothing_stored():
        answers = await every_way(office, contract, payment, bill)
        for name, path in (("move", ""), ("assign", "/assign"), ("withdraw", "/withdraw")):
            body = {"move": {"title": "No"}, "assign": {"user_id": None}, "withdraw": {}}[name]
            method = "PATCH" if name == "move" else "POST"
            answers[name] = await office.admin.request(method, f"/occasions/{occasion}{path}", json=body)
        rehearsed = await office.admin.patch(f"{contract}?dry_run=true", json={"title": "No"})
    said = {name: code(answer) for name, answer in answers.items()}
    assert said == dict.fromkeys(said, (409, "contract.canceled"))
    assert code(rehearsed) == (409, "contract.canceled")
    record = (await office.admin.get(contract)).json()
    assert (record["status"], record["version"]) == ("canceled", done.json()["version"])


async def test_an_archived_contract_is_not_touched_in_any_way(office):
    contract = await signed(office, "0.00")
    assert (await office.admin.post(f"{contract}/archive")).status_code == 200
    async with office.nothing_stored():
        answers = await every_way(office, contract)
        again = await office.admin.post(f"{contract}/archive")
    assert again.status_code == 200
    said = {name: code(answer) for name, answer in answers.items() if name != "credit"}
    assert said == dict.fromkeys(said, (409, "contract.archived"))
