"""An import over HTTP, whatever its kind: who may, what a form says, one at a time, canceled, never twice."""

import asyncio
from datetime import timedelta

import pytest

from infrastructure.bootstrap import clock
from tests import office as offices
from tests import servers
from tests.importing import apply, codes, dbf, previewed, sent, shown, worked
from workers import imports

pytestmark = pytest.mark.anyio
UNKNOWN = "01981c5e-7a3b-7c11-9d55-2f6b8a4e1c07"


@pytest.fixture(scope="module")
async def office(cluster, nats_server, object_store):
    with servers.database(cluster) as addresses:
        async with offices.opened(
            addresses, nats_server.url, **object_store.settings, import_limit=1_000_000
        ) as opened:
            yield opened


@pytest.fixture
async def waiting(office):
    """A preview that nobody has applied yet."""
    seen = await previewed(office, dbf(codes(3)))
    yield seen
    await office.admin.post(f"/imports/{seen['id']}/cancel")


async def end(office, answer) -> None:
    await office.admin.post(f"/imports/{answer.json()['id']}/cancel")


async def test_a_file_is_taken_in_and_its_place_is_told(office, object_store):
    answer = await sent(office.admin, dbf(codes(1)), name="../../etc/PIndx01.dbf")
    body = answer.json()
    assert answer.headers["location"] == f"/api/v1/imports/{body['id']}"
    assert answer.headers["etag"] == '"v1"'
    seen = await shown(office, body["id"])
    assert (seen["state"], seen["name"], seen["size"]) == ("reading", "PIndx01.dbf", len(dbf(codes(1))))
    assert seen["progress"] == {"processed": 0, "total": None}
    assert body["id"] in object_store.names
    await end(office, answer)
    await imports.clear(office.system, (await office.system.log.read(body["position"] - 1, 1))[0].stream_id)
    assert body["id"] not in object_store.names


async def test_a_file_that_is_needed_is_not_swept_up(office, object_store):
    answer = await sent(office.admin, dbf(codes(1)))
    await office.system.file_upkeep.sweep(clock() + timedelta(days=2))
    assert answer.json()["id"] in object_store.names
    await end(office, answer)
    await office.system.file_upkeep.sweep(clock() + timedelta(days=2))
    assert answer.json()["id"] not in object_store.names


async def test_two_of_a_kind_are_not_read_at_once(office, object_store):
    first = await sent(office.admin, dbf(codes(1)))
    before = object_store.names
    async with office.nothing_stored():
        second = await sent(office.admin, dbf(codes(2)), expect=409)
    assert second.json()["code"] == "import.running"
    assert object_store.names == before
    await end(office, await sent(office.admin, b"full_name,siren\n", kind="organisations"))
    await end(office, first)


async def test_of_two_sent_at_once_one_is_taken(office):
    answers = await asyncio.gather(
        *(
            office.admin.post(
                "/imports", data={"kind": "egrul", "mode": "fill"}, files={"file": ("a", b"<a/>")}
            )
            for _ in range(2)
        )
    )
    assert sorted(each.status_code for each in answers) == [202, 409]
    await end(office, next(each for each in answers if each.status_code == 202))


async def test_two_of_a_kind_are_not_applied_at_once(office, waiting):
    other = await previewed(office, dbf(codes(5)))
    await apply(office, waiting["id"])
    async with office.nothing_stored():
        refused = await apply(office, other["id"], expect=409)
    assert refused.json()["code"] == "import.running"
    await office.admin.post(f"/imports/{waiting['id']}/cancel")
    await apply(office, other["id"])
    await office.admin.post(f"/imports/{other['id']}/cancel")


async def test_the_same_request_again_is_answered_and_leaves_one_file(office, object_store):
    key = {"Idempotency-Key": "once"}
    form = {"data": {"kind": "egrul", "mode": "fill"}, "files": {"file": ("a.xml", b"<a/>")}, "headers": key}
    first = await office.admin.post("/imports", **form)
    before = object_store.names
    again = await office.admin.post("/imports", **form)
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert object_store.names == before
    form["files"] = {"file": ("a.xml", b"<b/>")}
    other = await office.admin.post("/imports", **form)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert object_store.names == before
    await end(office, first)


async def test_a_rehearsal_stores_nothing(office, object_store):
    before = object_store.names
    async with office.nothing_stored():
        answer = await office.admin.post(
            "/imports",
            params={"dry_run": "true"},
            data={"kind": "egrul", "mode": "fill"},
            files={"file": ("a.xml", b"<a/>")},
        )
    assert [each["topic"] for each in answer.json()["events"]] == ["import.started.v1"]
    assert object_store.names == before


@pytest.mark.parametrize(
    ("parts", "pointer", "code"),
    [
        ({"mode": "fill"}, "/kind", "missing"),
        ({"kind": "egrul"}, "/mode", "missing"),
        ({"kind": "sheet", "mode": "fill"}, "/kind", "not_one_of"),
        ({"kind": "egrul", "mode": "replace"}, "/mode", "not_one_of"),
        ({"kind": "egrul", "mode": "fill", "encoding": "ebcdic"}, "/encoding", "not_one_of"),
        ({"kind": "egrul", "mode": "fill", "kinds": "x"}, "/kinds", "unknown_field"),
        ({"kind": "egrul", "mode": "fill", "mapping": "x" * 20_000}, "/mapping", "too_long"),
    ],
)
async def test_a_form_that_says_something_else_is_refused(office, object_store, parts, pointer, code):
    before = object_store.names
    async with office.nothing_stored():
        answer = await office.admin.post("/imports", data=parts, files={"file": ("a.xml", b"<a/>")})
    assert answer.status_code == 400
    assert [(each["pointer"], each["code"]) for each in answer.json()["errors"]] == [(pointer, code)]
    assert object_store.names == before


async def test_a_form_without_a_file_and_a_body_that_is_no_form_are_refused(office):
    parts = {"kind": (None, "egrul"), "mode": (None, "fill")}
    answer = await office.admin.post("/imports", files=parts)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/file")
    answer = await office.admin.post("/imports", json={"kind": "egrul"})
    assert (answer.status_code, answer.json()["code"]) == (415, "media_type.unsupported")


async def test_a_file_that_is_too_large_is_refused_and_not_kept(office, object_store):
    before = object_store.names
    async with office.nothing_stored():
        refused = await sent(office.admin, bytes(1_000_001), expect=413)
    assert refused.json()["code"] == "file.too_large"
    assert object_store.names == before


async def test_who_may_not_import_may_not_know_either(office, waiting):
    clerk = (await office.user("organisation:view")).client
    path = f"/imports/{waiting['id']}"
    async with office.nothing_stored():
        for asked in (clerk.get(path), clerk.get(f"{path}/failed-rows"), clerk.post(f"{path}/cancel")):
            answer = await asked
            assert answer.status_code == 404, answer.text
        answer = await sent(clerk, dbf(codes(1)), expect=403)
        assert answer.json()["required"] == "import:run"
        assert (await clerk.get("/imports")).status_code == 403
        assert (await office.stranger.get(path)).status_code == 401
        assert (await sent(office.stranger, b"x", expect=401)).json()["code"] == "missing_bearer_token"


async def test_what_is_unknown_is_not_found(office):
    for path in ("", "/failed-rows"):
        assert (await office.admin.get(f"/imports/{UNKNOWN}{path}")).status_code == 404
    answer = await office.admin.post(f"/imports/{UNKNOWN}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (404, "import.unknown")
    await apply(office, UNKNOWN, expect=404)


async def test_applying_needs_a_key_and_a_preview(office):
    answer = await sent(office.admin, dbf(codes(1)))
    path = f"/imports/{answer.json()['id']}/apply"
    async with office.nothing_stored():
        missing = await office.admin.post(path)
        assert (missing.status_code, missing.json()["code"]) == (400, "idempotency_key_missing")
        early = await office.admin.post(path, headers={"Idempotency-Key": "a"})
        assert (early.status_code, early.json()["code"]) == (409, "import.not_previewed")
    await end(office, answer)
    async with office.nothing_stored():
        late = await office.admin.post(path, headers={"Idempotency-Key": "a"})
        assert (late.status_code, late.json()["code"]) == (409, "import.canceled")


async def test_the_version_that_was_previewed_is_the_one_that_is_applied(office, waiting):
    refused = await office.admin.post(
        f"/imports/{waiting['id']}/apply", headers={"Idempotency-Key": "a", "If-Match": '"v1"'}
    )
    assert (refused.status_code, refused.json()["current"]) == (412, 2)


async def test_the_same_apply_again_gets_the_same_answer(office, waiting):
    first = await apply(office, waiting["id"], key="same")
    async with office.nothing_stored():
        again = await apply(office, waiting["id"], key="same")
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"


async def test_what_is_canceled_while_it_is_read_stops(office):
    answer = await sent(office.admin, dbf(codes(1)))
    await end(office, answer)
    async with office.nothing_stored():
        await worked(office, imports.read, answer.json()["id"])
        again = await office.admin.post(f"/imports/{answer.json()['id']}/cancel")
    assert (again.status_code, again.json()["version"]) == (200, 2)


async def test_what_is_canceled_while_it_is_applied_stops_after_the_batch_and_says_how_far_it_came(office):
    seen = await previewed(office, dbf(codes(1_400, 300_000)))
    await apply(office, seen["id"])
    load = office.system.bulk.postal_index.load
    loaded = []

    async def loading(command, context):
        await load(command, context)
        loaded.append(command.number)
        if len(loaded) == 2:
            assert (await office.admin.post(f"/imports/{seen['id']}/cancel")).status_code == 200

    office.system.bulk.postal_index.load = loading
    try:
        await worked(office, imports.apply, seen["id"])
    finally:
        del office.system.bulk.postal_index.load
    done = await shown(office, seen["id"])
    assert (done["state"], loaded) == ("canceled", [1, 2])
    assert done["counts"]["added"] == done["progress"]["processed"] == 1_000
    assert done["progress"]["total"] == 1_400
    addresses = await office.admin.get("/addresses", params={"index": "300999"})
    assert [each["code"] for each in addresses.json()["data"]] == ["300999"]


async def test_a_job_that_cannot_go_on_says_so_at_its_last_attempt(office, waiting, monkeypatch):
    await apply(office, waiting["id"])

    async def broken(*_):
        raise RuntimeError("the printer is on fire")

    monkeypatch.setattr(office.system.bulk.postal_index, "load", broken, raising=False)
    with pytest.raises(RuntimeError):
        await worked(office, imports.apply, waiting["id"])
    assert (await shown(office, waiting["id"]))["state"] == "applying"
    with pytest.raises(RuntimeError):
        await worked(office, imports.apply, waiting["id"], last=True)
    done = await shown(office, waiting["id"])
    assert (done["state"], done["problems"][0]["code"]) == ("failed", "import.broken")


async def test_a_file_that_is_gone_fails_it(office):
    answer = await sent(office.admin, dbf(codes(1)))
    import_id = answer.json()["id"]
    stored = (await office.system.log.read(answer.json()["position"] - 1, 1))[0]
    await office.system.objects.remove(stored.stream_id)
    await worked(office, imports.read, import_id)
    done = await shown(office, import_id)
    assert (done["state"], done["problems"][0]["code"]) == ("failed", "file.missing")


async def test_imports_are_listed_newest_first(office, waiting):
    answer = await office.admin.get("/imports", params={"filter": "state=previewed AND kind=postal-index"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"][0]["id"] == waiting["id"]


async def test_a_preview_that_nobody_applies_is_canceled_after_a_week_and_forgotten_after_a_month(office):
    seen = await previewed(office, dbf(codes(2)))
    office.owner.execute("update import_progress set updated_at = updated_at - interval '8 days'")
    await imports.expire(office.system)
    assert (await shown(office, seen["id"]))["state"] == "canceled"
    office.owner.execute("update import_progress set updated_at = updated_at - interval '30 days'")
    await imports.expire(office.system)
    old = await shown(office, seen["id"])
    assert (old["state"], old["sample"], old["counts"]["added"]) == ("canceled", [], 2)
    assert (await office.admin.get(f"/imports/{seen['id']}/failed-rows")).status_code == 404
