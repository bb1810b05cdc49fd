"""People forgotten over HTTP: who may, what goes with them, and what of them is left."""

import asyncio
import hashlib
import json
from uuid import UUID, uuid4

import pytest

from application.access import system
from application.context import Context
from domain.user.guards import EMAIL
from domain.user.refusals import UserIsErased
from infrastructure.event_log import EventLog
from infrastructure.forgetting import Forgetting
from infrastructure.guard_check import verify
from infrastructure.personal_data import Vault, Wrapping, wrapping_of
from infrastructure.personal_export import PersonalExport
from projections.projection import Fold, discover
from tests.serving import PASSWORD, caller, sign_in
from tests.waiting import until
from workers.rebuild import compare

pytestmark = pytest.mark.anyio

ASKED = {"reason": "asked for it on 3 May"}


@pytest.fixture
async def zoe(office):
    """Somebody of whom much is known, under words that nobody else uses."""
    word = uuid4().hex
    body = {
        "email": f"{word}@example.org",
        "first_name": f"Zoe{word}",
        "last_name": f"Zimt{word}",
        "patronymic": f"Z{word}",
        "phone": "+33142685300",
        "job_title": f"Chief {word}",
        "staff_number": word,
    }
    made = (await office.admin.post("/users", json=body)).raise_for_status().json()
    reset = {"password": PASSWORD}
    (await office.admin.post(f"/users/{made['id']}/password", json=reset)).raise_for_status()
    client = await office.stack.enter_async_context(caller(office.transport))
    client.headers.update({"User-Agent": f"Browser {word}"} | await sign_in(client, body["email"]))
    changed = f"{PASSWORD} {uuid4().hex}"
    answer = await client.post("/me/password", json={"old": PASSWORD, "new": changed})
    assert answer.status_code in (200, 204), answer.text
    client.headers.update(await sign_in(client, body["email"], changed))
    client.word, client.id, client.body, client.password = word, made["id"], body, changed
    return client


def code(answer):
    return answer.status_code, answer.json().get("code")


async def erase(office, user_id, client=None, **headers):
    return await (client or office.admin).post(f"/users/{user_id}/erase", json=ASKED, headers=headers)


# --- who may, and whom ---------------------------------------------------------------------------------------------


async def test_a_person_is_forgotten_and_his_account_says_so(office, zoe):
    answer = await erase(office, zoe.id)
    assert answer.status_code == 200, answer.text
    shown = (await office.admin.get(f"/users/{zoe.id}")).json()
    empty = ("email", "staff_number", "first_name", "last_name", "patronymic", "display_name", "phone")
    assert shown["state"] == "erased"
    assert {shown[name] for name in (*empty, "job_title", "avatar_file_id", "department_id")} == {None}
    assert [e.topic for e in await office.system.recorded(UUID(zoe.id))][-1] == "user.erased.v1"


async def test_forgotten_twice_is_forgotten_once(office, zoe):
    first = await erase(office, zoe.id)
    async with office.nothing_stored():
        again = await erase(office, zoe.id)
    assert (again.status_code, again.json()) == (200, first.json())


async def test_a_rehearsal_forgets_nobody(office, zoe):
    async with office.nothing_stored():
        answer = await office.admin.post(f"/users/{zoe.id}/erase?dry_run=true", json=ASKED)
    assert [each["topic"] for each in answer.json()["events"]] == ["user.erased.v1"]
    assert (await zoe.get("/me")).json()["email"] == zoe.body["email"]


async def test_whoever_is_not_allowed_forgets_nobody(office, zoe):
    moderator = await office.user(role="moderator")
    async with office.nothing_stored():
        refused = await erase(office, zoe.id, moderator.client)
    assert code(refused) == (403, "forbidden")
    assert refused.json()["required"] == "user:erase"


async def test_the_right_is_held_by_grant_but_no_administrator_is_forgotten_with_it(office, zoe):
    clerk, boss = await office.user("user:erase"), await office.user(role="admin")
    async with office.nothing_stored():
        assert code(await erase(office, boss.id, clerk.client)) == (403, "user.above_you")
    assert (await erase(office, zoe.id, clerk.client)).status_code == 200


async def test_the_last_administrator_is_not_forgotten(office):
    me = (await office.admin.get("/me")).json()["id"]
    others = [
        each["id"]
        for each in (await office.admin.get("/users", params={"filter": "role=admin"})).json()["data"]
        if each["id"] != me and each["state"] == "active"
    ]
    for other in others:
        (await office.admin.post(f"/users/{other}/deactivate")).raise_for_status()
    async with office.nothing_stored():
        assert code(await erase(office, me)) == (409, "user.last_admin")


async def test_nobody_is_forgotten_without_a_reason_nor_if_unknown(office, zoe):
    async with office.nothing_stored():
        assert code(await erase(office, uuid4())) == (404, "user.unknown")
        for body in ({}, {"reason": ""}, {"reason": None}, {"reason": "x", "name": "y"}, []):
            assert (await office.admin.post(f"/users/{zoe.id}/erase", json=body)).status_code == 400
        stale = await erase(office, zoe.id, **{"If-Match": '"v1"'})
        assert code(stale)[0] == 412


async def test_what_is_nobody_is_not_forgotten(office, zoe):
    """Ids of other records, of programs, and such as are none."""
    client = (await office.admin.post("/api-clients", json={"name": "Program"})).json()["id"]
    organisation = (await office.organisation()).rpartition("/")[2]
    session = (await zoe.get("/auth/sessions")).json()["data"][0]["id"]
    async with office.nothing_stored():
        for path in (
            *(
                f"/users/{each}/erase"
                for each in (client, organisation, session, UUID(int=0), uuid4(), "me", "%00")
            ),
            *(f"/contacts/{each}/erase" for each in (zoe.id, organisation, uuid4())),
        ):
            refused = await office.admin.post(path, json=ASKED)
            assert refused.status_code in (400, 404), (path, refused.text)
        unsaid = await office.stranger.post(f"/users/{zoe.id}/erase", json=ASKED)
        assert unsaid.status_code == 401
        assert (await office.admin.get(f"/users/{zoe.id}/erase")).status_code == 405


async def test_an_administrator_forgets_himself_and_is_out(office):
    boss = await office.user(role="admin", first_name="Boss")
    assert (await erase(office, boss.id, boss.client)).status_code == 200
    async with office.nothing_stored():
        again = await erase(office, boss.id, boss.client)
    assert again.status_code == 401
    shown = (await office.admin.get(f"/users/{boss.id}")).json()
    assert (shown["state"], shown["first_name"]) == ("erased", None)
    (entry,) = (
        await office.admin.get(
            "/audit/entries", params={"filter": f"subject={boss.id} AND topic=user.erased.v1"}
        )
    ).json()["data"]
    assert (entry["actor"]["id"], entry["allowed_by"], entry["address"], entry["agent"]) == (
        str(boss.id), "role:admin", None, None
    )  # fmt: skip


async def test_no_other_right_stands_in_for_it(office, zoe):
    clerk = await office.user("user:export", "user:edit", "user:deactivate", "contact:erase")
    async with office.nothing_stored():
        assert code(await erase(office, zoe.id, clerk.client)) == (403, "forbidden")
    assert (await zoe.get("/me")).json()["email"] == zoe.body["email"]


async def test_forgotten_while_it_is_given_out_what_is_held_about_him_ends_well(office, zoe):
    await office.admin.get("/users")  # read models follow
    giving = PersonalExport(office.system.pool, office.system.log).pieces(UUID(zoe.id), await office.head())
    given = [await anext(giving)]
    (await erase(office, zoe.id)).raise_for_status()
    given += [piece async for piece in giving]
    told = json.loads(b"".join(given))
    assert told["profile"]["email"] == zoe.body["email"], "given before"
    assert {(each["address"], each["agent"]) for each in told["activity"]} == {(None, None)}, "nothing after"


# --- what goes with him --------------------------------------------------------------------------------------------


async def test_he_is_out_at_once_and_comes_in_no_more(office, zoe):
    (await erase(office, zoe.id)).raise_for_status()
    assert (await zoe.get("/me")).status_code == 401
    assert (await zoe.patch("/me", json={"phone": None})).status_code == 401
    for login in (zoe.body["email"], zoe.word):
        wrong = await office.stranger.post("/auth/login", json={"login": login, "password": zoe.password})
        assert code(wrong) == (401, "auth.invalid_credentials")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", {"first_name": "Zoe"}),
        ("/role", {"role": "admin"}),
        ("/block", {"reason": "x"}),
        ("/unblock", {}),
        ("/deactivate", {}),
        ("/reactivate", {}),
        ("/department", {"department_id": None}),
        ("/password", {}),
    ],
)
async def test_nothing_more_happens_to_him(office, zoe, path, body):
    (await erase(office, zoe.id)).raise_for_status()
    method = "POST" if path else "PATCH"
    async with office.nothing_stored():
        refused = await office.admin.request(method, f"/users/{zoe.id}{path}", json=body)
    assert code(refused) == (409, "user.erased")


async def test_his_address_and_staff_number_are_free_for_another_account(office, zoe):
    (await erase(office, zoe.id)).raise_for_status()
    made = await office.admin.post("/users", json=zoe.body)
    assert made.status_code == 201, made.text
    assert made.json()["id"] != zoe.id
    wrong = await verify(office.system.url, wrapping_of(office.system.settings))
    assert [each for each in wrong if each.table != "rights"] == []  # those the office gave without a grant


async def test_key_password_and_kept_answers_are_gone_with_the_event(office, zoe):
    key = {"Idempotency-Key": uuid4().hex}
    (await zoe.patch("/me", json={"phone": None}, headers=key)).raise_for_status()
    (await erase(office, zoe.id)).raise_for_status()
    rows = office.owner.execute(
        """select (select wrapped is null and destroyed_at is not null from subject_keys where subject_id = %(id)s),
          (select count(*) from credentials where user_id = %(id)s),
          (select count(*) from receipts where actor_id = %(id)s),
          (select count(*) from refreshes r join sessions s using (session_id)
            where s.user_id = %(id)s and not s.ended)""",
        {"id": zoe.id},
    )
    assert rows.fetchone() == (True, 0, 0, 0)


async def test_what_he_wrote_in_messages_is_empty_and_what_others_wrote_to_him_is_not(office, zoe):
    bert = await office.user()
    dialog = (await zoe.post("/dialogs", json={"user_id": str(bert.id)})).json()["id"]
    sent = await zoe.post(f"/dialogs/{dialog}/messages", json={"text": f"I am {zoe.word}"})
    assert sent.status_code == 201, sent.text
    kept = await bert.client.post(f"/dialogs/{dialog}/messages", json={"text": "hello"})
    other = await zoe.post(f"/dialogs/{dialog}/messages", json={"text": f"bye {zoe.word}"})
    (await erase(office, zoe.id)).raise_for_status()
    shown = (await bert.client.get(f"/dialogs/{dialog}/messages")).json()["data"]
    texts = {each["id"]: each["text"] for each in shown}
    assert texts == {sent.json()["id"]: None, kept.json()["id"]: "hello", other.json()["id"]: None}
    listed = (await bert.client.get("/dialogs")).json()["data"]
    assert zoe.word not in json.dumps(listed)


async def test_his_past_is_told_without_him(office, zoe):
    before = await office.head()
    (await erase(office, zoe.id)).raise_for_status()
    then = (await office.admin.get(f"/users/{zoe.id}", params={"as_of": str(before)})).json()
    assert (then["email"], then["first_name"], then["state"]) == (None, None, "active")
    for path in (f"/users/{zoe.id}/history", f"/users/{zoe.id}/diff?from=v1&to={before}"):
        answer = await office.admin.get(path)
        assert answer.status_code == 200
        told = json.dumps([each for each in _values(answer.json()) if "staff_number" not in each])
        assert zoe.body["email"] not in told
        assert zoe.body["first_name"] not in told
    entries = (await office.admin.get("/audit/entries", params={"filter": f"actor={zoe.id}"})).json()["data"]
    assert entries
    assert {(each["address"], each["agent"]) for each in entries} == {(None, None)}


def _values(found):
    if isinstance(found, dict):
        yield str({name: value for name, value in found.items() if not isinstance(value, dict | list)})
    for each in found.values() if isinstance(found, dict) else found if isinstance(found, list) else ():
        yield from _values(each)


async def test_no_read_model_has_a_word_of_him_and_built_again_each_is_the_same(office, zoe):
    (await erase(office, zoe.id)).raise_for_status()
    await office.admin.get("/users")  # every read model follows
    whole = office.system
    assert await _tables_that_hold(whole, zoe.word) == []
    log = EventLog(whole.pool, whole.codec, Vault(whole.pool, whole.wrapping))
    for projection in discover().values():
        if isinstance(projection, Fold):
            built = await compare(whole.url, log, projection)
            assert built.comparison.equal, projection.name


async def _tables_that_hold(system, word):
    holding = []
    async with system.pool.connection() as connection:
        tables = await connection.execute("select tablename from pg_tables where schemaname = 'read'")
        for (name,) in await tables.fetchall():
            found = await connection.execute(
                f"select from read.{name} t where t::text like %s or t::text like %s limit 1",
                (f"%{word}%", f"%{word.encode().hex()}%"),
            )
            holding += [name] if found.rowcount else []
    return holding


async def test_nobody_guesses_his_address_from_what_is_left(office, zoe):
    """Nothing that is kept follows from it by what everybody knows; and what follows from our key was released."""
    email = zoe.body["email"]
    await erase(office, zoe.id)
    (stored,) = office.owner.execute("select string_agg(state || metadata, '') from stored_events").fetchone()
    digests = [hashlib.new(name, email.encode()) for name in ("md5", "sha1", "sha256", "sha512", "blake2b")]
    guesses = [each for digest in digests for each in (digest.digest(), digest.hexdigest().encode())]
    for guess in (email.encode(), *guesses, Wrapping(b"k" * 32).blind(EMAIL, email).encode()):
        assert guess not in stored
    held = office.owner.execute("select value from claims where kind = %s", (EMAIL,)).fetchall()
    assert held
    assert office.system.wrapping.blind(EMAIL, email) not in {value for (value,) in held}


async def test_other_processes_forget_his_key_soon(office, zoe):
    vault = Vault(office.system.pool, office.system.wrapping)
    assert (await vault.to_open([UUID(zoe.id)]))[UUID(zoe.id)] is not None
    cleared = []
    forgetting = Forgetting(
        office.system.pool, lambda people: [vault.forget(each) for each in people], lambda: cleared.append(1)
    )
    (await erase(office, zoe.id)).raise_for_status()

    async def gone():
        await forgetting.look()
        return (await vault.to_open([UUID(zoe.id)]))[UUID(zoe.id)] is None

    await until(gone, seconds=1)
    assert cleared == [1]


async def test_forgotten_amid_his_own_work_he_leaves_no_word_and_nothing_breaks(office, zoe):
    bert = await office.user()
    dialog = (await zoe.post("/dialogs", json={"user_id": str(bert.id)})).json()["id"]

    async def talk():
        said = []
        while not said or said[-1].status_code == 201:
            said.append(await zoe.post(f"/dialogs/{dialog}/messages", json={"text": f"I am {zoe.word}"}))
        return said

    talking = [asyncio.create_task(talk()) for _ in range(5)]
    await asyncio.sleep(0)
    erased = await asyncio.gather(*(erase(office, zoe.id) for _ in range(5)))
    assert {each.status_code for each in erased} == {200}
    assert len({each.text for each in erased}) == 1
    for said in await asyncio.gather(*talking):
        assert [each.status_code for each in said[:-1]] == [201] * (len(said) - 1)
        assert said[-1].status_code == 401, said[-1].text
    shown = (await bert.client.get(f"/dialogs/{dialog}/messages?page_size=100")).json()["data"]
    assert shown
    assert {each["text"] for each in shown} == {None}
    topics = [each.topic for each in await office.system.recorded(UUID(zoe.id))]
    assert topics.count("user.erased.v1") == 1


async def test_who_was_brought_by_a_provider_is_forgotten_with_his_subject_and_does_not_come_back(office):
    word, issuer = uuid4().hex, "https://sso.example.org"
    context = Context(caller=system(), request_id="test")
    people, sub = office.system.users, f"sub-{word}"

    async def come():
        return await people.provision(
            issuer, sub, email=f"{word}@example.org", display_name=word, context=context
        )

    user_id = str((await come()).id)
    (await erase(office, user_id)).raise_for_status()
    shown = (await office.admin.get(f"/users/{user_id}")).json()
    assert (shown["state"], shown["sub"], shown["display_name"]) == ("erased", None, None)
    assert [(each["issuer"], each["sub"]) for each in shown["identities"]] == [(issuer, None)]
    async with office.nothing_stored():
        with pytest.raises(UserIsErased):
            await come()
        await people.synced(UUID(user_id), issuer)
    assert await _tables_that_hold(office.system, word) == []


# --- contacts ------------------------------------------------------------------------------------------------------


@pytest.fixture
async def kevin(office):
    """A contact with a contract, under words that nobody else uses: his id, the contract's path, the word."""
    word, organisation = uuid4().hex, await office.organisation()
    body = {
        "civility": "M",
        "first_name": f"Kevin{word}",
        "last_name": f"Casey{word}",
        "email": f"{word}@example.org",
        "phone": "+33142685300",
        "job_title": f"Chief {word}",
        "is_main": True,
    }
    contact = (await office.admin.post(f"{organisation}/contacts", json=body)).raise_for_status().json()["id"]
    contract = {
        "kind": "sale",
        "organisation_id": organisation.rpartition("/")[2],
        "contact_id": contact,
        "title": "Care",
        "amount": {"amount": "12.50", "currency": "EUR"},
    }
    made = (await office.admin.post("/contracts", json=contract)).raise_for_status()
    return contact, made.headers["location"].removeprefix("/api/v1"), word


async def test_a_contact_is_forgotten_and_his_contract_stays(office, kevin):
    contact, contract, word = kevin
    answer = await office.admin.post(f"/contacts/{contact}/erase", json=ASKED)
    assert answer.status_code == 200, answer.text
    shown = (await office.admin.get(f"/contacts/{contact}")).json()
    assert shown["state"] == "erased"
    personal = (
        "civility",
        "first_name",
        "last_name",
        "patronymic",
        "job_title",
        "department",
        "email",
        "phone",
    )
    assert {shown[name] for name in personal} == {None}
    kept = (await office.admin.get(contract)).json()
    assert (kept["contact_id"], kept["amount"]["amount"]) == (contact, "12.50")
    assert await _tables_that_hold(office.system, word) == []
    async with office.nothing_stored():
        again = await office.admin.post(f"/contacts/{contact}/erase", json=ASKED)
    assert (again.status_code, again.json()) == (200, answer.json())


async def test_nothing_more_happens_to_a_contact_who_was_forgotten(office, kevin):
    contact, contract, _ = kevin
    (await office.admin.post(f"/contacts/{contact}/erase", json=ASKED)).raise_for_status()
    named = (await office.admin.get(contract)).json()
    body = {
        "kind": "sale",
        "organisation_id": named["organisation_id"],
        "contact_id": contact,
        "title": "More",
    }
    async with office.nothing_stored():
        changed = await office.admin.patch(f"/contacts/{contact}", json={"phone": None})
        archived = await office.admin.post(f"/contacts/{contact}/archive")
        again = await office.admin.post("/contracts", json=body | {"amount": named["amount"]})
    assert code(changed) == code(archived) == (409, "contact.erased")
    assert again.status_code in (409, 422)


async def test_contacts_are_forgotten_by_who_may(office, kevin):
    clerk, stranger = await office.user("organisation:view", "organisation:edit"), await office.user()
    path = f"/contacts/{kevin[0]}/erase"
    refused = await clerk.client.post(path, json=ASKED)
    assert (code(refused), refused.json()["required"]) == ((403, "forbidden"), "contact:erase")
    assert code(await stranger.client.post(path, json=ASKED)) == (404, "contact.unknown")
    assert (await office.admin.get(f"/contacts/{kevin[0]}")).json()["state"] == "active"
