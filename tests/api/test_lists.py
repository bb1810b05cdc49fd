"""Lists over HTTP: parameters, pages that follow each other by their links, refusals, and who sees what."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from httpx import ASGITransport, AsyncClient
from litestar import Litestar, get
from msgspec import structs
from psycopg_pool import AsyncConnectionPool

from api.answers import Answer, Page
from api.catalogue import catalogue
from api.declared import index_parameters, refuse_unknown_query
from api.edge import Edge
from api.errors import on_error
from api.lists import LIST_PARAMETERS, Lists, Wanted
from api.queries.records import Asked, MinPosition
from application.access import Caller, Right
from domain.shared import Actor
from infrastructure.audience import visible
from projections.audience import Audience
from projections.conditions import Condition
from tests.projections.things import LISTING, Thing, make_table, put

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ME = UUID(int=7)


def some_things(count: int) -> list[Thing]:
    return [
        Thing(
            id=UUID(int=n + 1),
            created_at=NOW + timedelta(minutes=n),
            count=n,
            owner=ME if n % 2 else None,
            name="Ёж",
        )
        for n in range(count)
    ]


@asynccontextmanager
async def serving(url: str, scope: Condition | None = None):
    """A client of an application with one list."""
    waited: list[int] = []

    async def reached(_: str, position: int) -> None:
        waited.append(position)

    async with AsyncConnectionPool(
        url, min_size=1, max_size=2, kwargs={"autocommit": True}, open=False
    ) as pool:
        lists = Lists(pool, lambda _: 42, reached)

        @get("/api/v1/things", dependencies=LIST_PARAMETERS)
        async def listed(request: Asked, wanted: Wanted, at_least: MinPosition = None) -> Answer[Page[Thing]]:
            return await lists.page(request, LISTING, wanted, at_least=at_least, scope=scope)

        async def before(request: Asked) -> None:
            refuse_unknown_query(request)

        app = Litestar(
            [listed], exception_handlers={Exception: on_error}, before_request=before, logging_config=None
        )
        index_parameters(app)
        async with AsyncClient(transport=ASGITransport(Edge(app)), base_url="http://chancery") as client:
            client.waited = waited
            yield client


@pytest.fixture
def url(owner_dsn: str) -> str:
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        make_table(connection)
        put(connection, some_things(7))
    return owner_dsn


async def test_a_page_links_to_the_next_with_every_parameter_kept(url):
    async with serving(url) as client:
        asked = {
            "filter": 'count>=1 and name:"ЕЖ"',
            "order_by": "count",
            "page_size": 4,
            "fields": "count",
            "include_total": "true",
        }
        first = await client.get("/api/v1/things", params=asked)
        assert first.status_code == 200
        assert first.headers["content-type"] == "application/json"
        assert first.headers["x-projection-position"] == "42"
        body = first.json()
        assert body["data"] == [{"count": n} for n in (1, 2, 3, 4)]
        assert body["has_more"] is True
        assert body["total"] == 6
        assert list(body) == ["data", "has_more", "next_page_token", "total"]

        link = first.links["next"]["url"]
        assert link.startswith("/api/v1/things?")
        last = await client.get(link)
        assert last.json() == {
            "data": [{"count": 5}, {"count": 6}],
            "has_more": False,
            "next_page_token": None,
            "total": 6,
        }
        assert "link" not in last.headers


async def test_without_parameters_the_newest_come_first_and_nothing_is_counted(url):
    async with serving(url) as client:
        body = (await client.get("/api/v1/things")).json()
    assert [each["count"] for each in body["data"]] == [6, 5, 4, 3, 2, 1, 0]
    assert "total" not in body


@pytest.mark.parametrize(
    ("parameters", "code", "pointer"),
    [
        ({"filter": "count=1 and count=2 or count=3"}, "filter_ambiguous", "/filter"),
        ({"filter": "cuont=1"}, "filter_unknown_field", "/filter"),
        ({"filter": "count=x"}, "filter_wrong_type", "/filter"),
        ({"filter": "count="}, "filter_malformed", "/filter"),
        ({"filter": "("}, "filter_malformed", "/filter"),
        ({"filter": "(" * 1_500}, "filter_too_deep", "/filter"),
        ({"filter": "x" * 2_001}, "filter_too_large", "/filter"),
        ({"order_by": "cuont"}, "order_by_unknown_field", "/order_by"),
        ({"order_by": "count sideways"}, "order_by_malformed", "/order_by"),
        ({"page_size": "0"}, "page_size_invalid", "/page_size"),
        ({"page_size": "-1"}, "page_size_invalid", "/page_size"),
        ({"page_size": "many"}, "query.invalid", "/page_size"),
        ({"page_token": "rubbish"}, "page_token_malformed", "/page_token"),
        ({"fields": "cuont"}, "fields_unknown", "/fields"),
        ({"colour": "red"}, "query.unknown_parameter", "/colour"),
    ],
)
async def test_what_cannot_be_asked_is_a_problem_that_points_at_it(url, parameters, code, pointer):
    async with serving(url) as client:
        answer = await client.get("/api/v1/things", params=parameters)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == code
    assert problem["errors"][0]["pointer"] == pointer


async def test_an_ambiguous_filter_is_told_its_column_and_both_readings(url):
    async with serving(url) as client:
        problem = (
            await client.get("/api/v1/things", params={"filter": "count=1 et count=2 ou count=3"})
        ).json()
    assert problem["column"] == 20
    assert "(count=1 AND count=2) OR count=3" in problem["detail"]
    assert "count=1 AND (count=2 OR count=3)" in problem["detail"]


async def test_a_token_of_another_filter_is_refused(url):
    async with serving(url) as client:
        token = (await client.get("/api/v1/things", params={"page_size": 2})).json()["next_page_token"]
        answer = await client.get("/api/v1/things", params={"page_token": token, "filter": "count>0"})
    assert (answer.status_code, answer.json()["code"]) == (400, "page_token_mismatch")


async def test_a_list_waits_for_the_position_it_is_asked_for(url):
    async with serving(url) as client:
        await client.get("/api/v1/things", headers={"X-Min-Position": "17"})
        assert client.waited == [17]


def test_every_refusal_of_a_list_stands_in_the_catalogue():
    found = catalogue()
    for code in (
        "filter_ambiguous",
        "order_by_malformed",
        "page_token_mismatch",
        "page_size_invalid",
        "fields_unknown",
    ):
        assert found[code].status == 400
        assert found[code].meaning


# --- what one may see ----------------------------------------------------------------------------

BY = {"thing": "id", "own": "owner"}


def caller(*scopes: tuple[str, str], role: str = "user", **more: datetime) -> Caller:
    rights = tuple(
        Right(grant_id=UUID(int=1), scope_type=kind, scope_id=of, module="thing", action="view", **more)
        for kind, of in scopes
    )
    return Caller(actor=Actor(kind="user", id=ME), role=role, rights=rights)


@pytest.mark.parametrize(
    ("who", "seen"),
    [
        (caller(role="admin"), [6, 5, 4, 3, 2, 1, 0]),
        (caller(("global", "*")), [6, 5, 4, 3, 2, 1, 0]),
        (caller(("own", "*")), [5, 3, 1]),
        (caller(("thing", str(UUID(int=1))), ("thing", str(UUID(int=3)))), [2, 0]),
        (caller(("thing", str(UUID(int=1))), ("own", "*")), [5, 3, 1, 0]),
        (caller(("thing", "no id at all")), []),
        (caller(("department", str(UUID(int=1)))), []),
        (caller(("global", "*"), expires_at=NOW), []),
        (caller(), []),
    ],
)
async def test_a_list_shows_what_the_caller_may_view(url, who, seen):
    listing = structs.replace(LISTING, audience=Audience(path="things", right="thing:view", by=BY))
    async with serving(url, visible(who, listing, NOW)) as client:
        body = (await client.get("/api/v1/things", params={"include_total": "true"})).json()
    assert [each["count"] for each in body["data"]] == seen
    assert body["total"] == len(seen)
