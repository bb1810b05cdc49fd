"""Dashboards over HTTP: each count is what its filter finds in its list, for whoever asks."""

from datetime import date, timedelta

import pytest

from projections.dashboards import DASHBOARDS, TILES
from tests.arranging import arranged, assign, of_support
from tests.money import code, drafted, euros, pay, signed

pytestmark = pytest.mark.anyio

LATE = str(date(2026, 1, 31))
SOON = str(date.today() + timedelta(days=400))  # noqa: DTZ011 - far from any midnight


@pytest.fixture(scope="module")
async def places(office):
    """Two organisations, one of them Anna's, with contracts in every state."""
    anna = await of_support(office)
    for right in ("contract:view", "letter:view", "occasion:view"):
        office.grant(anna.id, right, scope=("own", "*"))
    hers = await office.organisation(full_name="Hers", account_manager_id=str(anna.id))
    other = await office.organisation(full_name="Other")
    for organisation in (hers, other):
        await drafted(office, organisation=organisation)
        await drafted(office, organisation=organisation, due_on=LATE)
        await signed(office, organisation=organisation, due_on=LATE)
        festive = await signed(office, organisation=organisation, due_on=SOON)
        await arranged(office, festive)
        held = await arranged(office, festive)
        assert (await assign(office.admin, held, anna.id)).status_code == 200
        gone = await arranged(office, festive)
        assert (await office.admin.post(f"{gone}/withdraw")).status_code == 200
        paid = await signed(office, organisation=organisation, due_on=LATE)
        await pay(office.admin, paid, euros("1000.00"))
        canceled = await signed(office, organisation=organisation)
        await office.admin.post(
            f"{canceled}/cancel", json={"reason": "no"}, headers={"Idempotency-Key": canceled}
        )
    archived = await drafted(office, organisation=other)
    assert (await office.admin.post(f"{archived}/archive")).status_code == 200
    for subject, more in (("Answer us until then", {"due_on": LATE}), ("Whenever it suits you", {})):
        body = {"organisation_ids": [other.rpartition("/")[2]], "subject": subject, **more}
        answer = await office.admin.post("/letters/outgoing", json=body)
        assert answer.status_code == 201, answer.text
    return other, anna


async def shown(client, name):
    answer = await client.get(f"/dashboards/{name}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["name"] == name
    return {each["name"]: each for each in answer.json()["data"]}


@pytest.fixture(scope="module")
async def callers(office, places):
    """Who sees everything, one organisation's, what is his own, and nothing."""
    other, anna = places
    one = ("organisation", other.rpartition("/")[2])
    views = ("contract:view", "letter:view", "occasion:view")
    everything, within = await office.user(*views), await office.user(*views, scope=one)
    return {
        "admin": office.admin,
        "everywhere": everything.client,
        "one organisation": within.client,
        "own": anna.client,
        "nothing": (await office.user()).client,
    }


async def test_a_count_is_what_its_filter_finds_in_its_list_for_everybody(office, callers, monkeypatch):
    await shown(office.admin, "mine")
    monkeypatch.setattr(office.transport, "follows", False)  # nothing more happens
    boards = ("contracts", "occasions", "letters", "mine")
    assert {each for board in boards for each in DASHBOARDS[board]} == set(TILES)
    for who, client in callers.items():
        for name in boards:
            for each in (await shown(client, name)).values():
                path = each["list"].removeprefix("/api/v1")
                wanted = {"filter": each["filter"], "include_total": "true", "page_size": 1}
                found = (await client.get(path, params=wanted)).json()
                assert found["total"] == each["count"], (who, name, each)


@pytest.mark.parametrize(
    ("who", "counts"),
    [
        (
            "admin",
            {
                "unsigned": 4,
                "owed": 4,
                "overdue": 2,
                "without_occasion": 4,
                "without_support": 2,
                "letters_unnumbered": 2,
                "letters_overdue": 1,
            },
        ),
        (
            "everywhere",
            {"unsigned": 4, "owed": 4, "my_contracts": 0, "my_occasions": 0, "without_support": 2},
        ),
        (
            "one organisation",
            {"unsigned": 2, "owed": 2, "overdue": 1, "without_occasion": 2, "without_support": 1},
        ),
        ("own", {"unsigned": 2, "owed": 2, "overdue": 1, "my_contracts": 6, "my_unsigned": 2, "my_owed": 2}),
        ("own", {"my_without_occasion": 2, "my_occasions": 2, "without_support": 0}),
        (
            "nothing",
            {"unsigned": 0, "owed": 0, "my_contracts": 0, "my_occasions": 0, "letters_unnumbered": 0},
        ),
    ],
)
async def test_everybody_counts_what_is_his_to_view(callers, who, counts):
    for name, count in counts.items():
        assert (await shown(callers[who], name))[name]["count"] == count, name


async def test_a_dashboard_is_a_few_counts_and_a_count_a_dashboard_by_itself(office, places):
    board = await shown(office.admin, "contracts")
    assert {"unsigned", "owed", "overdue", "my_contracts"} <= set(board)
    assert (board["owed"]["list"], board["owed"]["filter"]) == (
        "/api/v1/contracts",
        "status=signed AND remaining>0",
    )
    assert set(await shown(office.admin, "owed")) == {"owed"}
    assert {each for tiles in DASHBOARDS.values() for each in tiles} == set(TILES)


async def test_a_count_follows_what_happens(office, places):
    before = (await shown(office.admin, "unsigned"))["unsigned"]["count"]
    contract = await drafted(office)
    written = await office.admin.post(
        f"{contract}/cancel", json={"reason": "no"}, headers={"Idempotency-Key": "x"}
    )
    fresh = {"X-Min-Position": written.headers["x-event-position"]}
    answer = await office.admin.get("/dashboards/unsigned", headers=fresh)
    assert answer.json()["data"][0]["count"] == before
    assert int(answer.headers["x-projection-position"]) >= int(fresh["X-Min-Position"])


async def test_who_has_not_signed_in_has_none_and_there_is_none_of_another_name(office):
    assert (await office.stranger.get("/dashboards/contracts")).status_code == 401
    for name in ("nothing", "Contracts", "contracts;"):
        assert code(await office.admin.get(f"/dashboards/{name}")) == (404, "not_found")
    assert (await office.admin.get("/dashboards/contracts?page_size=1")).status_code == 400
    beyond = {"X-Min-Position": "999999999"}
    assert (await office.admin.get("/dashboards/contracts", headers=beyond)).status_code == 400
