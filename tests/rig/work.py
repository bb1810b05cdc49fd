"""What the clerks want done: commands of every kind that something follows from."""

from tests.rig.driver import Choose, Clerk, Intent

TODAY, PAID_ON, RECEIVED = "2026-01-15", "2026-01-20", "2026-01-10"


def add_organisation(clerk: Clerk) -> Intent | None:
    key = next(clerk.keys)
    return Intent(key=key, what="organisation", path="/organisations", body={"full_name": key})


def rename_it(clerk: Clerk) -> Intent | None:
    if (made := clerk.one_of("organisation")) is None:
        return None
    key, path = next(clerk.keys), f"/organisations/{made['id']}"
    return Intent(key=key, what="renamed", method="PATCH", path=path, body={"short_name": key})


def draft_contract(clerk: Clerk) -> Intent | None:
    if (made := clerk.one_of("organisation")) is None:
        return None
    key, amount = next(clerk.keys), {"amount": "1000000.00", "currency": "EUR"}
    body = {"kind": "sale", "organisation_id": made["id"], "title": key, "amount": amount}
    return Intent(key=key, what="contract", path="/contracts", body=body)


def retitle_it(clerk: Clerk) -> Intent | None:
    """So that both servers come to know it before it is signed on one of them."""
    if (draft := clerk.one_of("contract")) is None:
        return None
    key = next(clerk.keys)
    return Intent(
        key=key, what="titled", method="PATCH", path=f"/contracts/{draft['id']}", body={"title": key}
    )


def sign_it(clerk: Clerk) -> Intent | None:
    drafts = clerk.made.get("contract", [])
    if not drafts:
        return None
    draft = drafts.pop(0)
    return Intent(key=next(clerk.keys), what="signed", path=f"/contracts/{draft['id']}/sign")


def pay(clerk: Clerk) -> Intent | None:
    if (made := clerk.one_of("signed")) is None:
        return None
    key = next(clerk.keys)
    body = {"amount": {"amount": "1.00", "currency": "EUR"}, "paid_on": PAID_ON, "reference": key}
    return Intent(key=key, what="paid", path=f"/contracts/{made['id']}/payments", body=body)


def register_letter(clerk: Clerk) -> Intent | None:
    if (made := clerk.one_of("organisation")) is None:
        return None
    key = next(clerk.keys)
    body = {
        "organisation_ids": [made["id"]],
        "subject": f"On the matter of {key}",
        "sender_number": key,
        "sender_date": RECEIVED,
        "received_on": TODAY,
    }
    return Intent(key=key, what="letter", path="/letters/incoming", body=body)


def upload(clerk: Clerk) -> Intent | None:
    key = next(clerk.keys)
    content = f"{key}\n".encode() * clerk.dice.choice((1, 1000, 100_000))
    return Intent(key=key, what="file", path="/files", body={"purpose": "attachment"}, file=content)


def export(clerk: Clerk) -> Intent | None:
    if clerk.dice.random() > 0.2:
        return None
    body = {"list": "organisations", "format": "csv"}
    return Intent(key=next(clerk.keys), what="export", path="/exports", body=body)


def give_and_revoke(clerk: Clerk) -> Intent | None:
    """One right of one person, given and revoked in turn."""
    given = clerk.made.get("given", [])
    key = next(clerk.keys)
    if given:
        grant = given.pop()
        return Intent(key=key, what="revoked", path=f"/grants/{grant['id']}/revoke", body={"reason": key})
    if (made := clerk.one_of("organisation")) is None or (person := clerk.one_of("user")) is None:
        return None
    right = {"scope_type": "organisation", "scope_id": made["id"], "module": "organisation", "action": "view"}
    body = {"subject": {"type": "user", "id": person["id"]}, **right}
    return Intent(key=key, what="given", path="/grants", body=body)


def hire(clerk: Clerk) -> Intent | None:
    if len(clerk.made.get("user", [])) >= 5:
        return None
    key = next(clerk.keys)
    body = {"email": f"{key}@example.org", "first_name": "Ada", "last_name": "Byron"}
    return Intent(key=key, what="user", path="/users", body=body)


def change_address(clerk: Clerk) -> Intent | None:
    """At the one before it, a mail tells of it."""
    if (made := clerk.one_of("user")) is None:
        return None
    key = next(clerk.keys)
    body = {"email": f"{key}@example.org"}
    return Intent(key=key, what="moved", method="PATCH", path=f"/users/{made['id']}", body=body)


EVERYTHING: list[Choose] = [
    *([add_organisation, rename_it] * 3),
    *([draft_contract, retitle_it, sign_it, pay, register_letter, give_and_revoke] * 2),
    *(upload, upload, export, hire, change_address),
]
"""What is in it twice is wanted twice as often."""
