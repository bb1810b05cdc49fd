"""What is refused is kept: who, from where, what was missing; never what was typed, and never so much that it hurts."""

import asyncio
from collections import Counter

import pytest

from tests.serving import keep_refusals
from tests.waiting import until

pytestmark = pytest.mark.anyio
WRONG = {"login": "nobody@example.org", "password": "my secret, by mistake"}


@pytest.fixture(scope="module", autouse=True)
async def keeping(office):
    keep_refusals(office.system)


async def kept(office, after: int) -> list[dict]:
    found = (
        await office.admin.get("/audit/entries", params={"filter": f"position>{after}", "page_size": 100})
    ).json()["data"]
    return [entry for entry in reversed(found) if entry["topic"].startswith("refusal.")]


async def noted(office, after: int, count: int = 1) -> list[dict]:
    async def enough() -> bool:
        return len(await kept(office, after)) >= count

    await until(enough)
    return await kept(office, after)


async def quiet(office) -> int:
    """The head, once a new second has begun with nothing counted yet."""
    now = asyncio.get_running_loop().time
    began = office.system.refusals._clock().timestamp() // 1
    await until(lambda: office.system.refusals._clock().timestamp() // 1 > began and now())
    return await office.head()


async def test_a_failed_sign_in_is_kept_without_what_was_typed(office):
    before = await quiet(office)
    answer = await office.stranger.post("/auth/login", json=WRONG, headers={"X-Request-Id": "guess-1"})
    assert answer.status_code == 401
    (entry,) = await noted(office, before)
    assert entry["topic"] == "refusal.noted.v1"
    assert (entry["actor"]["kind"], entry["request_id"]) == ("anonymous", "guess-1")
    assert entry["address"]
    assert entry["agent"].startswith("python-httpx")
    data = entry["data"]
    assert (data["code"], data["method"], data["route"]) == (
        "auth.invalid_credentials",
        "POST",
        "/api/v1/auth/login",
    )
    assert data["login"]
    assert "user_id" not in data
    stored = office.owner.execute(
        "select convert_from(state, 'utf8') || convert_from(metadata, 'utf8') from stored_events"
        " where notification_id = %s",
        (entry["position"],),
    ).fetchone()[0]
    for typed in ("nobody", "secret", entry["address"], "httpx"):
        assert typed not in stored


async def test_whose_login_it_was_is_told_where_there_is_such_an_account(office):
    ada, before = await office.user(), await quiet(office)
    wrong = {"login": ada.email, "password": "wrong horse, wrong battery"}
    assert (await office.stranger.post("/auth/login", json=wrong)).status_code == 401
    (entry,) = await noted(office, before)
    assert (entry["data"]["user_id"], entry["actor"]["kind"]) == (str(ada.id), "anonymous")


async def test_a_failed_step_up_is_of_the_person_who_is_signed_in(office):
    ada, before = await office.user(), await quiet(office)
    assert (await ada.client.post("/auth/step-up", json={"password": "wrong horse"})).status_code == 401
    (entry,) = await noted(office, before)
    assert entry["actor"] == {"kind": "user", "id": str(ada.id)}
    assert entry["data"]["route"] == "/api/v1/auth/step-up"
    assert entry["data"]["session_id"]


async def test_a_refusal_of_permission_says_what_was_missing(office):
    ada, before = await office.user(), await quiet(office)
    assert (await ada.client.get("/audit/entries")).status_code == 403
    (entry,) = await noted(office, before)
    assert (entry["actor"]["id"], entry["data"]["required"]) == (str(ada.id), "audit:view")
    assert (entry["data"]["code"], entry["data"]["route"]) == ("forbidden", "/api/v1/audit/entries")
    found = await office.admin.get(
        "/audit/entries", params={"filter": f"actor={ada.id} AND topic=refusal.noted.v1"}
    )
    assert [each["position"] for each in found.json()["data"]] == [entry["position"]]


async def test_a_wrong_key_names_the_client_and_nobody_acts(office):
    made = (await office.admin.post("/api-clients", json={"name": "A reader"})).json()
    before = await quiet(office)
    key = made["api_key"][:-1] + ("0" if made["api_key"][-1] != "0" else "1")
    headers = {"X-Client-Key": made["client_key"], "X-API-Key": key}
    assert (await office.stranger.get("/organisations", headers=headers)).status_code == 401
    right = {"X-Client-Key": made["client_key"], "X-API-Key": made["api_key"]}
    assert (await office.stranger.get("/me/permissions/snapshot", headers=right)).status_code == 200
    assert (
        await office.stranger.get("/organisations", headers=right | {"X-API-Key": "x"})
    ).status_code == 401
    entries = await noted(office, before, 2)
    assert {entry["data"]["code"] for entry in entries} == {"invalid_api_key"}
    assert {entry["actor"]["kind"] for entry in entries} == {"anonymous"}


async def test_routine_is_not_kept(office):
    ada, before = await office.user(), await quiet(office)
    assert (await office.stranger.get("/me")).status_code == 401
    assert (await ada.client.get("/organisations/no-such-thing")).status_code == 404
    assert (await office.stranger.post("/auth/refresh", json={"refresh_token": "x"})).status_code == 401
    assert (
        await ada.client.get("/audit/entries")
    ).status_code == 403  # the only one to be kept, and the last
    assert [entry["data"]["code"] for entry in await noted(office, before)] == ["forbidden"]


async def test_a_flood_is_counted_and_no_answer_waits_for_it(office, monkeypatch):
    ada, before = await office.user(), await quiet(office)
    one_second = office.system.refusals._clock()
    monkeypatch.setattr(office.system.refusals, "_clock", lambda: one_second)  # however slow the machine is
    for _ in range(6):
        answers = await asyncio.gather(*(ada.client.get("/audit/entries") for _ in range(20)))
        assert {answer.status_code for answer in answers} == {403}

    async def all_told() -> bool:
        entries = await kept(office, before)
        told = Counter(entry["topic"] for entry in entries)
        more = sum(sum(e["data"]["counts"].values()) for e in entries if e["topic"] == "refusal.counted.v1")
        return (told["refusal.noted.v1"], more) == (10, 110)

    await until(all_told)
    entries = await kept(office, before)
    counted = [e for e in entries if e["topic"] == "refusal.counted.v1"]
    assert counted
    assert {e["actor"]["kind"] for e in counted} == {"system"}
    assert set(counted[0]["data"]["counts"]) == {"forbidden"}


async def test_the_log_may_be_away_meanwhile(office, monkeypatch):
    ada, before = await office.user(), await quiet(office)
    refusals, away = office.system.refusals, asyncio.Event()
    append, tried = refusals._journal._execute, asyncio.Event()

    async def execute(*told, **more):
        tried.set()
        if not away.is_set():
            raise OSError("the log is away")
        return await append(*told, **more)

    monkeypatch.setattr("application.refusal.AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(refusals._journal, "_execute", execute)
    assert (await ada.client.get("/audit/entries")).status_code == 403
    await tried.wait()
    assert await kept(office, before) == []
    away.set()
    (entry,) = await noted(office, before)
    assert entry["actor"]["id"] == str(ada.id)
