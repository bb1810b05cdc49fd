"""A request as a span: in the caller's trace if he names one, else in that of its own id."""

from contextlib import AbstractContextManager

from api.arrival import Scope
from application import spans
from application.spans import Span


def tracing(scope: Scope) -> AbstractContextManager[Span | None]:
    """Around all that is done for it; None unless its trace is sampled. `introduce` has been called."""
    if not spans.collected():
        return spans.NOTHING
    place = spans.place_of(scope["traceparent"])
    if place is None:
        return spans.whole(scope["method"], spans.trace_of(scope["request_id"]), kind="server")
    return spans.whole(scope["method"], place.trace_id, place.span_id, "server")


def told(span: Span, scope: Scope, method: str, route: str, status: int) -> None:
    """By the route's template, as OpenTelemetry's conventions for HTTP have it: no address, no query, no agent."""
    span.name = f"{method} {route}"
    span.attributes |= {
        "http.request.method": method,
        "http.route": route,
        "http.response.status_code": status,
        "chancery.request_id": scope["request_id"],
    }
    span.failed = status >= 500
