"""The demo's people: powers are given, a contract is drafted and signed."""

import secrets
from collections.abc import Mapping
from typing import Any

import httpx

from cli.story import Story


class Person:
    """Somebody with an account, signed in."""

    def __init__(self, story: Story, first_name: str, last_name: str, **more: str) -> None:
        self.name = f"{first_name} {last_name}"
        self._login = f"{first_name}.{last_name}@example.org".lower()
        body = {"email": self._login, "first_name": first_name, "last_name": last_name, **more}
        made = story.call("POST", "/users", 201, json=body).json()
        self.id: str = made["id"]
        self._password: str = made["temporary_password"]
        self.headers = bearer(self.signs_in(story).json())
        new = {"old": self._password, "new": secrets.token_urlsafe(16)}
        story.call("POST", "/me/password", 200, json=new, headers=self.headers)
        self._password = new["new"]

    def signs_in(self, story: Story, expected: int = 200) -> httpx.Response:
        """Another session, with tokens of its own."""
        body = {"login": self._login, "password": self._password}
        return story.call("POST", "/auth/login", expected, json=body)


def bearer(pair: Mapping[str, str]) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {pair['access_token']}"}


def give_powers(story: Story) -> tuple[Person, Person, Person]:
    story.step("Three people get accounts, and two of them powers")
    claire, marc, eve = (
        Person(story, "Claire", "Martin"),
        Person(story, "Marc", "Petit"),
        Person(story, "Eve", "Stranger"),
    )
    story.shows("each changed the temporary password that was shown once")
    refused = story.call("POST", "/organisations", 403, json={"full_name": "?"}, headers=claire.headers)
    story.shows(f"Claire without a power: 403, it takes {refused.json()['required']}")
    before = story.call("GET", "/me/permissions/snapshot", 200, headers=claire.headers)
    for person, rights in (
        (claire, ("contract:create", "contract:view", "organisation:view")),
        (marc, ("contract:sign", "contract:view")),
    ):
        for right in rights:
            _grant(story, person, right)
    after = story.call("GET", "/me/permissions/snapshot", 200, headers=claire.headers)
    story.holds(
        before.headers["etag"] != after.headers["etag"],
        f"Claire's snapshot has {len(after.json()['permissions'])} permissions now, and another ETag",
    )
    same = {**claire.headers, "If-None-Match": after.headers["etag"]}
    story.call("GET", "/me/permissions/snapshot", 304, headers=same)
    story.shows("asked again with that ETag: 304")
    return claire, marc, eve


def _grant(story: Story, person: Person, right: str) -> None:
    module, _, action = right.partition(":")
    scope = {"scope_type": "global", "scope_id": "*", "module": module, "action": action}
    story.call("POST", "/grants", 201, json={"subject": {"type": "user", "id": person.id}, **scope})


def sign_contract(story: Story, organisation_id: str, claire: Person, marc: Person, eve: Person) -> Any:
    """The audit log's entry of the signature."""
    story.step("A contract is drafted by one and signed by another")
    body = {
        "kind": "sale",
        "organisation_id": organisation_id,
        "custom_id": "2026-lighting",
        "title": "Lighting of the north site",
        "amount": {"amount": "12500.00", "currency": "EUR"},
    }
    made = story.call("POST", "/contracts", 201, json=body, headers=claire.headers).json()
    story.shows(f"Claire drafts {body['custom_id']} over 12 500,00 €: version {made['version']}")
    refused = _sign(story, claire, 403)
    story.shows(f"she may not sign it: 403, it takes {refused['required']}")
    story.call("GET", "/contracts/2026-lighting", 404, headers=eve.headers)
    story.shows("for Eve there is no such contract: 404")
    signed = _sign(story, marc, 200)
    entry = story.read(f"/audit/entries/{signed['position']}")
    story.holds(
        entry["actor"]["id"] == marc.id and entry["allowed_by"] not in (None, "role:admin"),
        f"Marc signs, at position {signed['position']}, by the power of grant {entry['allowed_by']}",
    )
    change = {"amount": {"amount": "1.00", "currency": "EUR"}}
    late = story.call("PATCH", "/contracts/2026-lighting", 409, json=change)
    story.shows(f"the signed amount is firm, for the administrator too: 409 {late.json()['code']}")
    text = story.soon(lambda: _told(story, claire), f"{claire.name} is told of it")
    story.shows(f"Chancery itself writes to Claire, who manages it: {text!r}")
    return entry


def _sign(story: Story, person: Person, expected: int) -> Any:
    headers = {**person.headers, "Idempotency-Key": secrets.token_hex(8)}
    return story.call("POST", "/contracts/2026-lighting/sign", expected, headers=headers).json()


def _told(story: Story, person: Person) -> str | None:
    """The last thing somebody was told."""
    for dialog in story.call("GET", "/dialogs", 200, headers=person.headers).json()["data"]:
        if dialog["unread_count"] and dialog["last_message"] is not None:
            text: str = dialog["last_message"]["text"]
            return text
    return None
