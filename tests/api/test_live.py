"""Listening: what somebody hears, when, and when no more. The stream itself is met in tests/system/test_live.py."""

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from uuid import UUID

import pytest

from api import listener as listener_module
from api import live as live_module
from api.app import live_of
from api.queries.live import told
from domain.shared import Actor
from infrastructure.imports.progress import Progress
from tests import importing, servers
from tests import office as offices
from tests.waiting import until

pytestmark = pytest.mark.anyio
TODAY = datetime.now(UTC).date().isoformat()


@pytest.fixture(scope="module")
async def office(cluster, nats_server, object_store):
    with servers.database(cluster) as addresses:
        async with offices.opened(addresses, nats_server.url, **object_store.settings) as opened:
            await opened.transport._follow()
            yield opened


@pytest.fixture
async def live(office):
    found = live_of(office.system)
    yield found
    assert found.count == 0
    await until(lambda: not found._tasks and not found._ending)


async def caller_of(office, person):
    said = office.system.tokens.verify(person.client.headers["Authorization"].removeprefix("Bearer "))
    return await office.system.callers.of_session(said.session_id, said.user_id, fresh=True)


class Ear:
    """What somebody has heard: names, and (name, position, data) of each. `over`: nothing more comes."""

    def __init__(self, office) -> None:
        self._office = office
        self.heard: list[tuple[str, int | None, dict]] = []
        self.place = 0
        self.over = False

    async def listen(self, pieces) -> None:
        async for piece in pieces:
            lines = dict(line.split(": ", 1) for line in piece.decode().splitlines() if line)
            position = int(lines["id"]) if "id" in lines else None
            self.place = position or self.place
            if "event" in lines:
                self.heard.append((lines["event"], position, json.loads(lines["data"])))
        self.over = True

    @property
    def names(self) -> list[str]:
        return [name for name, _, _ in self.heard]

    def data(self, name: str) -> list[dict]:
        return [data for each, _, data in self.heard if each == name]

    async def until(self, condition) -> None:
        """The read models follow meanwhile."""

        async def followed() -> bool:
            if not condition(self):
                await self._office.transport._follow()
            return bool(condition(self))

        await until(followed)


@asynccontextmanager
async def hearing(office, live, *people, after=None):
    """An ear for each, which has heard how many messages wait for him."""
    async with AsyncExitStack() as stack:
        ears = []
        for person in people:
            caller, start = await caller_of(office, person), await office.head() if after is None else after
            await until(lambda start=start: office.system.positions.head >= start)
            pieces, ear = told(live, caller, start), Ear(office)
            stack.push_async_callback(pieces.aclose)
            task = asyncio.create_task(ear.listen(pieces))
            stack.push_async_callback(_ended, task)
            ears.append(ear)
        for ear in ears:
            await ear.until(lambda ear: ear.over or "unread" in ear.names)
        yield ears


async def _ended(task) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def opened(anna, bert) -> str:
    answer = await anna.client.post("/dialogs", json={"user_id": str(bert.id)})
    return f"/dialogs/{answer.json()['id']}"


async def said(person, place, text) -> tuple[str, int]:
    """The message's id and position."""
    answer = await person.client.post(f"{place}/messages", json={"text": text})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"], answer.json()["position"]


async def test_both_hear_a_message_what_is_read_and_how_many_wait(office, live):
    anna, bert = await office.user(), await office.user()
    place = await opened(anna, bert)
    dialog_id = place.rpartition("/")[2]
    async with hearing(office, live, anna, bert) as (hers, his):
        first, position = await said(anna, place, "one")
        await his.until(lambda ear: ear.names.count("unread") == 2)
        await hers.until(lambda ear: "message.new" in ear.names)
        shown = (await bert.client.get(f"/messages/{first}")).json()
        assert his.heard[1:] == [
            ("message.new", position, shown),
            ("unread", None, {"total": 1, "dialogs": {dialog_id: 1}}),
        ]
        assert hers.heard[1:] == [("message.new", position, shown)]
        await bert.client.post(f"/messages/{first}/read")
        last, _ = await said(anna, place, "two")
        await bert.client.post(f"{place}/read-up-to", json={"message_id": last})
        for ear in (hers, his):
            await ear.until(lambda ear: "dialog.read" in ear.names)
        await his.until(lambda ear: ear.data("unread")[-1]["total"] == 0)
        for ear in (hers, his):
            (one,), (all_,) = ear.data("message.read"), ear.data("dialog.read")
            assert (one["message_id"], all_["message_id"]) == (first, last)
            assert one["reader_id"] == all_["reader_id"] == str(bert.id)
    assert hers.names == ["unread", "message.new", "message.read", "message.new", "dialog.read"]


async def test_nobody_hears_what_is_between_others(office, live):
    anna, bert, carl = [await office.user() for _ in range(3)]
    theirs, his = await opened(anna, bert), await opened(anna, carl)
    async with hearing(office, live, carl) as (ear,):
        await said(anna, theirs, "between us")
        _, position = await said(anna, his, "for Carl")
        await ear.until(lambda ear: "message.new" in ear.names)
        assert [(name, at) for name, at, _ in ear.heard if name == "message.new"] == [
            ("message.new", position)
        ]


async def test_who_comes_again_hears_each_thing_that_he_missed_once_and_in_order(office, live, monkeypatch):
    monkeypatch.setattr(live_module, "PIECE", 2)
    anna, bert, carl = [await office.user() for _ in range(3)]
    place, elsewhere = await opened(anna, bert), await opened(anna, carl)
    _, start = await said(anna, place, "known")
    texts = [f"missed {number}" for number in range(5)]
    for text in texts:
        await said(anna, place, text)
        await said(anna, elsewhere, "not his")
    async with hearing(office, live, carl), hearing(office, live, bert, after=start) as (ear,):
        await said(anna, place, "new")
        await ear.until(lambda ear: [each["text"] for each in ear.data("message.new")][-1:] == ["new"])
        assert [each["text"] for each in ear.data("message.new")] == [*texts, "new"]
        assert ear.data("unread")[0]["total"] == 6
        again = ear.heard[2][1]
    async with hearing(office, live, bert, after=again) as (ear,):
        assert [each["text"] for each in ear.data("message.new")] == [*texts[3:], "new"]


async def test_after_a_long_absence_he_is_told_to_read_again(office, live, monkeypatch):
    monkeypatch.setattr(live_module, "FARTHEST", 1)
    anna, bert = await office.user(), await office.user()
    place = await opened(anna, bert)
    start = await office.head()
    for text in "ab":
        _, head = await said(anna, place, text)
    await office.transport._follow()
    async with hearing(office, live, bert, after=start) as (ear,):
        name, position, data = ear.heard[0]
        assert (name, data) == ("reset", {"position": position})
        assert position >= head
        assert ear.data("unread") == [{"total": 2, "dialogs": {place.rpartition("/")[2]: 2}}]


async def test_nothing_is_told_before_it_can_be_read(office, live):
    anna, bert = await office.user(), await office.user()
    place = await opened(anna, bert)
    async with hearing(office, live, bert) as (ear,):
        message, position = await said(anna, place, "not yet")
        await until(lambda: live._reading >= position)
        await office.transport._follow("dialog")
        await until(lambda: office.system.positions.known["dialog"] >= position)
        assert "message.new" not in ear.names
        await ear.until(lambda ear: "message.new" in ear.names)
        office.transport.follows = False
        try:
            assert (await bert.client.get(f"/messages/{message}")).status_code == 200
        finally:
            office.transport.follows = True


async def test_what_a_stopped_read_model_would_show_holds_up_nothing_else(office, live, monkeypatch):
    monkeypatch.setattr(live_module, "LOOK", 0.05)
    anna, bert = await office.user(), await office.user()
    place = await opened(anna, bert)
    async with hearing(office, live, bert) as (ear,):
        stop = "update projections set failure = 'stopped by a test' where name = 'notice' and place = 'read'"
        office.owner.execute(stop)
        body = {"kind": "article", "title": "Unreadable", "text": "Nobody can read this yet."}
        assert (await office.admin.post("/notices", json=body)).status_code == 201
        await said(anna, place, "readable")

        async def heard() -> bool:
            for model in ("message", "dialog"):
                await office.transport._follow(model)
            return "message.new" in ear.names

        await until(heard)
        assert "notice.published" not in ear.names
    await office.transport._follow()


@pytest.mark.parametrize("how", ["logout", "block", "password", "deactivate"])
async def test_the_end_of_a_session_is_the_end_of_listening(office, live, how, monkeypatch):
    monkeypatch.setattr(live_module, "AGAIN", 3_600.0)  # the log alone tells of it
    anna, bert = await office.user(), await office.user()
    async with hearing(office, live, anna, bert) as (hers, his):
        match how:
            case "logout":
                answer = await bert.client.post("/auth/logout", json={})
            case "block":
                answer = await office.admin.post(f"/users/{bert.id}/block", json={"reason": "x"})
            case "password":
                answer = await office.admin.post(f"/users/{bert.id}/password", json={})
            case _:
                answer = await bert.client.delete("/me")
        assert answer.is_success, answer.text
        await until(lambda: his.over)
        assert (his.names, hers.over) == (["unread"], False)


async def test_a_session_that_runs_out_ends_it_by_the_clock(office, live, monkeypatch):
    monkeypatch.setattr(live_module, "AGAIN", 0.05)
    anna = await office.user()
    async with hearing(office, live, anna) as (ear,):
        office.owner.execute(
            "update sessions set expires_at = clock_timestamp() where user_id = %s", (anna.id,)
        )
        await until(lambda: ear.over)


async def test_who_is_out_already_hears_nothing_at_all(office, live):
    anna = await office.user()
    caller = await caller_of(office, anna)
    await anna.client.post("/auth/logout", json={})
    ear = Ear(office)
    await ear.listen(told(live, caller, await office.head()))
    assert (ear.over, ear.names, live.count) == (True, [], 0)


async def test_a_notice_is_for_everybody_who_listens(office, live):
    anna, bert = await office.user(), await office.user()
    async with hearing(office, live, anna, bert) as ears:
        body = {"kind": "article", "title": "Open on Monday", "text": "From nine o'clock on."}
        made = (await office.admin.post("/notices", json=body)).json()
        for ear in ears:
            await ear.until(lambda ear: "notice.published" in ear.names)
            assert ear.data("notice.published") == [(await anna.client.get(f"/notices/{made['id']}")).json()]


async def test_a_letter_that_fell_due_is_told_to_who_answers_for_it_and_may_view_it(office, live):
    anna, bert = await office.user("letter:view"), await office.user("letter:view")
    place = await office.organisation(account_manager_id=str(anna.id))
    dates = {"sender_date": TODAY, "received_on": TODAY, "due_on": TODAY}
    body = {"organisation_ids": [place.rpartition("/")[2]], "subject": "On the audit", "sender_number": "1"}
    made = (await office.admin.post("/letters/incoming", json=body | dates)).json()
    async with hearing(office, live, anna, bert) as (hers, his):
        await office.system.letters_due.tell(UUID(made["id"]), Actor(kind="user", id=bert.id))
        await hers.until(lambda ear: "letter.due" in ear.names)
        (told_,) = hers.data("letter.due")
        assert told_ == {
            "id": made["id"],
            "number": made["number"],
            "subject": "On the audit",
            "due_on": TODAY,
        }
        assert his.names == ["unread"]


async def test_an_import_tells_how_far_it_is_as_long_as_he_may_run_it(office, live, monkeypatch):
    monkeypatch.setattr(live_module, "LOOK", 0.02)
    anna, bert = await office.user(), await office.user("import:run")
    right = office.grant(anna.id, "import:run")
    answer = await importing.sent(anna.client, importing.dbf(importing.codes(2)))
    import_id = answer.json()["id"]
    kept = office.system.import_progress
    async with hearing(office, live, anna, bert) as (hers, his):
        await office.transport._follow()
        await kept.keep(UUID(import_id), Progress(processed=1, total=2))
        await hers.until(lambda ear: ear.data("import.progress"))
        step = hers.data("import.progress")[-1]
        shown = (await anna.client.get(f"/imports/{import_id}")).json()
        assert step == {name: shown[name] for name in step}
        assert (step["state"], step["progress"]) == ("reading", {"processed": 1, "total": 2})
        assert (await anna.client.post(f"/imports/{import_id}/cancel", json={})).status_code == 200
        await hers.until(lambda ear: ear.data("import.progress")[-1]["state"] == "canceled")
        before = hers.names.count("import.progress")
        office.revoke(right)
        await kept.keep(UUID(import_id), Progress(processed=2, total=2))
        place = await opened(bert, anna)
        await until(lambda: _looked(live, kept, UUID(import_id)))
        await said(bert, place, "after that")
        await hers.until(lambda ear: "message.new" in ear.names)
        assert hers.names.count("import.progress") == before
        assert "import.progress" not in his.names


async def _looked(live, kept, import_id) -> bool:
    """Whether the newest progress has been looked at."""
    return live.known_imports.get(import_id) == (await kept.moved()).get(import_id)


async def test_who_does_not_take_what_waits_for_him_is_left_and_others_go_on(office, live, monkeypatch):
    monkeypatch.setattr(listener_module, "MOST_WAITING", 20_000)
    anna, bert = await office.user(), await office.user()
    place = await opened(anna, bert)
    caller = await caller_of(office, bert)
    async with hearing(office, live, anna) as (hers,), live.listening(caller, await office.head()) as slow:
        for _ in range(5):
            await said(anna, place, "x" * 4_000)
        await hers.until(lambda ear: ear.names.count("message.new") == 5)
        with pytest.raises(listener_module.Ended) as ended:
            await slow.next(0)
        assert (ended.value.why, hers.over) == ("slow", False)


async def test_what_breaks_ends_everybody_and_the_next_one_listens(office, live, monkeypatch):
    anna, bert = await office.user(), await office.user()
    place = await opened(anna, bert)

    async def broken(*_):
        raise OSError("gone")

    async with hearing(office, live, anna, bert) as ears:
        with monkeypatch.context() as patched:
            patched.setattr(live._log, "about", broken)
            await said(anna, place, "unheard")
            for ear in ears:
                await until(lambda ear=ear: ear.over)
        async with hearing(office, live, bert) as (again,):
            await said(anna, place, "heard")
            await again.until(lambda ear: "message.new" in ear.names)


async def test_hundreds_who_listen_ask_the_log_no_more_often_than_one(office, live, monkeypatch):
    people = [await office.user() for _ in range(3)]
    asked = []
    about = live._log.about

    async def counted(nouns, after, up_to, limit):
        asked.append((nouns, after))
        return await about(nouns, after, up_to, limit)

    monkeypatch.setattr(live._log, "about", counted)
    async with hearing(office, live, *(people * 20)) as ears:
        assert live.count == 60
        place = await opened(*people[:2])
        await said(people[0], place, "to two of three")
        for ear in ears[0::3] + ears[1::3]:
            await ear.until(lambda ear: "message.new" in ear.names)
        heard = [ear.names.count("message.new") for ear in ears]
        assert heard == [1, 1, 0] * 20
    assert len(asked) == len(set(asked)), "every place of the log is asked about once"


async def test_silence_is_a_ping_that_says_how_far_one_is(office, live, monkeypatch):
    monkeypatch.setattr("api.queries.live.HEARTBEAT", 0.01)
    anna, bert, carl = [await office.user() for _ in range(3)]
    async with hearing(office, live, anna) as (ear,):
        _, position = await said(bert, await opened(bert, carl), "none of her business")
        await ear.until(lambda ear: ear.place >= position)
        assert ear.names == ["unread"]


@pytest.mark.parametrize(
    ("params", "headers"),
    [
        ({"after": "-1"}, {}),
        ({"after": "x"}, {}),
        ({"since": "1"}, {}),
        ({}, {"Last-Event-ID": "yesterday"}),
        ({}, {"Last-Event-ID": "9" * 30}),
        ({}, {"Last-Event-ID": "9" * 17}),
    ],
)
async def test_a_place_that_is_none_is_400(office, params, headers):
    anna = await office.user()
    answer = await anna.client.get("/me/stream", params=params, headers=headers)
    assert answer.status_code == 400, answer.text


async def test_people_alone_listen(office):
    assert (await office.stranger.get("/me/stream")).status_code == 401
    temporary = await office.user(must_change_password=True)
    answer = await temporary.client.get("/me/stream")
    assert (answer.status_code, answer.json()["code"]) == (403, "password_change_required")
    made = (await office.admin.post("/api-clients", json={"name": "A program"})).json()
    keys = {"X-Client-Key": made["client_key"], "X-API-Key": made["api_key"]}
    answer = await office.stranger.get("/me/stream", headers=keys)
    assert (answer.status_code, answer.json()["code"]) == (403, "people_only")
