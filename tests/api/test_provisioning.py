"""Users whom an identity provider brings: one for each (issuer, sub), whatever it says of them and however often."""

import asyncio
from uuid import UUID, uuid4

import pytest

from application.access import system
from application.context import Context
from domain.user.events import person_id
from domain.user.refusals import IdentityInvalid, LastAdmin
from infrastructure.guard_check import verify
from infrastructure.personal_data import wrapping_of
from tests import office as offices
from tests.serving import PASSWORD

pytestmark = pytest.mark.anyio

ISSUER = "https://idp.example/o/chancery/"
SERVICE = Context(caller=system(), request_id="provisioning")


@pytest.fixture
def provision(office):
    """Says what a provider says; `sub` is new unless given."""

    async def says(sub: str | None = None, **said):
        return await office.system.users.provision(ISSUER, sub or uuid4().hex, context=SERVICE, **said)

    return says


@pytest.fixture
def shown(office):
    async def user(user_id: UUID) -> dict:
        return (await office.admin.get(f"/users/{user_id}")).json()

    return user


async def topics(office, user_id: UUID) -> list[str]:
    history = (await office.admin.get(f"/users/{user_id}/history")).json()["data"]
    return [entry["topic"] for entry in history]


async def test_a_user_is_shown_as_his_provider_has_him(office, provision, shown):
    sub, email = uuid4().hex, f"{uuid4()}@example.org"
    made = await provision(sub, email=f" {email} ", display_name="Curie, Marie")
    assert (made.status, made.id) == (201, person_id(ISSUER, sub))
    user = await shown(made.id)
    assert (user["sub"], user["email"], user["display_name"]) == (sub, email, "Curie, Marie")
    assert (user["role"], user["state"], user["first_name"]) == ("user", "active", None)
    (identity,) = user["identities"]
    assert identity.pop("last_synced_at") <= user["created_at"]
    assert identity == {"issuer": ISSUER, "sub": sub, "last_error": None}


async def test_who_is_ours_alone_has_his_id_for_a_subject(office, shown):
    anna = await office.user()
    assert ((await shown(anna.id))["sub"], (await shown(anna.id))["identities"]) == (str(anna.id), [])


async def test_a_hundred_first_calls_at_once_make_one_user_and_a_hundred_good_answers(office, provision):
    sub = uuid4().hex
    answers = await asyncio.gather(*(provision(sub, display_name="Everybody") for _ in range(100)))
    assert {answer.id for answer in answers} == {person_id(ISSUER, sub)}
    assert sorted(answer.status for answer in answers) == [200] * 99 + [201]
    assert await topics(office, person_id(ISSUER, sub)) == ["user.provisioned.v1"]


async def test_two_providers_may_call_two_people_the_same(office):
    sub = uuid4().hex
    made = [
        await office.system.users.provision(issuer, sub, context=SERVICE)
        for issuer in ("https://one.example/", "https://two.example/")
    ]
    assert made[0].id != made[1].id


async def test_letter_case_and_form_of_a_subject_count(provision):
    """Issuer and sub are compared exactly (OpenID Connect Core 1.0, 5.7); an e-mail address never links anybody."""
    sub = f"é{uuid4().hex}a"
    ids = {(await provision(form)).id for form in (sub, sub.upper(), f"e\u0301{sub[1:]}")}
    assert len(ids) == 3


async def test_nothing_new_is_no_event(office, provision):
    sub, email = uuid4().hex, f"{uuid4()}@example.org"
    first = await provision(sub, email=email, display_name="Anna Berg", is_active=True)
    async with office.nothing_stored():
        for said in (
            {},
            {"email": email},
            {"display_name": " Anna Berg "},
            {"email": email, "is_active": True},
        ):
            again = await provision(sub, **said)
            assert (again.status, again.version, again.position) == (200, first.version, first.position)


async def test_what_a_provider_changes_is_told_and_what_it_leaves_out_stays(office, provision, shown):
    sub, email = uuid4().hex, f"{uuid4()}@example.org"
    made = await provision(sub, email=email, display_name="Anna Berg")
    await provision(sub, display_name="Anna Maria Berg")
    user = await shown(made.id)
    assert (user["email"], user["display_name"]) == (email, "Anna Maria Berg")
    assert await topics(office, made.id) == ["user.provisioned.v1", "user.changed.v1", "user.synced.v1"]


async def test_the_name_of_a_provider_stays_when_the_user_tells_his_names(office, provision, shown):
    made = await provision(display_name="Anna B.")
    await office.admin.patch(f"/users/{made.id}", json={"first_name": "Anna", "last_name": "Berg"})
    assert (await shown(made.id))["display_name"] == "Anna B."
    bare = await provision()
    await office.admin.patch(f"/users/{bare.id}", json={"first_name": "Anna", "last_name": "Berg"})
    assert (await shown(bare.id))["display_name"] == "Berg Anna"


async def test_an_address_that_is_taken_links_nobody_and_is_noted(office, provision, shown):
    """The look-alike of an account take-over: another provider says the administrator's address."""
    anna = await office.user()
    sub = uuid4().hex
    made = await provision(sub, email=anna.email.upper(), display_name="Not Anna")
    user = await shown(made.id)
    assert (made.status, user["email"]) == (201, None)
    assert user["identities"][0]["last_error"] == "email_taken"
    assert (await shown(anna.id))["identities"] == []
    async with office.nothing_stored():
        await provision(sub, email=anna.email)


async def test_a_changed_address_that_is_taken_leaves_the_one_there_was(office, provision, shown):
    anna, sub, email = await office.user(), uuid4().hex, f"{uuid4()}@example.org"
    made = await provision(sub, email=email)
    await provision(sub, email=anna.email)
    user = await shown(made.id)
    assert (user["email"], user["identities"][0]["last_error"]) == (email, "email_taken")
    new = f"{uuid4()}@example.org"
    await provision(sub, email=new)
    user = await shown(made.id)
    assert (user["email"], user["identities"][0]["last_error"]) == (new, None)


async def test_of_two_who_are_given_one_address_at_once_one_has_it(provision, shown):
    email = f"{uuid4()}@example.org"
    made = await asyncio.gather(*(provision(email=email) for _ in range(2)))
    users = [await shown(each.id) for each in made]
    assert sorted(str(user["email"]) for user in users) == sorted([email, "None"])
    assert sorted(str(user["identities"][0]["last_error"]) for user in users) == ["None", "email_taken"]


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"email": "anna@localhost"}, "email_invalid"),
        ({"email": "a" * 250 + "@example.org"}, "email_invalid"),
        ({"email": "a b@example.org"}, "email_invalid"),
        ({"display_name": "x" * 256}, "display_name_invalid"),
        ({"display_name": "Anna\x00"}, "display_name_invalid"),
        ({"display_name": "Anna\u202egreB"}, "display_name_invalid"),
        ({"email": "\ud800@example.org"}, "email_invalid"),
        ({"display_name": "\ud800"}, "display_name_invalid"),
    ],
)
async def test_a_profile_that_makes_no_sense_keeps_nobody_out(provision, shown, said, error):
    user = await shown((await provision(**said)).id)
    assert (user["email"], user["display_name"]) == (None, None)
    assert user["identities"][0]["last_error"] == error


@pytest.mark.parametrize("sub", ["x" * 10_240, "\n", "a\nb", "a\x00", " ", "\ud800"])
async def test_a_subject_that_no_provider_would_say_makes_nobody(office, provision, sub):
    async with office.nothing_stored():
        with pytest.raises(IdentityInvalid):
            await provision(sub)


async def test_a_provided_user_has_no_password_until_staff_gives_him_one(office, provision):
    email = f"{uuid4()}@example.org"
    made = await provision(email=email)
    answers = [
        await office.stranger.post("/auth/login", json={"login": login, "password": PASSWORD})
        for login in (email, f"{uuid4()}@example.org")
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (401, "auth.invalid_credentials")
    told = [{k: v for k, v in answer.json().items() if k != "request_id"} for answer in answers]
    assert told[0] == told[1]
    reset = await office.admin.post(f"/users/{made.id}/password")
    await office.signed_in(email, reset.json()["temporary_password"])


async def test_a_provider_closes_an_account_and_its_sessions_and_opens_it_again(office, provision, shown):
    sub, email = uuid4().hex, f"{uuid4()}@example.org"
    made = await provision(sub, email=email)
    reset = await office.admin.post(f"/users/{made.id}/password")
    client = await office.signed_in(email, reset.json()["temporary_password"])
    await provision(sub, is_active=False)
    assert (await client.get("/me")).status_code == 401
    assert (await shown(made.id))["state"] == "deactivated"
    async with office.nothing_stored():
        await provision(sub, is_active=False)
        await provision(sub)
    await provision(sub, is_active=True)
    assert (await shown(made.id))["state"] == "active"


async def test_who_comes_inactive_is_there_and_may_not_act(provision, shown):
    made = await provision(is_active=False)
    assert (made.status, (await shown(made.id))["state"]) == (201, "deactivated")


async def test_a_block_is_lifted_by_no_provider(office, provision, shown):
    sub = uuid4().hex
    made = await provision(sub)
    await office.admin.post(f"/users/{made.id}/block", json={"reason": "r"})
    async with office.nothing_stored():
        await provision(sub, is_active=True)
    assert (await shown(made.id))["state"] == "blocked"


async def test_a_provider_does_not_take_the_last_administrator_away(database, nats_server):
    sub = uuid4().hex
    async with offices.opened(database, nats_server.url) as office:
        users = office.system.users
        made = await users.provision(ISSUER, sub, context=SERVICE)
        await office.admin.post(f"/users/{made.id}/role", json={"role": "admin"})
        assert (await office.admin.request("DELETE", "/me")).status_code == 200
        async with office.nothing_stored():
            with pytest.raises(LastAdmin):
                await users.provision(ISSUER, sub, is_active=False, context=SERVICE)


async def test_what_a_provider_said_is_for_who_may_view_contacts(office, provision):
    email, plain = f"{uuid4()}@example.org", await office.user()
    made = await provision(email=email)
    for read in ("", "/history"):
        answer = await plain.client.get(f"/users/{made.id}{read}")
        assert (answer.status_code, email in answer.text) == (200, False)


async def test_claims_of_provided_users_follow_from_the_log(office, provision):
    sub = uuid4().hex
    await provision(sub, email=f"{uuid4()}@example.org")
    await provision(sub, email=f"{uuid4()}@example.org", is_active=False)
    found = await verify(office.addresses.app, wrapping_of(office.system.settings))
    assert [each for each in found if each.table in ("claims", "principals")] == []


async def test_how_talking_with_the_provider_went_is_shown(office, provision, shown):
    made = await provision()
    users = office.system.users
    await users.sync_failed(made.id, ISSUER, "provider_unavailable")
    assert (await shown(made.id))["identities"][0]["last_error"] == "provider_unavailable"
    async with office.nothing_stored():
        await users.sync_failed(made.id, ISSUER, "provider_unavailable")
    await users.synced(made.id, ISSUER)
    assert (await shown(made.id))["identities"][0]["last_error"] is None
