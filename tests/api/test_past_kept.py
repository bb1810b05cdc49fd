"""Answers about the past stay what they were: after a rebuild, for events of an older shape, after an erasure."""

from uuid import uuid4

import msgspec
import pytest

from domain.organisation.events import OrganisationAdded
from projections.projection import discover
from tests.api.test_past import changes
from tests.flow import META
from tests.money import code, drafted, euros, key
from workers.rebuild import rebuild

pytestmark = pytest.mark.anyio


async def told(client, path: str, *moments: str) -> list:
    """What is said of a record: now, then, in between, and step by step."""
    asked = [path, *(f"{path}?as_of={moment}" for moment in moments), f"{path}/history"]
    if len(moments) > 1:
        asked.append(f"{path}/diff?from={moments[0]}&to={moments[-1]}")
    answers = [await client.get(each) for each in asked]
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    return [answer.json() for answer in answers]


async def lives(office) -> dict[str, list]:
    """A record of each noun that has a past, changed, and everything that is said of it."""
    admin = office.admin
    user = await office.user(first_name="Anna", last_name="Berg")
    await admin.patch(f"/users/{user.id}", json={"last_name": "Lind"})
    place = await office.organisation(full_name="Alpha")
    await admin.patch(place, json={"full_name": "Beta"})
    contract = await drafted(office, organisation=place)
    await admin.post(f"{contract}/sign", headers=key())
    await admin.post(f"{contract}/amend", json={"amount": euros("1200.00"), "reason": "more"}, headers=key())
    right = {"scope_type": "global", "scope_id": "*", "module": "organisation", "action": "view"}
    given = await admin.post("/grants", json=right | {"subject": {"type": "user", "id": str(user.id)}})
    grant = f"/grants/{given.json()['id']}"
    await admin.post(f"{grant}/revoke", json={"reason": "left"})
    other = await office.user()
    dialog = (await other.client.post("/dialogs", json={"user_id": str(user.id)})).json()["id"]
    sent = await other.client.post(f"/dialogs/{dialog}/messages", json={"text": "Hello"})
    message = f"/messages/{sent.json()['id']}"
    await user.client.post(f"{message}/read")
    return {
        "user": await told(admin, f"/users/{user.id}", "v1", "v2"),
        "organisation": await told(admin, place, "v1", "v2"),
        "contract": await told(admin, contract, "v1", "v2", "v3"),
        "grant": await told(admin, grant, "v1", "v2"),
        "message": [
            (await other.client.get(f"{message}{tail}")).json() for tail in ("", "?as_of=v1", "?as_of=v2")
        ],
    }


def paths(said: dict[str, list]) -> dict[str, str]:
    """Of the records that an administrator may ask about."""
    return {name: f"/{name}s/{answers[0]['id']}" for name, answers in said.items() if name != "message"}


async def test_every_noun_with_a_past_tells_it_and_the_same_after_its_read_model_was_built_again(office):
    said = await lives(office)
    assert [user["last_name"] for user in said["user"][:3]] == ["Lind", "Berg", "Lind"]
    assert [place["full_name"] for place in said["organisation"][:3]] == ["Beta", "Alpha", "Beta"]
    assert [(one["status"], one["amount"]["amount"]) for one in said["contract"][:4]] == [
        ("signed", "1200.00"),
        ("unsigned", "1000.00"),
        ("signed", "1000.00"),
        ("signed", "1200.00"),
    ]
    assert [grant["state"] for grant in said["grant"][:3]] == ["revoked", "active", "revoked"]
    assert [message["state"] for message in said["message"]] == ["read", "unread", "read"]
    for name, field in (("user", "last_name"), ("organisation", "full_name"), ("grant", "state")):
        assert field in changes(said[name][-1])
    for name in ("user", "organisation", "contract", "grant", "message"):
        await rebuild(office.system.url, office.system.log, discover()[name])
    for name, path in paths(said).items():
        moments = ["v1", "v2", "v3"] if name == "contract" else ["v1", "v2"]
        assert await told(office.admin, path, *moments) == said[name]


async def test_an_event_of_an_older_shape_is_told_in_todays(office, monkeypatch):
    """`organisation.added.v0` had `name`; its upcast gives `full_name`. What is hashed stays what was stored."""

    def renamed(payload: dict) -> dict:
        return {**payload, "full_name": payload.pop("name")}

    older = {"organisation.added.v0": (OrganisationAdded.TOPIC, renamed)}
    monkeypatch.setattr(office.system.log._codec, "_upcasts", older)
    place, state = uuid4(), b'{"name":"Of old"}'
    office.owner.execute(
        "select append_as_given(%s::uuid[], %s::bigint[], %s::text[], %s::bytea[], %s::bytea)",
        ([place], [1], ["organisation.added.v0"], [state], META),
    )
    path, at = f"/organisations/{place}", await office.head()
    assert (await office.admin.get(path)).json()["full_name"] == "Of old"
    assert (await office.admin.get(path, params={"as_of": "v1"})).json()["full_name"] == "Of old"
    [entry] = (await office.admin.get(f"{path}/history")).json()["data"]
    assert changes(entry)["full_name"] == (None, "Of old")
    shown = (await office.admin.get(f"/audit/entries/{at}")).json()
    assert (shown["topic"], shown["data"]["full_name"]) == ("organisation.added.v0", "Of old")
    [kept] = await office.system.log.stream(place)
    assert kept.state == state


async def test_who_was_erased_is_erased_at_every_moment_and_what_happened_stays(office):
    user = await office.user(first_name="Zelda", last_name="Quixley")
    path = f"/users/{user.id}"
    await office.admin.patch(path, json={"last_name": "Quuxley"})
    place = await office.organisation()
    contract = await drafted(office, organisation=place)
    await office.admin.patch(place, json={"account_manager_id": str(user.id)})
    before = await told(office.admin, contract, "v1")
    answer = await office.admin.post(f"{path}/erase", json={"reason": "asked for it"})
    assert answer.status_code == 200, answer.text
    said = await told(office.admin, path, "v1", "v2", "v3")
    assert [one["last_name"] for one in said[:4]] == [None] * 4
    assert [one["state"] for one in said[1:3]] == ["active", "active"]
    assert "uxley" not in msgspec.json.encode(said).decode()
    await rebuild(office.system.url, office.system.log, discover()["user"])
    assert await told(office.admin, path, "v1", "v2", "v3") == said
    assert await told(office.admin, contract, "v1") == before
    assert code(await office.admin.get(path, params={"as_of": "0"})) == (404, "not_found")
