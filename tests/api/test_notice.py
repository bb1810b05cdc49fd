"""Notices over HTTP: articles and banners, published by some and read by everybody."""

from uuid import uuid4

import pytest

from tests import office as offices
from tests import servers

pytestmark = pytest.mark.anyio
ARTICLE = {"kind": "article", "title": "Open on Monday", "text": "From nine o'clock on."}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(32)


@pytest.fixture(scope="module")
async def office(cluster, nats_server, object_store):
    with servers.database(cluster) as addresses:
        async with offices.opened(addresses, nats_server.url, **object_store.settings) as opened:
            yield opened


@pytest.fixture(scope="module")
async def editor(office):
    return (await office.user("notice:publish")).client


@pytest.fixture(scope="module")
async def reader(office):
    return (await office.user()).client


async def image(client, purpose="notice"):
    answer = await client.post("/files", files={"file": ("a.png", PNG)}, data={"purpose": purpose})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def published(client, **fields):
    answer = await client.post("/notices", json=ARTICLE | fields)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"].removeprefix("/api/v1")


def code(answer):
    return answer.status_code, answer.json()["code"]


def pointers(answer):
    return [error["pointer"] for error in answer.json()["errors"]]


async def listed(client, **parameters):
    answer = await client.get("/notices", params={"page_size": 100, **parameters})
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["data"]]


def id_of(place):
    return place.rpartition("/")[2]


async def test_everybody_reads_what_is_published_and_its_image(office, editor, reader):
    file_id = await image(editor)
    place = await published(editor, kind="banner", title=None, text=None, file_id=file_id, order=2)
    shown = (await reader.get(place)).json()
    assert (shown["kind"], shown["file_id"], shown["order"], shown["state"], shown["title"]) == (
        "banner",
        file_id,
        2,
        "published",
        None,
    )
    assert (await reader.get(f"/files/{file_id}/content")).content == PNG
    assert (await office.stranger.get(place)).status_code == 401
    assert (await reader.get(f"/notices/{uuid4()}")).status_code == 404


async def test_publishing_takes_the_right_everywhere(office, editor, reader):
    place = await published(editor)
    here = await office.user("notice:publish", scope=("department", str(uuid4())))
    async with office.nothing_stored():
        for client in (reader, here.client):
            for answer in (
                await client.post("/notices", json=ARTICLE),
                await client.patch(place, json={"title": "X"}),
                await client.post(f"{place}/withdraw", json={"reason": "X"}),
            ):
                assert (answer.status_code, answer.json()["required"]) == (403, "notice:publish")


async def test_banners_stand_in_their_order_and_everything_else_newest_first(editor, reader):
    banners = [
        await published(
            editor, kind="banner", title=None, text=None, file_id=await image(editor), order=order
        )
        for order in (30, 10, 20)
    ]
    newest = await listed(reader)
    assert newest[:3] == [id_of(each) for each in reversed(banners)]
    asked = {"filter": "kind=banner AND order>=10", "order_by": "order"}
    assert await listed(reader, **asked) == [id_of(banners[at]) for at in (1, 2, 0)]
    moved = await editor.patch(banners[0], json={"order": 11})
    assert moved.status_code == 200
    assert await listed(reader, **asked) == [id_of(banners[at]) for at in (1, 0, 2)]


async def test_a_change_says_from_what_to_what_and_changes_nothing_else(office, editor, reader):
    place = await published(editor)
    tag = (await reader.get(place)).headers["etag"]
    changed = await editor.patch(place, json={"text": "From ten o'clock on."}, headers={"If-Match": tag})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"v2"')
    entry = (await reader.get(f"{place}/history")).json()["data"][-1]
    assert (entry["topic"], entry["changes"]) == (
        "notice.changed.v1",
        [{"field": "text", "from": "From nine o'clock on.", "to": "From ten o'clock on."}],
    )
    shown = (await reader.get(place)).json()
    assert (shown["title"], shown["text"]) == ("Open on Monday", "From ten o'clock on.")
    async with office.nothing_stored():
        assert code(await editor.patch(place, json={"title": "X"}, headers={"If-Match": '"v1"'}))[0] == 412
        same = await editor.patch(place, json={"title": "Open on Monday"})
        assert (same.status_code, same.headers["etag"]) == (200, '"v2"')


async def test_a_withdrawn_notice_is_listed_for_whoever_asks_and_never_changed(office, editor, reader):
    stays, goes = await published(editor), await published(editor)
    gone = await editor.post(f"{goes}/withdraw", json={"reason": "It is over."})
    assert gone.status_code == 200
    found = await listed(reader)
    assert id_of(stays) in found
    assert id_of(goes) not in found
    assert id_of(goes) in await listed(reader, show_archived=True)
    shown = (await reader.get(goes)).json()
    assert (shown["state"], shown["withdraw_reason"]) == ("withdrawn", "It is over.")
    async with office.nothing_stored():
        assert code(await editor.patch(goes, json={"title": "X"})) == (409, "notice.withdrawn")
        again = await editor.post(f"{goes}/withdraw", json={"reason": "Twice."})
        assert (again.status_code, again.json()["version"]) == (200, gone.json()["version"])
        for answer in (
            await editor.patch(f"/notices/{uuid4()}", json={"title": "X"}),
            await editor.post(f"/notices/{uuid4()}/withdraw", json={"reason": "X"}),
        ):
            assert code(answer) == (404, "notice.unknown")


async def test_a_repeat_is_answered_and_a_rehearsal_tells(office, editor):
    key = {"Idempotency-Key": uuid4().hex}
    once = await editor.post("/notices", json=ARTICLE, headers=key)
    async with office.nothing_stored():
        again = await editor.post("/notices", json=ARTICLE, headers=key)
        other = await editor.post("/notices", json=ARTICLE | {"order": 1}, headers=key)
        rehearsed = await editor.post("/notices", json=ARTICLE, params={"dry_run": True})
    assert (again.json(), again.headers["idempotent-replayed"]) == (once.json(), "true")
    assert code(other) == (422, "idempotency_key_reused")
    (event,) = rehearsed.json()["events"]
    assert (event["topic"], event["data"]["title"]) == ("notice.published.v1", "Open on Monday")


async def test_what_is_no_notice_is_refused_whole(office, editor):
    async with office.nothing_stored():
        nul = await editor.post("/notices", json=ARTICLE | {"text": "a\x00b"})
        assert nul.status_code == 400
        for body, found in (
            ({"kind": "article", "title": "Open on Monday"}, ["/text"]),
            ({"kind": "article"}, ["/title", "/text"]),
            ({"kind": "banner", "title": "Open on Monday"}, ["/file_id"]),
        ):
            answer = await editor.post("/notices", json=body)
            assert (code(answer), pointers(answer)) == ((422, "notice.invalid"), found)
        for body, found in (
            (ARTICLE | {"kind": "news"}, ["/kind"]),
            (
                ARTICLE | {"title": "a" * 256, "text": "b" * 10_001, "order": 2**40},
                ["/order", "/text", "/title"],
            ),
            (ARTICLE | {"title": "", "colour": "red"}, ["/colour", "/title"]),
            (ARTICLE | {"order": "first"}, ["/order"]),
            ({"title": "Open on Monday"}, ["/kind"]),
        ):
            answer = await editor.post("/notices", json=body)
            assert (answer.status_code, sorted(pointers(answer))) == (400, found), body


async def test_an_image_is_ones_own_for_a_notice_and_used_once(office, editor):
    banner = {"kind": "banner", "order": 1}
    used = await image(editor)
    place = await published(editor, **banner, title=None, text=None, file_id=used)
    avatar, foreign = await image(editor, "avatar"), await image(office.admin)
    async with office.nothing_stored():
        for file_id, status, said in (
            (used, 409, "file.already_bound"),
            (avatar, 400, "file.not_yours"),
            (foreign, 400, "file.not_yours"),
            (str(uuid4()), 400, "file.not_yours"),
        ):
            answer = await editor.post("/notices", json=banner | {"file_id": file_id})
            assert (code(answer), pointers(answer)) == ((status, said), ["/file_id"])
    other = await image(editor)
    for file_id in (other, used):  # back to the one before: it is its own still
        assert (await editor.patch(place, json={"file_id": file_id})).status_code == 200
    async with office.nothing_stored():
        taken = await editor.post("/notices", json=banner | {"file_id": other})
        assert code(taken) == (409, "file.already_bound")
