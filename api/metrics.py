"""How many requests, how long, with which outcome: one histogram, whose count is the counter."""

from prometheus_client import (
    Counter,
    Histogram,
)

UNMATCHED = "unmatched"
"""The route of a request that met none: one series, however many addresses a scanner tries."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_SECONDS = Histogram(
    "chancery_http_request_seconds",
    "Time until a request's answer started, by route template",
    ("method", "route", "status"),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
_OVERLOADED = Counter(
    "chancery_overloaded_total", "Requests told to come again, by what there was too much of", ("kind",)
)
# bounded: by methods, routes and statuses there are
_children: dict[tuple[str, str, int], Histogram] = {}


def observe(method: str, route: str, status: int, seconds: float) -> None:
    """Count one request. The child of each series is looked up once."""
    key = (method, route, status)
    child = _children.get(key)
    if child is None:
        known = method if method in METHODS else "OTHER"
        child = _SECONDS.labels(known, route, str(status))
        if known == method:
            _children[key] = child
    child.observe(seconds)


def overloaded(kind: str) -> None:
    """Count one request that was not let in."""
    _OVERLOADED.labels(kind).inc()
