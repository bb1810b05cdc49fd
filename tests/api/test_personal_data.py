"""What is held about a person, given out; and what goes from the object store when he is forgotten."""

import json
from uuid import UUID, uuid4

import psycopg
import pytest

from application.reactions import FORGET_CONTACT_WHEN_ERASED, FORGET_USER_WHEN_ERASED
from infrastructure.event_store import new_id
from infrastructure.operations import Taken
from infrastructure.postgres import connect
from projections.session import SESSIONS
from projections.user import USERS
from tests import office as offices
from tests import servers
from tests.api.test_erasure import ASKED, code
from tests.importing import codes, dbf, worked
from tests.importing import sent as imported
from workers import checkpoint, imports, operations
from workers.forgetting import StillExporting
from workers.rebuild import rebuild

pytestmark = pytest.mark.anyio
PDF = b"%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"


@pytest.fixture(scope="module")
async def office(cluster, nats_server, object_store):
    """One API for all tests here, with an object store."""
    with servers.database(cluster) as addresses:
        async with offices.opened(addresses, nats_server.url, **object_store.settings) as opened:
            yield opened


@pytest.fixture
async def zoe(office):
    return await office.user("organisation:view", first_name=f"Zoe{uuid4().hex}")


async def sent(client, purpose="attachment", name="words.txt", content=b"his words", kind="text/plain"):
    answer = await client.post("/files", files={"file": (name, content, kind)}, data={"purpose": purpose})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def erased(office, noun, person):
    """The operation that follows from his erasure."""
    answer = await office.admin.post(f"/{noun}s/{person}/erase", json=ASKED)
    assert answer.status_code == 200, answer.text
    recorded = (await office.system.recorded(UUID(str(person))))[-1]
    reaction = FORGET_USER_WHEN_ERASED if noun == "user" else FORGET_CONTACT_WHEN_ERASED
    (ask,) = reaction.then(recorded)
    assert operations.named(ask.kind)
    await office.admin.get("/users")  # read models follow
    return Taken(id=new_id(), kind=ask.kind, about=json.loads(json.dumps(ask.about)), attempt=1)


async def forgotten(office, noun, person):
    taken = await erased(office, noun, person)
    await operations.named(taken.kind)(office.system, taken)
    await office.admin.get("/users")
    await operations.named(taken.kind)(office.system, taken)  # a worker may die, and another does it again
    return taken


# --- given out -----------------------------------------------------------------------------------------------------


async def test_a_person_is_told_everything_that_is_held_about_him(office, zoe):
    bert = await office.user()
    zoe.client.headers["User-Agent"] = "Zoe's browser"
    dialog = (await zoe.client.post("/dialogs", json={"user_id": str(bert.id)})).json()["id"]
    message = await zoe.client.post(f"/dialogs/{dialog}/messages", json={"text": "hello"})
    (await bert.client.post(f"/dialogs/{dialog}/messages", json={"text": "Bert's own"})).raise_for_status()
    file = await sent(zoe.client, name="zoe.txt")
    answer = await office.admin.get(f"/users/{zoe.id}/personal-data")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-disposition"].startswith("attachment;")
    told = answer.json()
    assert told["profile"]["email"] == zoe.email
    assert [each["topic"] for each in told["events"]] == ["user.registered.v1", "user.exported.v1"]
    assert told["events"][0]["data"]["email"] == zoe.email
    assert [each["id"] for each in told["messages"]] == [message.json()["id"]]
    assert [(each["id"], each["name"], "object_id" in each) for each in told["files"]] == [
        (file, "zoe.txt", False)
    ]
    assert [each["user_id"] for each in told["sessions"]] == [str(zoe.id)]
    assert {each["agent"] for each in told["activity"] if each["record_id"] == file} == {"Zoe's browser"}
    assert "Bert's own" not in answer.text
    assert told["position"] == int(answer.headers["x-event-position"]) == await office.head()


async def test_of_much_nothing_is_left_out(office, zoe, monkeypatch):
    monkeypatch.setattr("infrastructure.personal_export.PAGE", 3)
    files = {await sent(zoe.client) for _ in range(7)}
    told = (await office.admin.get(f"/users/{zoe.id}/personal-data")).json()
    assert {each["id"] for each in told["files"]} == files
    assert files <= {each["record_id"] for each in told["activity"]}
    assert [each["position"] for each in told["activity"]] == sorted(
        {e["position"] for e in told["activity"]}
    )


async def test_that_it_was_given_out_is_recorded_with_who_asked(office, zoe):
    clerk = await office.user("user:export")
    (await clerk.client.get(f"/users/{zoe.id}/personal-data")).raise_for_status()
    last = (await office.system.recorded(zoe.id))[-1]
    assert (last.topic, last.metadata.actor.id) == ("user.exported.v1", clerk.id)


async def test_it_is_given_to_nobody_without_the_right_and_of_nobody_who_is_not(office, zoe):
    before = len(await office.system.recorded(zoe.id))
    refused = await zoe.client.get(f"/users/{zoe.id}/personal-data")
    assert (code(refused), refused.json()["required"]) == ((403, "forbidden"), "user:export")
    assert (await office.stranger.get(f"/users/{zoe.id}/personal-data")).status_code == 401
    assert code(await office.admin.get(f"/users/{uuid4()}/personal-data")) == (404, "user.unknown")
    assert (await office.admin.get(f"/users/{zoe.id}/personal-data?x=1")).status_code == 400
    assert len(await office.system.recorded(zoe.id)) == before


async def test_of_who_was_forgotten_nothing_is_left_to_give(office, zoe):
    (await office.admin.post(f"/users/{zoe.id}/erase", json=ASKED)).raise_for_status()
    assert code(await office.admin.get(f"/users/{zoe.id}/personal-data")) == (409, "user.erased")


# --- the object store ----------------------------------------------------------------------------------------------


async def test_his_files_go_but_for_those_a_record_of_the_house_binds(office, zoe):
    system = office.system
    office.grant(zoe.id, "document:create")
    office.grant(zoe.id, "document:view")
    bert = await office.user()
    loose, attached, paper = (
        await sent(zoe.client),
        await sent(zoe.client),
        await sent(zoe.client, "document", "paper.pdf", PDF, "application/pdf"),
    )
    dialog = (await zoe.client.post("/dialogs", json={"user_id": str(bert.id)})).json()["id"]
    message = await zoe.client.post(f"/dialogs/{dialog}/messages", json={"attachments": [attached]})
    assert message.status_code == 201, message.text
    organisation = await office.organisation()
    kind = (
        await office.admin.post("/document-types", json={"name": uuid4().hex, "prefix": uuid4().hex[:8]})
    ).json()
    document = await zoe.client.post(
        f"{organisation}/documents",
        json={"type_id": kind["id"], "date_approved": "2026-05-03", "file_id": paper},
    )
    assert document.status_code == 201, document.text
    others = await sent(bert.client)
    await forgotten(office, "user", zoe.id)
    for file in (loose, attached):
        events = await system.recorded(UUID(file))
        assert [(each.topic, getattr(each.event, "reason", None)) for each in events][1:] == [
            ("file.removed.v1", "owner_erased")
        ]
        assert events[0].event.sha256
        assert (await office.admin.get(f"/files/{file}")).status_code == 404
        assert UUID(file) not in await system.objects.names(UUID(int=0), UUID(int=2**128 - 1))
    kept = (await office.admin.get(f"/files/{paper}")).json()
    assert (kept["name"], kept["state"]) == (None, "stored")
    assert (await office.admin.get(f"/files/{paper}/content")).content == PDF
    assert (await bert.client.get(f"/files/{others}/content")).content == b"his words"


async def exported(office, client, **body):
    path = (await client.post("/exports", json={"format": "csv", **body})).headers["location"]
    path = path.removeprefix("/api/v1")
    await client.get(path)
    taken = Taken(id=new_id(), kind="export.run", about={"export_id": path.rpartition("/")[2]}, attempt=1)
    return path, lambda: operations.export_run(office.system, taken)


async def test_exports_that_have_him_go_whoever_asked_for_them_and_his_own(office, zoe):
    made = [
        await exported(office, office.admin, list="users"),
        await exported(office, zoe.client, list="organisations", filter=f'name="{zoe.email}"'),
        await exported(office, office.admin, list="organisations"),
    ]
    for _, run in made:
        await run()
    (his_name, _), (own, _), (other, _) = made
    assert zoe.email in (await office.admin.get(f"{his_name}/content")).text
    await forgotten(office, "user", zoe.id)
    assert (await office.admin.get(f"{his_name}/content")).status_code == 404
    assert (await office.admin.get(f"{other}/content")).status_code == 200
    shown = (await office.admin.get(own)).json()
    assert shown["filter"] is None
    assert (await office.admin.get(f"{own}/content")).status_code in (403, 404)


async def test_the_files_he_imported_go_with_their_previews_and_what_is_not_over_ends(office, object_store):
    clerk = await office.user("import:run")
    word, first = uuid4().hex, [{"INDEX": "12", "CITY": "X"}]
    read = UUID((await imported(clerk.client, dbf(codes(3) + first), name=f"{word}.dbf")).json()["id"])
    await worked(office, imports.read, str(read))
    (await office.admin.post(f"/imports/{read}/cancel")).raise_for_status()
    waits = UUID((await imported(clerk.client, dbf(codes(3) + first))).json()["id"])
    await worked(office, imports.read, str(waits))
    (await office.admin.post(f"/imports/{waits}/cancel")).raise_for_status()
    unread = UUID((await imported(clerk.client, dbf(codes(3)))).json()["id"])
    kept = "select count(*) from import_progress where import_id = any(%s)"
    assert office.owner.execute(kept, ([read, waits],)).fetchone() == (2,)
    assert str(unread) in object_store.names
    taken = await erased(office, "user", clerk.id)
    with pytest.raises(imports.StillImporting):
        await operations.user_forget(office.system, taken)
    await office.admin.get("/users")  # read models follow
    await operations.user_forget(office.system, taken)
    assert (await office.admin.get(f"/imports/{unread}")).json()["state"] == "canceled"
    assert {str(read), str(waits), str(unread)} & set(object_store.names) == set()
    assert office.owner.execute(kept, ([read, waits, unread],)).fetchone() == (0,)


async def test_a_read_model_that_was_kept_aside_or_left_unfinished_goes(office, zoe):
    system, log = office.system, office.system.log
    await office.admin.get("/users")
    await rebuild(system.url, log, USERS)
    async with await connect(system.url) as connection:
        await checkpoint.begin(connection, USERS, "read_next")
        await checkpoint.begin(connection, SESSIONS, "read_next")
    aside = "select name, place from projections where place <> 'read'"
    assert set(office.owner.execute(aside).fetchall()) == {
        ("user", "read_prev"), ("user", "read_next"), ("session", "read_next")
    }  # fmt: skip
    with psycopg.connect(office.addresses.admin) as admin:
        assert admin.execute('select count(*) from read_prev."user" where id = %s', (zoe.id,)).fetchone() == (
            1,
        )
    await forgotten(office, "user", zoe.id)
    assert office.owner.execute(aside).fetchall() == []
    tables = "select count(*) from pg_tables where schemaname in ('read_prev', 'read_next')"
    assert office.owner.execute(tables).fetchone() == (0,)


async def test_an_export_that_is_still_made_is_waited_for(office):
    organisation = await office.organisation()
    body = {"last_name": f"Casey{uuid4().hex}"}
    contact = (await office.admin.post(f"{organisation}/contacts", json=body)).json()["id"]
    path, run = await exported(office, office.admin, list="contacts")
    taken = await erased(office, "contact", contact)
    with pytest.raises(StillExporting):
        await operations.contact_forget(office.system, taken)
    await run()
    await office.admin.get(path)
    await operations.contact_forget(office.system, taken)
    answer = await office.admin.get(f"{path}/content")
    assert body["last_name"] not in answer.text
