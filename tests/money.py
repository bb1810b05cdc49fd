"""Signed contracts to be paid and invoiced, through the API."""

from uuid import uuid4


def euros(amount):
    return {"amount": amount, "currency": "EUR"}


def key():
    return {"Idempotency-Key": str(uuid4())}


def code(answer):
    return answer.status_code, answer.json()["code"]


async def drafted(office, amount="1000.00", currency="EUR", *, organisation=None, **fields):
    """The path of an unsigned sale."""
    organisation = organisation or await office.organisation()
    body = {
        "kind": "sale",
        "organisation_id": organisation.rpartition("/")[2],
        "title": "Maintenance",
        "amount": {"amount": amount, "currency": currency},
        **fields,
    }
    answer = await office.admin.post("/contracts", json=body)
    assert answer.status_code == 201, answer.text
    return f"/contracts/{answer.json()['id']}"


async def signed(office, amount="1000.00", currency="EUR", **fields):
    """The path of a signed sale."""
    path = await drafted(office, amount, currency, **fields)
    answer = await office.admin.post(f"{path}/sign", headers=key())
    assert answer.status_code == 200, answer.text
    return path


async def pay(client, contract, amount, headers=None, **fields):
    body = {"amount": amount, "paid_on": "2026-03-01", **fields}
    return await client.post(f"{contract}/payments", json=body, headers=headers or key())


async def invoice(client, contract, amount, headers=None, **fields):
    return await client.post(
        f"{contract}/invoices", json={"amount": amount, **fields}, headers=headers or key()
    )


async def credit(client, ref, headers=None, **fields):
    return await client.post(f"/invoices/{ref}/credit-note", json=fields, headers=headers or key())
