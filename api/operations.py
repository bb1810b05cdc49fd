"""The operations of the API as their handlers declare them: what each takes, answers, and may refuse."""

from collections.abc import Container, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.response import Response
from litestar.routes import HTTPRoute

from api.arrival import PathMalformed, QueryMalformed
from api.body import BodyMissing, MediaTypeUnsupported
from api.conditions import ConditionMalformed, KeyMalformed, PositionUnknown, ProjectionBehind
from api.declared import RepeatedParameter, UnknownParameter
from api.fields import Nothing
from api.headers import ASKED_HEADERS
from api.lists import LIST_PROBLEMS
from api.outages import PersonErased
from api.problems import (
    BodyTooLarge,
    BodyTooSlow,
    Contended,
    EventTooLarge,
    Internal,
    NotFound,
    ParameterInvalid,
    RateLimited,
    Unavailable,
    VersionMismatch,
)
from api.reader import BodyInvalid, BodyMalformed
from api.service_secret import InternalSecretNotConfigured, InvalidInternalSecret
from application.access import Forbidden, PasswordChangeRequired, SessionEnded
from application.context import KeyReused

API = "/api/v1/"
Refusing = type[Exception]


@dataclass(frozen=True)
class Operation:
    """One operation of the document with the handler it came from."""

    described: dict[str, Any]
    method: str
    path: str
    handler: HTTPRouteHandler

    @property
    def body(self) -> Any:
        field = self.handler.parsed_data_field
        return None if field is None else field.annotation

    @property
    def answer(self) -> Any:
        """What the answer's body holds; None when there is none or it is no JSON."""
        returned = self.handler.parsed_fn_signature.return_type
        if returned.is_subclass_of(Response):
            return returned.inner_types[0].raw if returned.inner_types else None
        return None

    @cached_property
    def declared(self) -> frozenset[str]:
        """The keys of those common request headers that the handler takes."""
        taken = {one["name"].lower() for one in self.described.get("parameters", ()) if one["in"] == "header"}
        return frozenset(key for key, header in ASKED_HEADERS.items() if header["name"].lower() in taken)

    @property
    def of_api(self) -> bool:
        return self.path.startswith(API)

    @property
    def is_read(self) -> bool:
        return self.of_api and self.method == "get"

    @property
    def signed_in(self) -> bool:
        return self.of_api and {} not in self.security

    @property
    def security(self) -> list[dict[str, Any]]:
        """Which credentials do; empty: any that a person or an API client has."""
        named: list[dict[str, Any]] = self.described.get("security", [])
        return named


def operations_of(app: Litestar, whole: dict[str, Any]) -> Iterator[Operation]:
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for method, (handler, _) in route.route_handler_map.items():
            described = whole["paths"].get(route.path_format, {}).get(method.lower())
            if described is not None:
                yield Operation(described, method.lower(), route.path_format, handler)


def common_headers(one: Operation, members: Container[str]) -> tuple[list[str], list[str]]:
    """The common headers an operation reads, as its handler declares them, and those it writes in turn."""
    asked = ["RequestId", *(key for key in ASKED_HEADERS if key in one.declared)]
    given = ["X-Request-Id"]
    if "MinPosition" in asked:
        given.append("X-Projection-Position")
    if "IfNoneMatch" in asked:
        given.append("ETag")
    if "next_page_token" in members:
        given += ["Link", "X-Projection-Parked"]
    if not one.is_read and "position" in members:
        given += ["ETag", "X-Event-Position"]
        if one.handler.status_code in (201, 202):
            given.append("Location")
    if "IdempotencyKey" in asked:
        given.append("Idempotent-Replayed")
    return asked, given


def common_refusals(one: Operation, signed_in: tuple[Refusing, ...]) -> Iterator[Refusing]:
    """What any operation of this shape may refuse."""
    yield from (QueryMalformed, UnknownParameter, RepeatedParameter, ParameterInvalid)
    yield from (RateLimited, Internal, Unavailable)
    if "{" in one.path:
        yield from (NotFound, PathMalformed)
    if one.signed_in:
        yield from (*signed_in, SessionEnded, Forbidden, PasswordChangeRequired)
    if any("internal" in one for one in one.security):
        yield from (InvalidInternalSecret, InternalSecretNotConfigured)
    if one.body is not None:
        yield from (BodyMalformed, BodyInvalid, BodyTooLarge, BodyTooSlow, MediaTypeUnsupported)
        if not issubclass(one.body, Nothing):
            yield BodyMissing
    given = one.described["responses"][str(one.handler.status_code)]["headers"]
    if "X-Projection-Position" in given:
        yield from (ConditionMalformed, PositionUnknown, ProjectionBehind)
    if "Link" in given:
        yield from LIST_PROBLEMS.values()
    if "IdempotencyKey" in one.declared:
        yield from (KeyMalformed, KeyReused)
    if "IfMatch" in one.declared:
        yield from (ConditionMalformed, VersionMismatch)
    if "X-Event-Position" in given:
        yield from (EventTooLarge, Contended, PersonErased)
