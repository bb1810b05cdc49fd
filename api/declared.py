"""What each route declares: judged whole at start-up, held against every query string."""

from collections.abc import Collection, Iterator
from typing import Any

from litestar import Litestar, Request
from litestar.exceptions import ImproperlyConfiguredException
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from api.body import StrictBody
from api.faults import step
from api.fields import Body, Nothing
from api.problems import Problem
from api.shape import structs_within, unknown
from domain.shared import FieldError


class UnknownParameter(Problem):
    """A query parameter that this address does not declare."""

    code, status = "query.unknown_parameter", 400


class RepeatedParameter(Problem):
    """A query parameter stands twice."""

    code, status = "query.repeated_parameter", 400


def index_parameters(app: Litestar) -> None:
    """`on_startup`: which query parameters each (path, method) declares, those of dependencies included."""
    app.state.query = {
        (route.path_format, method): frozenset(one.field_alias for one in model.expected_query_params)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method, (_, model) in route.route_handler_map.items()
    }


def refuse_unknown_query(request: Request[Any, Any, Any]) -> None:
    """Called from `before_request`, after authentication. Raises UnknownParameter, RepeatedParameter."""
    if not request.scope["query_string"]:
        return
    declared: frozenset[str] = request.app.state.query[(request.scope["path_template"], request.method)]
    names = [name for name, _ in request.query_params.multi_items()]
    if strange := sorted(set(names) - declared):
        raise UnknownParameter(
            errors=tuple(_fault(one, "unknown", unknown("parameter", one, declared)) for one in strange[:20])
        )
    if len(names) != len(set(names)):
        twice = next(name for name in names if names.count(name) > 1)
        raise RepeatedParameter(errors=(_fault(twice, "repeated", "This parameter stands twice."),))


def _fault(name: str, code: str, detail: str) -> FieldError:
    return FieldError(pointer=step("", name), code=code, detail=detail)


def check_routes(app: Litestar, known_options: Collection[str] = ()) -> None:
    """Refuse to start with routes that break the rules. Raises ImproperlyConfiguredException, naming all.

    Litestar swallows a misspelt decorator argument into `opt`, takes any body where no `data` is declared,
    and applies `forbid_unknown_fields` to nested structs only where they say so themselves.
    """
    if wrong := [
        f"{where}: {what}" for where, handler in _handlers(app) for what in _mistakes(handler, known_options)
    ]:
        raise ImproperlyConfiguredException("\n".join(["routes break the rules", *wrong]))


def _handlers(app: Litestar) -> Iterator[tuple[str, HTTPRouteHandler]]:
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                if handler.resolve_include_in_schema():
                    yield f"{'|'.join(sorted(handler.http_methods))} {route.path_format}", handler


def _mistakes(handler: HTTPRouteHandler, known_options: Collection[str]) -> Iterator[str]:
    for option in sorted(set(handler.opt) - set(known_options)):
        yield f"unknown decorator argument {option}"
    data = handler.parsed_data_field
    strict = handler.resolve_data_dto() is StrictBody
    if strict and data is None and handler.http_methods & {"POST", "PATCH", "PUT"}:
        yield f"takes any body: declare `data: {Nothing.__name__}`"
    if strict and data is not None:
        for struct in structs_within(data.annotation):
            if not issubclass(struct, Body):
                yield f"{struct.__name__} is no Body, so it would take unknown fields"
