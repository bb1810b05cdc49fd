"""The demo's CRM day: a client, a contract, its occasion, money and certificate, each by whoever's department may."""

import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from time import sleep
from typing import Any

from cli.people import Person
from cli.story import API, Story

CONTRACT = "/contracts/2026-gala"
PATIENCE = 60.0
"""Seconds that a paper may take on a busy machine: a checkpoint, a job, a page."""
LOOK = 0.1
"""Seconds between two looks at whether it is set."""


def crm_day(story: Story, organisation: str) -> None:
    commercial, gestion, support = (
        Person(story, *name, department_id=story.read(f"/departments/{department}")["id"])
        for department, *name in (
            ("commercial", "Alice", "Durand"),
            ("gestion", "Gilles", "Moreau"),
            ("support", "Sofia", "Rossi"),
        )
    )
    _sell(story, organisation, commercial, gestion)
    _hold(story, commercial, gestion, support)
    _get_paid(story, gestion, organisation)
    _certify(story, commercial)


def _sell(story: Story, organisation: str, alice: Person, gilles: Person) -> None:
    story.step("A day of the CRM: a client, a contract, a signature")
    client = {"first_name": "Kate", "last_name": "Martel", "email": "kate@example.org"}
    contact = _post(story, alice, f"/organisations/{organisation}/contacts", client)["id"]
    story.shows("Alice of Commercial adds a client, so she answers for her")
    body = {
        "kind": "sale",
        "organisation_id": organisation,
        "contact_id": contact,
        "custom_id": CONTRACT.rpartition("/")[2],
        "title": "A gala for 75 guests",
        "amount": euros("12000.00"),
    }
    refused = story.call("POST", "/contracts", 403, json=body, headers=alice.headers).json()
    _post(story, gilles, "/contracts", body)
    contract = story.read(CONTRACT)
    story.holds(
        contract["account_manager_id"] == alice.id,
        f"she may not draft a contract: 403, it takes {refused['required']}; Gilles of Gestion does, and it is hers",
    )
    counts = _counts(story, alice, "mine")
    story.holds(
        counts["my_unsigned"] == 1,
        f"her dashboard: {counts['my_unsigned']} unsigned, {counts['my_owed']} owed",
    )
    early = story.call("POST", "/occasions", 409, json=_gala(contract["id"]), headers=alice.headers).json()
    story.shows(f"an occasion before the signature: 409 {early['code']}")
    _post(story, alice, f"{CONTRACT}/sign", {}, 200)
    signed = story.read(CONTRACT)
    story.shows(f"Alice signs what has the SHA-256 {signed['document_sha256'][:16]}…")


def _hold(story: Story, alice: Person, gilles: Person, sofia: Person) -> None:
    story.step("An occasion is sold, assigned and held by Support")
    gala = _gala(story.read(CONTRACT)["id"])
    path = f"/occasions/{_post(story, alice, '/occasions', gala)['id']}"
    without = _counts(story, gilles, "gestion")["without_support"]
    self_taken = {"user_id": sofia.id}
    refused = story.call("POST", f"{path}/assign", 403, json=self_taken, headers=sofia.headers).json()
    story.shows(f"Sofia of Support may not take it herself: 403, it takes {refused['required']}")
    _post(story, gilles, f"{path}/assign", {"user_id": sofia.id}, 200)
    after = _counts(story, gilles, "gestion")["without_support"]
    story.holds((without, after) == (1, 0), "Gilles assigns her: 1 occasion was without support, now 0 are")
    story.call("PATCH", path, 200, json={"notes": "Bring chairs."}, headers=sofia.headers)
    late = story.call("PATCH", path, 403, json={"notes": "?"}, headers=alice.headers).json()
    story.shows(f"she notes what to bring; Alice may not: 403, it takes {late['required']}")
    body = {"reason": "Rain."}
    kept = story.call("POST", f"{CONTRACT}/cancel", 409, json=body, headers=_keyed(gilles)).json()
    story.shows(f"with an occasion attached the contract is not canceled: 409 {kept['code']}")


def _get_paid(story: Story, gilles: Person, organisation: str) -> None:
    story.step("It is invoiced, paid in part, reversed, amended; and every sum can be made again")
    billed = {"amount": euros("6000.00"), "due_on": "2026-12-31"}
    bill = _post(story, gilles, f"{CONTRACT}/invoices", billed)
    paid = {"amount": euros("2500.00"), "paid_on": "2026-03-01", "reference": "VIR GALA 0301"}
    bounced = _post(story, gilles, f"{CONTRACT}/payments", paid)
    much = {**paid, "amount": euros("9500.01")}
    refused = story.call("POST", f"{CONTRACT}/payments", 422, json=much, headers=_keyed(gilles)).json()
    story.shows(f"one cent more than remains: 422 {refused['code']}")
    reverse = f"{CONTRACT}/payments/{bounced['id']}/reverse"
    _post(story, gilles, reverse, {"reason": "It bounced."}, 200)
    _post(story, gilles, f"{CONTRACT}/payments", {**paid, "amount": euros("1000.00")})
    more = {"amount": euros("13000.00"), "reason": "More guests."}
    _post(story, gilles, f"{CONTRACT}/amend", more, 200)
    lines = story.read(f"/organisations/{organisation}/statement")["data"]
    told = [f"{line['kind']} {line['amount']['amount']} → {line['balance']['amount']}" for line in lines]
    story.shows(f"statement, with what is owed after each: {', '.join(told)}")
    (sums,) = story.read(f"/organisations/{organisation}/balance")["balances"]
    figures = tuple(sums[name]["amount"] for name in ("amount", "paid", "remaining", "invoiced", "balance"))
    story.holds(
        figures == ("13000.00", "1000.00", "12000.00", "6000.00", "5000.00"),
        "of {} agreed {} paid, {} remain; of {} invoiced {} are owed".format(*figures),
    )
    pdf = _pdf(story, f"/invoices/{bill['number']}/pdf")
    story.shows(f"{bill['number']} as PDF/A-3b: {len(pdf):,} bytes, the same for whoever asks")
    story.shows(story.tool("ledger", "verify")[-1])


def _certify(story: Story, alice: Person) -> None:
    story.step("The signature has a certificate, which anybody verifies with the key of the log")
    page = _pdf(story, f"{CONTRACT}/certificate", alice.headers)
    key = story.call("GET", "/audit/keys", 200).json()["data"][0]["vkey"]
    with tempfile.TemporaryDirectory() as folder:
        file, forged = Path(folder) / "certificate.pdf", Path(folder) / "forged.pdf"
        file.write_bytes(page)
        for line in story.tool("audit", "certificate", str(file), "--key", key):
            story.shows(line)
        forged.write_bytes(page.replace(b"%PDF-1.7", b"%PDF-1.6", 1))
        found = story.tool("audit", "certificate", str(forged), "--key", key, expected=2)
        story.shows(f"with one byte of it changed: exit 2, {found[-1]}")


def _pdf(story: Story, path: str, headers: Mapping[str, str] | None = None) -> bytes:
    """A paper of the log's, once a job has set it."""

    def look() -> bytes | None:
        answer = story.client.get(f"{API}{path}", headers=headers)
        if answer.status_code == 200:
            return answer.content
        sleep(LOOK)
        return None

    return story.soon(look, f"{path} is set", within=PATIENCE)


def _gala(contract_id: str) -> dict[str, Any]:
    times = {"starts_at": "2026-12-04T18:00:00Z", "ends_at": "2026-12-04T23:00:00Z"}
    return {"contract_id": contract_id, "title": "Gala", "attendees": 75, **times}


def _counts(story: Story, person: Person, name: str) -> dict[str, int]:
    headers = {**person.headers, "X-Min-Position": str(story.position)}
    shown = story.call("GET", f"/dashboards/{name}", 200, headers=headers).json()
    return {each["name"]: each["count"] for each in shown["data"]}


def _post(story: Story, person: Person, path: str, body: Mapping[str, Any], status: int = 201) -> Any:
    return story.call("POST", path, status, json=body, headers=_keyed(person)).json()


def _keyed(person: Person) -> dict[str, str]:
    return {**person.headers, "Idempotency-Key": secrets.token_hex(8)}


def euros(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}
