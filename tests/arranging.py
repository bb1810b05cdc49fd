"""Occasions of signed contracts, and the people of support who hold them, through the API."""

from uuid import UUID

from tests.money import signed

START, END = "2026-06-04T18:00:00Z", "2026-06-04T23:00:00Z"


def arrangement(contract, **fields):
    """The body that adds one."""
    return {
        "contract_id": contract.rpartition("/")[2],
        "title": "Opening",
        "starts_at": START,
        "ends_at": END,
        **fields,
    }


async def arranged(office, contract=None, **fields):
    """The path of a new occasion; of a new contract's, where none is given."""
    body = arrangement(contract or await signed(office), **fields)
    made = await office.admin.post("/occasions", json=body)
    assert made.status_code == 201, made.text
    return made.headers["location"].removeprefix("/api/v1")


async def support_of(office):
    """The department whose members hold occasions."""
    found = await office.admin.get("/departments/support")
    if found.status_code == 404:
        found = await office.admin.post("/departments", json={"name": "Support", "custom_id": "support"})
    return UUID(found.json()["id"])


async def of_support(office, *rights, **how):
    """One of its members."""
    return await office.user(*rights, department_id=await support_of(office), **how)


async def assign(client, occasion, user_id, **headers):
    body = {"user_id": None if user_id is None else str(user_id)}
    return await client.post(f"{occasion}/assign", json=body, headers=headers)
