"""What is played when a store is recorded: the demo's story, and of every noun what the demo does not tell."""

import secrets
from random import Random
from typing import Any

from cli.auditor import auditor, forget
from cli.companies import change, lists, refuse
from cli.crm import crm_day
from cli.demo import sign_in
from cli.dialog import talk
from cli.evidence import prove
from cli.letters import correspond
from cli.people import Person, bearer, give_powers, sign_contract
from cli.programs import ask_as_programs
from cli.records import keep_records
from cli.register import register
from cli.sessions import block, steal
from cli.story import API, Broken, Story
from tests.recorded.stores import ONCE

PNG = b"\x89PNG\r\n\x1a\n" + bytes(32)


def play(story: Story) -> None:
    """Everything. Raises Broken when a step does not go as told."""
    sign_in(story)
    ids = register(story)
    refuse(story, ids)
    ref = change(story, ids)
    lists(story)
    claire, marc, eve = give_powers(story)
    keep_records(story, ids, claire, eve)
    correspond(story, ids)
    signed = sign_contract(story, ref, claire, marc, eve)
    talk(story, claire, marc, eve)
    crm_day(story, ids["LIDL"])
    ask_as_programs(story, marc, signed)
    steal(story, claire)
    block(story, eve)
    _people(story, marc)
    _records(story, ids["LIDL"])
    _contracts(story, ids["LIDL"])
    _what_is_said(story, marc, ids["LIDL"])
    _changes(story, list(ids.values()))
    _keys(story)
    with auditor(prove(story, ref)) as someone:
        story.tool("audit", "export", str(someone.folder / "log.ndjson"))
        forget(story, someone, claire)


def _post(story: Story, path: str, body: dict[str, Any] | None = None) -> Any:
    return _told(story, "POST", path, json=body or {}, headers={"Idempotency-Key": secrets.token_hex(8)})


def _patch(story: Story, path: str, body: dict[str, Any]) -> Any:
    return _told(story, "PATCH", path, json=body)


def _told(story: Story, method: str, path: str, **more: Any) -> Any:
    """What is answered to a command that may make something, or find it made."""
    answer = story.client.request(method, API + path, **more)
    if not answer.is_success:
        raise Broken(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
    return answer.json() if answer.content else None


def _people(story: Story, marc: Person) -> None:
    """A department, an account's ups and downs, another system's rights, a module's change."""
    department = _post(story, "/departments", {"name": "Archive", "custom_id": "ARC"})["id"]
    _patch(story, f"/departments/{department}", {"description": "Keeps what others forget."})
    nora = Person(story, "Nora", "Lund", phone="+47 22 00 00 00")
    at = f"/users/{nora.id}"
    _patch(story, at, {"job_title": "Archivist", "phone": None})
    for place in (department, None):
        _post(story, f"{at}/department", {"department_id": place})
    _post(story, f"/departments/{department}/archive", {"reason": "Merged."})
    _post(story, f"{at}/role", {"role": "moderator"})
    _post(story, f"{at}/block", {"reason": "Left her badge on a train."})
    story.call(
        "POST",
        "/auth/logout",
        204,
        json={"all": True},
        headers=bearer(Person(story, "Olaf", "Lund").signs_in(story).json()),
    )
    for step in ("unblock", "deactivate", "reactivate", "password"):
        _post(story, f"{at}/{step}", {})
    story.call("GET", f"{at}/personal-data", 200)
    _told(story, "PATCH", "/me/notifications", json={"mail": ["letter.due"]}, headers=marc.headers)
    module = {"module": "campaign", "actions": ["view"], "scope_types": ["site"]}
    for actions in (["view"], ["view", "edit"]):
        _post(story, "/permissions/catalogue", {**module, "actions": actions})
    scope = {"scope_type": "site", "scope_id": "tw-main", "module": "campaign", "action": "edit"}
    given = {"subject": {"type": "user", "id": marc.id}, **scope}
    for more in ({}, {"expires_at": "2099-01-01T00:00:00Z"}):
        _post(story, "/grants", {**given, **more})


def _records(story: Story, organisation_id: str) -> None:
    """What an organisation has: resources, types of documents, a contact who leaves, one who is forgotten, itself."""
    resource = {"organisation_id": organisation_id, "name": "Portal", "address": "101000, Moscow"}
    at = f"/resources/{_post(story, '/resources', resource)['id']}"
    _patch(story, at, {"category": 2})
    _post(story, f"{at}/retire", {"reason": "Shut down."})
    kind = _post(story, "/document-types", {"name": "Letter of intent", "prefix": "loi"})["id"]
    _patch(story, f"/document-types/{kind}", {"name": "Letter of Intent"})
    for name, end in (("Gone", "archive"), ("Forgotten", "erase")):
        made = _post(
            story,
            f"/organisations/{organisation_id}/contacts",
            {"last_name": name, "email": f"{name}@example.org"},
        )
        _post(story, f"/contacts/{made['id']}/{end}", {"reason": "He asked for it."})
    passing = _post(story, "/organisations", {"full_name": "Passing Ltd"})["id"]
    _post(story, f"/organisations/{passing}/archive", {"reason": "Dissolved."})


def _contracts(story: Story, organisation_id: str) -> None:
    """Contracts to their end: one canceled, one amended, paid wrongly and put right, credited."""
    draft = {
        "kind": "sale",
        "organisation_id": organisation_id,
        "amount": {"amount": "900.00", "currency": "EUR"},
    }
    first = f"/contracts/{_post(story, '/contracts', draft)['id']}"
    _patch(story, first, {"title": "A stand for two days"})
    _post(story, f"{first}/cancel", {"reason": "The hall burned down."})
    _post(story, f"{first}/archive", {"reason": "Filed."})
    contract_id = _post(story, "/contracts", draft)["id"]
    second = f"/contracts/{contract_id}"
    _post(story, f"{second}/sign", {})
    _post(
        story,
        f"{second}/amend",
        {"amount": {"amount": "1000.00", "currency": "EUR"}, "reason": "One more day."},
    )
    payment = {
        "amount": {"amount": "100.00", "currency": "EUR"},
        "paid_on": "2026-03-01",
        "reference": "VIR 0301",
    }
    paid = _post(story, f"{second}/payments", payment)["id"]
    _post(story, f"{second}/payments/{paid}/reverse", {"reason": "It was another's."})
    invoice = _post(story, f"{second}/invoices", {"amount": {"amount": "400.00", "currency": "EUR"}})["id"]
    _post(story, f"/invoices/{invoice}/credit-note", {"reason": "Half a stand."})
    held = {
        "title": "Opening",
        "starts_at": "2026-06-04T18:00:00+02:00",
        "ends_at": "2026-06-04T23:00:00+02:00",
    }
    occasion = f"/occasions/{_post(story, '/occasions', {**held, 'contract_id': contract_id})['id']}"
    _patch(story, occasion, {"place": "Hall 3"})
    _post(story, f"{occasion}/withdraw", {})


def _what_is_said(story: Story, marc: Person, organisation_id: str) -> None:
    """Notices and letters that are taken back, a file nobody binds, a message marked by itself."""
    for purpose in ("notice", "attachment"):
        files = {"file": ("a.png", PNG, "image/png")}
        image = _told(story, "POST", "/files", files=files, data={"purpose": purpose})["id"]
        if purpose == "notice":
            notice = f"/notices/{_post(story, '/notices', {'kind': 'banner', 'file_id': image})['id']}"
            _patch(story, notice, {"order": 2})
            _post(story, f"{notice}/withdraw", {"reason": "Summer is over."})
    upload = {"name": "b.png", "size": len(PNG), "content_type": "image/png"}
    _post(story, "/files/uploads", upload)
    letter = {"subject": "By mistake", "organisation_ids": [organisation_id]}
    draft = f"/letters/{_post(story, '/letters/outgoing', letter)['id']}"
    _post(story, f"{draft}/withdraw", {"reason": "Never meant to be sent."})
    dialog = _post(story, "/dialogs", {"user_id": marc.id})["id"]
    message = _post(story, f"/dialogs/{dialog}/messages", {"text": "Lunch?"})["id"]
    _told(story, "POST", f"/messages/{message}/read", headers=marc.headers)


def _changes(story: Story, organisations: list[str]) -> None:
    """A hundred small ones, the same every time."""
    dice = Random(38)
    for number in range(100):
        _patch(story, f"/organisations/{dice.choice(organisations)}", {"short_name": f"Name {number + 1}"})


def _keys(story: Story) -> None:
    """The keys of tokens and of the log are followed by others; one is compromised; the log is compared; a step-up."""
    _post(story, "/auth/step-up", {"password": story.stack.admin_password})
    shop = _post(story, "/api-clients", {"name": "Shop"})["id"]
    _post(story, f"/api-clients/{shop}/keys", {"overlap_hours": 1})
    path, body, headers = ONCE
    _told(story, "POST", path, json=body, headers=headers)
    story.tool("keys", "rotate", "--now")
    story.tool("audit", "rotate-key")
    story.tool("check", "run")
