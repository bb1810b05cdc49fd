"""Files over HTTP and a real S3 server: taken in whole or not at all, shown to whom they concern, bound once."""

import asyncio
import hashlib
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from api.queries.file import FileSight
from application import file_content
from application.access import Caller
from application.file import FileAlreadyBound, FileNotYours
from domain.shared import Actor
from infrastructure.bootstrap import clock
from infrastructure.event_store import new_id
from tests import office as offices
from tests import servers

pytestmark = pytest.mark.anyio

PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(2_000)
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(2_000)
MIB = 1 << 20


@pytest.fixture(scope="module")
async def office(cluster, nats_server, object_store):
    """One API for all tests here, with an object store."""
    with servers.database(cluster) as addresses:
        async with offices.opened(addresses, nats_server.url, **object_store.settings) as opened:
            yield opened


@pytest.fixture(scope="module")
async def owner(office):
    """A user whom tests may share: each speaks of files of its own."""
    return (await office.user()).client


@asynccontextmanager
async def nothing_left(office, object_store):
    """What happens inside leaves neither an event nor an object."""
    before = object_store.names
    async with office.nothing_stored():
        yield
    assert object_store.names == before


async def send(client, data=PDF, name="a.pdf", kind="application/pdf", *, purpose=None, **options):
    return await client.post(
        "/files",
        files={"file": (name, data, kind)},
        data={} if purpose is None else {"purpose": purpose},
        **options,
    )


async def sent(client, data=PDF, name="a.pdf", kind="application/pdf", **options):
    answer = await send(client, data, name, kind, **options)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def form(*parts, end=b"--b--\r\n"):
    """A multipart body by hand: (name, file name or None, bytes)."""
    body = b""
    for name, file, data in parts:
        named = f'; filename="{file}"' if file else ""
        body += (
            f'--b\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + data + b"\r\n"
        )
    return body + end


FORM = {"content-type": "multipart/form-data; boundary=b"}


async def post(client, body, headers=FORM):
    return await client.post("/files", content=body, headers=headers)


# --- what is kept ----------------------------------------------------------------------------------------------


async def test_a_file_is_read_back_as_it_was_sent(owner, object_store):
    answer = await send(owner, name='../Отчёт "1".pdf')
    assert (answer.status_code, answer.headers["location"]) == (201, f"/api/v1/files/{answer.json()['id']}")
    place = f"/files/{answer.json()['id']}"
    shown = (await owner.get(place)).json()
    assert (
        shown.items()
        >= {
            "name": 'Отчёт "1".pdf',
            "size": len(PDF),
            "content_type": "application/pdf",
            "sha256": hashlib.sha256(PDF).hexdigest(),
            "purpose": "attachment",
            "state": "stored",
            "version": 1,
        }.items()
    )
    assert "object_id" not in shown
    content = await owner.get(f"{place}/content")
    assert (content.status_code, content.content) == (200, PDF)
    assert content.headers["content-type"] == "application/pdf"
    assert content.headers["content-length"] == str(len(PDF))
    assert content.headers["x-content-type-options"] == "nosniff"
    assert content.headers["content-disposition"] == (
        "attachment; filename=\"_____ _1_.pdf\"; filename*=UTF-8''"
        "%D0%9E%D1%82%D1%87%D1%91%D1%82%20%221%22.pdf"
    )
    again = await owner.get(f"{place}/content", headers={"if-none-match": content.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await owner.head(f"{place}/content")).content == b""
    assert answer.json()["id"] in object_store.names


@pytest.mark.parametrize("parts", [("purpose", "file"), ("file", "purpose")])
async def test_parts_may_come_in_any_order(owner, parts):
    said = {"purpose": ("purpose", None, b"avatar"), "file": ("file", "me.png", PNG)}
    answer = await post(owner, form(*(said[part] for part in parts)))
    assert (answer.status_code, answer.json()["purpose"]) == (201, "avatar")


async def test_a_form_may_arrive_byte_by_byte(owner):

    async def bytewise():
        for byte in form(("purpose", None, b"document"), ("file", "a.pdf", PDF[:60])):
            yield bytes([byte])

    answer = await post(owner, bytewise())
    assert (answer.status_code, answer.json()["size"]) == (201, 60)


async def test_a_large_file_goes_in_parts_and_out_again_and_memory_stays_flat(office, owner):
    piece, pieces = b"\0\xff" * (MIB // 2), 60
    start, most, whole = (await sent(owner), resident())[1], 0, hashlib.sha256(PDF)

    async def content():
        nonlocal most
        yield form(("purpose", None, b"document"), ("file", "a.pdf", PDF), end=b"")[:-2]
        for _ in range(pieces):
            whole.update(piece)
            yield piece
            most = max(most, resident())
        yield b"\r\n--b--\r\n"

    receipt = (await post(owner, content())).json()
    assert receipt["sha256"] == whole.hexdigest()
    assert most - start < 40 * MIB
    most, found, size = 0, hashlib.sha256(), 0

    async def taken(message):
        nonlocal most, size
        most, size = max(most, resident()), size + len(message.get("body", b""))
        found.update(message.get("body", b""))

    assert (await owner.get(f"/files/{receipt['id']}")).json()["state"] == "stored"
    await asked_raw(office, owner, f"/files/{receipt['id']}/content", taken)
    assert (size, found.digest()) == (pieces * MIB + len(PDF), whole.digest())
    assert most - start < 40 * MIB


def resident():
    """Bytes of memory this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def asked_raw(office, client, path, answer, messages=(), **headers):
    """A request as an ASGI server puts it: the body in these messages, each part of the answer as it comes."""
    said = iter(messages)

    async def receive():
        return next(said)

    place = f"/api/v1{path}"
    headers = {"host": "testserver", "authorization": client.headers["authorization"], **headers}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST" if messages else "GET",
        "scheme": "http",
        "path": place,
        "raw_path": place.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
    }
    await office.transport.app(scope, receive, answer)


# --- what is refused, and leaves nothing -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        (form(), "body.invalid", "/file"),
        (form(("purpose", None, b"avatar")), "body.invalid", "/file"),
        (form(("file", "a.pdf", PDF), ("file", "b.pdf", PDF)), "body.invalid", "/file"),
        (form(("file", "a.pdf", PDF), ("note", None, b"x")), "body.invalid", "/note"),
        (form(("files", "a.pdf", PDF)), "body.invalid", "/files"),
        (form(("purpose", None, b"avatar"), ("purpose", None, b"avatar")), "body.invalid", "/purpose"),
        (form(("purpose", None, b"fun"), ("file", "a.pdf", PDF)), "body.invalid", "/purpose"),
        (form(("purpose", None, b"\xff"), ("file", "a.pdf", PDF)), "body.invalid", "/purpose"),
        (form(("file", "a.pdf", PDF), end=b""), "body.malformed", None),
        (form(("file", "a.pdf", PDF))[:-10], "body.malformed", None),
        (b"", "body.malformed", None),
        (b"nothing of the kind", "body.malformed", None),
        (
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="\xff"\r\n\r\nx\r\n--b--',
            "body.malformed",
            None,
        ),
    ],
)
async def test_a_wrong_form_is_refused(office, owner, object_store, body, code, pointer):
    async with nothing_left(office, object_store):
        answer = await post(owner, body)
    assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text
    assert [each["pointer"] for each in answer.json().get("errors", [])] == ([pointer] if pointer else [])


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "application/json"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({}, 415),
        ({**FORM, "content-encoding": "gzip"}, 415),
        ({"content-type": "multipart/form-data"}, 400),
        ({"content-type": f"multipart/form-data; boundary={'b' * 71}"}, 400),
    ],
)
async def test_anything_but_a_form_is_refused(owner, headers, status):
    assert (await post(owner, form(("file", "a.pdf", PDF)), headers)).status_code == status


@pytest.mark.parametrize(
    ("data", "name", "kind", "purpose", "code"),
    [
        (PDF, "a.png", "image/png", None, "file.type_disagrees"),
        (PNG, "a.pdf", "application/pdf", None, "file.type_disagrees"),
        (PDF, "a.pdf", "image/png", None, "file.type_disagrees"),
        (b"plain text", "a.pdf", "application/pdf", None, "file.type_disagrees"),
        (b"MZ\x90\0" + bytes(99), "a.pdf", "application/pdf", None, "file.type_refused"),
        (b"MZ\x90\0" + bytes(99), "a.exe", "application/octet-stream", None, "file.type_refused"),
        (b"<svg xmlns='x'/>", "a.svg", "image/svg+xml", "notice", "file.type_refused"),
        (b"<!doctype html><p>", "a.txt", "text/plain", None, "file.type_refused"),
        (PDF, "a.pdf", "application/pdf", "avatar", "file.type_refused"),
        (PNG, "a.png", "image/png", "document", "file.type_refused"),
    ],
)
async def test_a_file_that_lies_is_refused(office, owner, object_store, data, name, kind, purpose, code):
    async with nothing_left(office, object_store):
        answer = await send(owner, data, name, kind, purpose=purpose)
    assert (answer.status_code, answer.json()["code"]) == (415, code)


async def test_an_empty_file_is_refused(owner):
    answer = await send(owner, b"")
    assert (answer.status_code, answer.json()["code"]) == (422, "file.empty")


@pytest.mark.parametrize(
    ("size", "purpose", "first"), [(25, None, False), (25, "attachment", True), (6, "avatar", False)]
)
async def test_what_is_too_large_is_refused(office, owner, object_store, size, purpose, first):
    said = () if purpose is None else (("purpose", None, purpose.encode()),)
    data = PNG + bytes(size * MIB)
    parts = (*said, ("file", "a.png", data)) if first else (("file", "a.png", data), *said)
    body = form(*parts)

    async def pieces():  # without a declared length
        for at in range(0, len(body), MIB):
            yield body[at : at + MIB]

    async with nothing_left(office, object_store):
        for content in (body, pieces()):
            answer = await post(owner, content)
            assert (answer.status_code, answer.json()["code"]) == (413, "file.too_large")
            assert answer.json()["limit"] == (5 if purpose == "avatar" else 20) * MIB


async def test_what_says_it_is_too_large_is_refused_unread(owner):

    async def unread():
        raise AssertionError("was read")
        yield b""

    answer = await post(owner, unread(), {**FORM, "content-length": str(200 * MIB)})
    assert (answer.status_code, answer.json()["code"]) == (413, "file.too_large")


async def test_nobody_uploads_without_signing_in(office):
    assert (await send(office.stranger)).status_code == 401


async def test_an_upload_cut_in_the_middle_leaves_nothing(office, owner, object_store):
    pieces = [form(("file", "a.zip", b""), end=b"")[:-2] + b"PK\x03\x04", *([bytes(MIB)] * 8)]
    messages = [{"type": "http.request", "body": each, "more_body": True} for each in pieces]
    told = []

    async def answer(message):
        told.append(message)

    async with nothing_left(office, object_store):
        cut = [*messages, {"type": "http.disconnect"}]
        await asked_raw(office, owner, "/files", answer, cut, **FORM, transfer_encoding="chunked")
    assert told[0]["status"] == 499


# --- the object store is away ----------------------------------------------------------------------------------


async def test_the_object_store_may_die_amid_an_upload(office, owner, object_store):
    place = f"/files/{await sent(office.admin)}"
    before = object_store.names

    async def content():
        yield form(("file", "a.zip", b""), end=b"")[:-2] + b"PK\x03\x04"
        for number in range(12):
            if number == 8:
                object_store.kill()
            yield bytes(MIB)
        yield b"\r\n--b--\r\n"

    try:
        async with office.nothing_stored():
            answer = await post(owner, content())
            read = await office.admin.get(f"{place}/content")
            small = await send(owner)
    finally:
        object_store.start()
    for refused in (answer, read, small):
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable"), refused.text
        assert int(refused.headers["retry-after"]) > 0
    assert {name for name in object_store.names if ".rclone_temp" not in name} == before
    assert (await office.admin.get(place)).status_code == 200
    assert (await office.admin.get(f"{place}/content")).content == PDF
    await sent(owner)


# --- a repeat, a rehearsal -------------------------------------------------------------------------------------


async def test_a_repeat_is_answered_and_stores_nothing(office, owner, object_store):
    key = {"idempotency-key": str(uuid4())}
    first = await send(owner, headers=key)
    async with nothing_left(office, object_store):
        again = await send(owner, headers=key)
        other = await send(owner, PDF + b"x", headers=key)
        renamed = await send(owner, name="b.pdf", headers=key)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    for refused in (other, renamed):
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")


async def test_the_same_upload_many_times_at_once_is_one_file(owner, object_store):
    key = {"idempotency-key": str(uuid4())}
    before = object_store.names
    answers = await asyncio.gather(*(send(owner, headers=key) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(object_store.names - before) == 1


async def test_a_rehearsal_stores_nothing(office, owner, object_store):
    async with nothing_left(office, object_store):
        answer = await send(owner, params={"dry_run": "true"})
        refused = await send(owner, name="a.png", params={"dry_run": "true"})
    assert answer.json()["events"][0]["topic"] == "file.uploaded.v1"
    assert refused.status_code == 415


async def test_a_wrong_key_is_told_before_the_body_is_read(owner):
    answer = await post(owner, b"", {**FORM, "idempotency-key": "with space"})
    assert answer.json()["code"] == "idempotency_key_malformed"


# --- who may look ----------------------------------------------------------------------------------------------


async def test_a_stranger_cannot_look_at_a_file(office):
    owner, other = await office.user(), await office.user()
    viewer = await office.user("file:view")
    place = f"/files/{await sent(owner.client)}"
    for path in (place, f"{place}/content"):
        assert (await owner.client.get(path)).status_code == 200
        assert (await viewer.client.get(path)).status_code == 200
        assert (await office.admin.get(path)).status_code == 200
        assert (await other.client.get(path)).status_code == 404
        assert (await office.stranger.get(path)).status_code == 401


@pytest.mark.parametrize("purpose", ["avatar", "notice"])
async def test_everybody_may_look_at_faces_and_notices(office, purpose):
    place = f"/files/{await sent(office.admin, PNG, 'me.png', 'image/png', purpose=purpose)}"
    assert (await (await office.user()).client.get(f"{place}/content")).content == PNG


@pytest.mark.parametrize("ref", ["x", str(UUID(int=1))])
async def test_what_is_not_there_is_not_found(office, ref):
    for path in (f"/files/{ref}", f"/files/{ref}/content"):
        assert (await office.admin.get(path)).status_code == 404


async def test_who_sees_what_binds_a_file_sees_the_file(office):
    owner, other, stranger = [Caller(actor=Actor(kind="user", id=new_id())) for _ in range(3)]
    file_id, binder = new_id(), new_id()
    office.owner.execute("insert into claims values ('file.binding', %s, %s)", (str(file_id), binder))

    async def views(caller, bound_to):
        return caller is other and bound_to == binder

    sight = FileSight(office.system.claims, {"bound": views}, clock)
    file = FileOf(file_id, owner.actor.id)
    assert [await sight.sees(each, file) for each in (owner, other, stranger)] == [True, True, False]
    assert not await sight.sees(other, FileOf(new_id(), owner.actor.id))


@dataclass
class FileOf:
    id: UUID
    owner_id: UUID
    state: str = "stored"
    purpose: str = "attachment"


# --- bound by others -------------------------------------------------------------------------------------------


async def test_a_binder_relies_on_files_that_are_whole_free_and_the_owners(office):
    files, owner, other = office.system.files, await office.user(), await office.user()
    one, two = [UUID(await sent(owner.client)) for _ in range(2)]
    foreign, face = (
        UUID(await sent(other.client)),
        await sent(owner.client, PNG, "a.png", "image/png", purpose="avatar"),
    )
    relies = await files.binding((one, two), owner.id)
    assert [claim[1] for claim in relies.require] == [f"{each}:{owner.id}:attachment" for each in (one, two)]
    for wrong in (foreign, new_id(), UUID(face)):
        with pytest.raises(FileNotYours) as refused:
            await files.binding((one, wrong), owner.id)
        assert [error.pointer for error in refused.value.errors] == ["/attachments/1"]
    await files.avatar(UUID(face), owner.id)
    office.owner.execute("insert into claims values ('file.binding', %s, %s)", (str(two), binder := new_id()))
    with pytest.raises(FileAlreadyBound) as refused:
        await files.binding((one, two), owner.id)
    assert refused.value.errors[0].pointer == "/attachments/1"
    await files.binding((two,), owner.id, binder=binder)


# --- past us, into the object store ----------------------------------------------------------------------------


async def announced(client, data=PDF, **changed):
    said = {
        "name": "a.pdf",
        "purpose": "document",
        "size": len(data),
        "content_type": "application/pdf",
        **changed,
    }
    return await client.post("/files/uploads", json=said)


async def put(url, data):
    async with httpx.AsyncClient() as outside:
        assert (await outside.put(url, content=data)).status_code == 200


async def test_content_may_be_sent_past_us(owner, object_store):
    begun = await announced(owner)
    assert begun.status_code == 201
    receipt, place = begun.json(), f"/files/{begun.json()['id']}"
    assert datetime.fromisoformat(receipt["expires"]) > datetime.now(UTC) + timedelta(minutes=14)
    assert (await owner.get(place)).json()["state"] == "pending"
    assert (await owner.get(f"{place}/content")).json()["code"] == "file.not_ready"
    assert (await owner.post(f"{place}/complete")).json()["code"] == "file.not_sent"
    await put(receipt["url"], PDF)
    rehearsed = await owner.post(f"{place}/complete?dry_run=true")
    assert rehearsed.json()["events"][0]["data"]["sha256"] == hashlib.sha256(PDF).hexdigest()
    done = await owner.post(f"{place}/complete")
    assert (done.status_code, done.json()["state"], done.json()["version"]) == (200, "stored", 2)
    again = await owner.post(f"{place}/complete")
    assert (again.status_code, again.json()) == (200, done.json())
    assert receipt["id"] not in object_store.names
    await put(receipt["url"], PNG)  # the address still works, but leads nowhere any more
    assert (await owner.get(f"{place}/content")).content == PDF
    assert (await owner.get(place)).json().items() >= {
        "state": "stored",
        "size": len(PDF),
        "name": "a.pdf",
    }.items()


async def test_a_repeated_announcement_has_the_same_address(owner):
    key = {"idempotency-key": str(uuid4())}
    said = {"name": "a.pdf", "size": 9}
    first, again = [(await owner.post("/files/uploads", json=said, headers=key)) for _ in range(2)]
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"size": 101 * MIB}, 413, "file.too_large"),
        ({"name": "a.exe"}, 415, "file.type_refused"),
        ({"name": "a.png"}, 415, "file.type_disagrees"),
        ({"name": "a.png", "content_type": "image/png"}, 415, "file.type_refused"),
        ({"size": 0}, 400, "body.invalid"),
        ({"purpose": "fun"}, 400, "body.invalid"),
    ],
)
async def test_what_could_not_be_kept_is_not_announced(owner, changed, status, code):
    answer = await announced(owner, **changed)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("sent_past", "status", "code"),
    [(PDF + b"x", 422, "file.size_disagrees"), (PNG[: len(PDF)].ljust(len(PDF)), 415, "file.type_disagrees")],
)
async def test_what_was_sent_past_us_is_looked_at(office, owner, object_store, sent_past, status, code):
    before = object_store.names
    begun = (await announced(owner)).json()
    await put(begun["url"], sent_past)
    async with office.nothing_stored():
        answer = await owner.post(f"/files/{begun['id']}/complete")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert object_store.names - before == {begun["id"]}


async def test_nobody_else_completes_an_upload(office, owner):
    begun = (await announced(owner)).json()
    other = (await office.user()).client
    assert (await other.post(f"/files/{begun['id']}/complete")).status_code == 404
    assert (await other.get(f"/files/{begun['id']}")).status_code == 404


async def test_an_upload_is_completed_once_by_many(owner, object_store):
    before = object_store.names
    begun = (await announced(owner)).json()
    await put(begun["url"], PDF)
    answers = await asyncio.gather(*(owner.post(f"/files/{begun['id']}/complete") for _ in range(6)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert (await owner.get(f"/files/{begun['id']}/content")).content == PDF
    assert len(object_store.names - before) == 1


@pytest.mark.parametrize(
    ("data", "state"), [(PDF, 200), (b"%PDF" + bytes(99), 200), (b"text " * 300_000 + b"\0", 404)]
)
async def test_a_large_upload_is_read_through_later(office, owner, object_store, monkeypatch, data, state):
    monkeypatch.setattr(file_content, "READ_AT_ONCE", 10)
    before = object_store.names
    name, kind = ("a.pdf", "application/pdf") if state == 200 else ("a.txt", "text/plain")
    begun = (await announced(owner, data, name=name, content_type=kind, purpose="attachment")).json()
    place = f"/files/{begun['id']}"
    await put(begun["url"], data)
    done = await owner.post(f"{place}/complete")
    assert (done.status_code, done.json()["state"], done.json()["sha256"]) == (200, "checking", None)
    assert (await owner.get(f"{place}/content")).json()["code"] == "file.not_ready"
    with pytest.raises(FileNotYours):
        await office.system.files.binding((UUID(begun["id"]),), UUID((await owner.get("/me")).json()["id"]))
    for _ in range(2):
        await office.system.file_upkeep.recheck(UUID(begun["id"]))
    assert (await owner.get(place)).status_code == state
    if state == 200:
        assert (await owner.get(place)).json()["sha256"] == hashlib.sha256(data).hexdigest()
        assert (await owner.get(f"{place}/content")).content == data
    else:
        assert object_store.names == before


# --- cleaned up ------------------------------------------------------------------------------------------------


async def test_what_nothing_binds_is_removed_after_a_day(office, object_store):
    upkeep, owner = office.system.file_upkeep, await office.user()
    loose, bound = UUID(await sent(owner.client)), UUID(await sent(owner.client))
    pending = UUID((await announced(owner.client)).json()["id"])
    office.owner.execute("insert into claims values ('file.binding', %s, %s)", (str(bound), new_id()))
    tomorrow = datetime.now(UTC) + timedelta(hours=24, minutes=1)
    assert not {loose, bound, pending} & set(await upkeep.orphans(datetime.now(UTC) + timedelta(hours=23)))
    assert {loose, bound, pending} & set(await upkeep.orphans(tomorrow)) == {loose, pending}
    for _ in range(2):
        await upkeep.remove(loose)
        await upkeep.remove(pending)
    with pytest.raises(FileAlreadyBound):
        await upkeep.remove(bound)
    assert [(await owner.client.get(f"/files/{each}")).status_code for each in (loose, pending, bound)] == [
        404,
        404,
        200,
    ]
    assert str(loose) not in object_store.names
    assert not {loose, pending} & set(await upkeep.orphans(tomorrow))
    with pytest.raises(FileNotYours):
        await office.system.files.binding((loose,), owner.id)


async def test_objects_of_no_file_are_swept_up(office, object_store):
    kept, stray, tomorrow = (
        await sent(office.admin),
        new_id(),
        datetime.now(UTC) + timedelta(hours=24, minutes=1),
    )

    async def content():
        yield b"stray"

    await office.system.objects.store(stray, content())
    assert await office.system.file_upkeep.sweep(datetime.now(UTC)) == 0
    assert await office.system.file_upkeep.sweep(tomorrow) >= 1
    assert str(stray) not in object_store.names
    assert kept in object_store.names
    assert await office.system.file_upkeep.sweep(tomorrow) == 0
