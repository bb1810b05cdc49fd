"""A tiny API behind the real edge, for tests of what every route shares."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar
from uuid import UUID

import msgspec
from httpx import ASGITransport, AsyncClient
from litestar import Litestar, Request, Router, get, post
from litestar.params import FromQuery, JSONBody
from msgspec import UNSET, Struct

from api.answers import Answer, Page, Receipt, asked, page, receipt, record
from api.asking import DryRunFlag, IdempotencyKey, IfMatch
from api.body import BodyRequest, StrictBody
from api.declared import check_routes, index_parameters, refuse_unknown_query
from api.docs import documentation
from api.edge import Edge
from api.errors import on_error
from api.fields import Body, Change, Count, Instant, LongText, Money, Name, Nothing, Password, Title
from api.openapi import config, problems
from api.problems import Problem
from api.queries.records import IfNoneMatch, MinPosition
from api.refs import Ref
from domain.shared import DomainError, Kind
from infrastructure.settings_deployment import Deployment

ID = UUID("01981c5e-7a3b-7c11-9d55-2f6b8a4e1c07")


class Door(Body, frozen=True, kw_only=True):
    colour: Name


class AddHouse(Body, frozen=True, kw_only=True):
    """A house to be added."""

    name: Name
    title: Change[Title] = UNSET
    note: LongText | None = None
    rooms: Count = 1
    built_at: Instant | None = None
    front: Door | None = None
    doors: tuple[Door, ...] = ()
    price: Money | None = None
    labels: dict[str, Name] = {}  # noqa: RUF012 - msgspec copies it
    words: tuple[Name, ...] = ()
    password: Password | None = None


class HouseView(Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    price: Money | None


class HouseTaken(DomainError):
    """Another house has this name; `candidates` names it."""

    code: ClassVar[str] = "house.taken"
    kind: ClassVar[Kind] = Kind.CONFLICT


class NoKnock(Problem):
    """Knock first."""

    code, status = "no_knock", 401


@post("/houses", status_code=201, responses=problems(HouseTaken))
async def add(
    data: JSONBody[AddHouse], *, idempotency_key: IdempotencyKey = None, dry_run: DryRunFlag = False
) -> Answer[Receipt]:
    """Add a house."""
    if data.name == "taken":
        raise HouseTaken("There is such a house.", candidates=[ID])
    return receipt(ID, 1, 7, {"dry": dry_run}, status=201, location=f"/api/v1/houses/{ID}")


@post("/houses/{ref:str}/sell", status_code=200)
async def sell(ref: Ref, data: JSONBody[Nothing], if_match: IfMatch = None) -> Answer[Receipt]:
    """Sell a house."""
    return receipt(ID, 2, 8)


@get("/houses")
async def houses(
    request: Request[Any, Any, Any], page_size: FromQuery[int] = 25, at_least: MinPosition = None
) -> Answer[Page[HouseView]]:
    """Every house."""
    return page([{"size": page_size}], projection_position=8, url=asked(request), next_page_token="next")


@get("/houses/{ref:str}")
async def house(
    request: Request[Any, Any, Any],
    ref: Ref,
    at_least: MinPosition = None,
    if_none_match: IfNoneMatch = None,
) -> Answer[HouseView]:
    """One house."""
    scope: Any = request.scope
    seen = {key: scope[key] for key in ("request_id", "client_address", "user_agent", "traceparent")}
    return record(msgspec.json.encode({"ref": ref, **seen}), 17, 8)


@get("/boom")
async def boom() -> Answer[None]:
    """Break."""
    raise RuntimeError("select secret from vault")


async def knock(request: Request[Any, Any, Any]) -> None:
    if request.scope["h"].get(b"authorization") == b"none":
        raise NoKnock(headers={"WWW-Authenticate": "Bearer"})
    refuse_unknown_query(request)


def tiny_app(*more: Any) -> Litestar:
    api = Router(
        "/api/v1",
        route_handlers=[add, sell, houses, house, boom, *more],
        dto=StrictBody,
        request_class=BodyRequest,
        before_request=knock,
    )
    app = Litestar(
        [api, *documentation((NoKnock,))],
        exception_handlers={Exception: on_error},
        openapi_config=config("1.2.3", Deployment()),
        logging_config=None,
        debug=False,
    )
    index_parameters(app)
    check_routes(app)
    return app


@asynccontextmanager
async def client(app: Any = None, **options: Any) -> AsyncIterator[AsyncClient]:
    """A client of the tiny API in the test's own loop."""
    edge = Edge(tiny_app() if app is None else app, **options)
    async with AsyncClient(transport=ASGITransport(edge), base_url="http://chancery.test") as made:
        yield made
