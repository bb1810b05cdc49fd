"""Organisation documents over HTTP and a real S3 server: versions, confidential ones, downloads, and who sees them."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from tests import office as offices
from tests import servers

pytestmark = pytest.mark.anyio
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(2_000)
OTHER = PDF + b"another scan"


@pytest.fixture(scope="module")
async def office(cluster, nats_server, object_store):
    """One API for all tests here, with an object store."""
    with servers.database(cluster) as addresses:
        async with offices.opened(addresses, nats_server.url, **object_store.settings) as opened:
            yield opened


async def uploaded(client, data=PDF, purpose="document"):
    files = {"file": ("scan.pdf", data, "application/pdf")}
    answer = await client.post("/files", files=files, data={"purpose": purpose})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def a_type(office, **fields):
    name = f"Charter {uuid4()}"
    body = {"name": name, "prefix": f"p{uuid4().hex[:12]}", **fields}
    answer = await office.admin.post("/document-types", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def body(type_id, **fields):
    return {"type_id": type_id, "date_approved": "2026-03-01", **fields}


async def recorded(client, place, type_id, **fields):
    answer = await client.post(f"{place}/documents", json=body(type_id, **fields))
    assert answer.status_code in (200, 201), answer.text
    return answer


def code(answer):
    return answer.status_code, answer.json()["code"]


# --- versions --------------------------------------------------------------------------------------------------


async def test_a_document_is_attached_downloaded_and_attached_again(office):
    place, type_id = (
        await office.organisation(short_name="La Poste / Лыжи"),
        await a_type(office, name="Charter"),
    )
    first = await recorded(
        office.admin, place, type_id, file_id=await uploaded(office.admin), comment="first"
    )
    assert first.status_code == 201
    path = first.headers["location"].removeprefix("/api/v1")
    assert path.startswith(f"{place}/documents/")
    got = await office.admin.get(f"{path}/content")
    assert (got.content, got.headers["content-type"]) == (PDF, "application/pdf")
    assert (
        'attachment; filename="2026-03-01-La Poste / ____-Charter.pdf"' in got.headers["content-disposition"]
    )

    again = await recorded(office.admin, place, type_id, file_id=await uploaded(office.admin, OTHER))
    assert (again.status_code, again.headers["etag"]) == (200, '"v2"')
    shown = (await office.admin.get(path)).json()
    assert [(each["number"], each["confidential"]) for each in shown["versions"]] == [(1, False), (2, False)]
    assert (await office.admin.get(f"{path}/content")).content == OTHER
    assert (await office.admin.get(f"{path}/content", params={"number": 1})).content == PDF
    assert (await office.admin.get(f"{path}/content", params={"number": 3})).status_code == 404
    history = (await office.admin.get(f"{path}/history")).json()["data"]
    assert [each["topic"] for each in history] == ["document.recorded.v1"] * 2


async def test_attached_again_without_a_file_it_keeps_the_earlier_one(office):
    place, type_id = await office.organisation(), await a_type(office)
    path = (
        (await recorded(office.admin, place, type_id, file_id=await uploaded(office.admin)))
        .headers["location"]
        .removeprefix("/api/v1")
    )
    await recorded(office.admin, place, type_id, inventory_number="INV-17")
    assert (await office.admin.get(f"{path}/content")).content == PDF
    async with office.nothing_stored():
        same = await recorded(office.admin, place, type_id, inventory_number="INV-17")
    assert same.headers["etag"] == '"v2"'


async def test_a_confidential_document_is_known_of_and_its_download_says_so(office):
    place, type_id = await office.organisation(), await a_type(office)
    path = (await recorded(office.admin, place, type_id, confidential=True)).headers["location"]
    path = path.removeprefix("/api/v1")
    got = await office.admin.get(f"{path}/content")
    assert got.content.startswith(b"%PDF-1.4")
    assert b"confidential" in got.content
    assert (await office.admin.get(path)).json()["confidential"] is True


async def test_the_mark_confidential_never_replaces_a_file_silently(office):
    place, type_id = await office.organisation(), await a_type(office)
    path = (
        (await recorded(office.admin, place, type_id, file_id=await uploaded(office.admin)))
        .headers["location"]
        .removeprefix("/api/v1")
    )
    async with office.nothing_stored():
        refused = await office.admin.post(f"{place}/documents", json=body(type_id, confidential=True))
    assert code(refused) == (409, "document.has_file")
    await recorded(office.admin, place, type_id, confidential=True, replace=True)
    assert (await office.admin.get(f"{path}/content")).content != PDF
    assert (await office.admin.get(f"{path}/content", params={"number": 1})).content == PDF


# --- refusals --------------------------------------------------------------------------------------------------


async def test_a_file_is_ones_own_pdf_for_documents_and_bound_once(office):
    clerk = await office.user("organisation:view", "document:create", "document:view")
    place, type_id = await office.organisation(), await a_type(office)
    foreign, chat = await uploaded(office.admin), await uploaded(clerk.client, purpose="attachment")
    mine = await uploaded(clerk.client)
    await recorded(clerk.client, place, type_id, file_id=mine)
    second = await a_type(office)
    async with office.nothing_stored():
        for file_id in (foreign, chat, str(uuid4())):
            answer = await clerk.client.post(f"{place}/documents", json=body(second, file_id=file_id))
            assert code(answer) == (400, "file.not_yours")
            assert answer.json()["errors"][0]["pointer"] == "/file_id"
        answer = await clerk.client.post(f"{place}/documents", json=body(second, file_id=mine))
        assert code(answer) == (409, "file.already_bound")


async def test_bad_documents_are_named(office):
    place, type_id = await office.organisation(), await a_type(office)
    day = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    async with office.nothing_stored():
        nothing = await office.admin.post(f"{place}/documents", json=body(type_id))
        future = body(type_id, confidential=True, date_approved=day, letter={"sender_date": day})
        late = await office.admin.post(f"{place}/documents", json=future)
        unknown = await office.admin.post(f"{place}/documents", json=body(str(uuid4()), confidential=True))
        strange = await office.admin.post(f"{place}/documents", json=body(type_id, pages=3))
        nowhere = await office.admin.post(
            f"/organisations/{uuid4()}/documents", json=body(type_id, confidential=True)
        )
    assert (code(nothing), code(unknown)) == ((422, "document.invalid"), (422, "document.type_unknown"))
    assert [each["pointer"] for each in late.json()["errors"]] == ["/date_approved", "/letter/sender_date"]
    assert (strange.status_code, code(nowhere)) == (400, (404, "organisation.unknown"))


async def test_an_archived_organisation_gets_no_documents(office):
    place, type_id = await office.organisation(), await a_type(office)
    await office.admin.post(f"{place}/archive")
    answer = await office.admin.post(f"{place}/documents", json=body(type_id, confidential=True))
    assert code(answer) == (409, "organisation.archived")


# --- who sees them ---------------------------------------------------------------------------------------------


async def test_documents_and_their_files_are_shown_to_whom_the_right_says(office):
    place, type_id = await office.organisation(), await a_type(office)
    file_id = await uploaded(office.admin)
    path = (await recorded(office.admin, place, type_id, file_id=file_id)).headers["location"]
    path = path.removeprefix("/api/v1")
    reader, other = await office.user(), await office.user("organisation:view")
    office.grant(reader.id, "document:view", scope=("organisation", place.rpartition("/")[2]))
    for there in (path, f"{path}/content", f"{path}/history", f"{place}/documents", f"/files/{file_id}"):
        assert (await reader.client.get(there)).status_code == 200, there
        assert (await other.client.get(there)).status_code == 404, there
    elsewhere = await office.organisation()
    assert (await office.admin.get(f"{elsewhere}/documents/{path.rpartition('/')[2]}")).status_code == 404
    async with office.nothing_stored():
        answer = await other.client.post(f"{place}/documents", json=body(type_id, confidential=True))
    assert (code(answer), answer.json()["required"]) == ((403, "forbidden"), "document:create")


async def test_documents_are_listed_and_filtered(office):
    place, charter, licence = await office.organisation(), await a_type(office), await a_type(office)
    await recorded(office.admin, place, charter, confidential=True)
    await recorded(office.admin, place, licence, file_id=await uploaded(office.admin))
    listed = (await office.admin.get(f"{place}/documents")).json()["data"]
    assert [each["type_id"] for each in listed] == [licence, charter]
    found = await office.admin.get(f"{place}/documents", params={"filter": "confidential=true"})
    assert [each["type_id"] for each in found.json()["data"]] == [charter]


async def test_an_unknown_organisation_has_no_list_of_documents(office):
    answer = await office.admin.get(f"/organisations/{uuid4()}/documents")
    assert code(answer) == (404, "not_found")


async def test_a_list_waits_for_the_organisation_it_is_of(office):
    office.transport.follows = False
    try:
        place = await office.organisation()
        asked = {"X-Min-Position": str(await office.head())}
        for nested in ("documents", "contacts"):
            answer = await office.admin.get(f"{place}/{nested}", headers=asked)
            assert code(answer) == (503, "projection_behind")
    finally:
        office.transport.follows = True
    assert (await office.admin.get(f"{place}/documents", headers=asked)).json()["data"] == []


@pytest.mark.parametrize("read", ["", "/history", "/content"])
async def test_a_document_that_is_not_known_yet_is_waited_for(office, read):
    place, type_id = await office.organisation(), await a_type(office)
    office.transport.follows = False
    try:
        made = await recorded(office.admin, place, type_id, confidential=True)
        asked = {"X-Min-Position": made.headers["x-event-position"]}
        path = f"{place}/documents/{made.json()['id']}{read}"
        assert code(await office.admin.get(path, headers=asked)) == (503, "projection_behind")
    finally:
        office.transport.follows = True
    assert (await office.admin.get(path, headers=asked)).status_code == 200


@pytest.mark.parametrize(
    ("wanted", "found"), [("yes", 1), ("да", 1), ("no", 0), ("null", 0), ("2026-03-01", 1)]
)
async def test_organisations_with_an_agreement_are_found_by_yes_and_no(office, wanted, found):
    name = f"Alpha {uuid4()}"
    place = await office.organisation(full_name=name)
    await recorded(office.admin, place, await a_type(office, is_main=True), confidential=True)
    asked = {"filter": f'name="{name}" AND agreement={wanted}'}
    assert len((await office.admin.get("/organisations", params=asked)).json()["data"]) == found


# --- types -----------------------------------------------------------------------------------------------------


async def test_types_have_prefixes_of_their_own_that_stay(office):
    prefix = f"p{uuid4().hex[:12]}"
    type_id = await a_type(office, name="Charter", prefix=prefix)
    async with office.nothing_stored():
        taken = await office.admin.post("/document-types", json={"name": "X", "prefix": prefix.upper()})
        firm = await office.admin.patch(f"/document-types/{type_id}", json={"prefix": "other"})
        bad = await office.admin.post("/document-types", json={"name": "X", "prefix": "a b"})
    assert (code(taken), code(firm)) == (
        (409, "document_type.prefix_taken"),
        (409, "document_type.prefix_firm"),
    )
    assert bad.status_code == 400
    changed = await office.admin.patch(
        f"/document-types/{type_id}", json={"name": "Statutes", "is_main": True}
    )
    assert changed.status_code == 200
    shown = (await office.admin.get("/document-types", params={"filter": f'prefix="{prefix}"'})).json()[
        "data"
    ]
    assert [(each["name"], each["is_main"]) for each in shown] == [("Statutes", True)]


async def test_a_prefix_is_made_where_none_is_given_and_types_are_for_who_may_edit_them(office):
    made = await office.admin.post("/document-types", json={"name": "Соглашение о сотрудничестве"})
    assert made.status_code == 201
    user = await office.user()
    assert (await user.client.get("/document-types")).status_code == 200
    async with office.nothing_stored():
        answer = await user.client.post("/document-types", json={"name": "X"})
    assert code(answer) == (403, "forbidden")
