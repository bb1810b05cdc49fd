"""Templates of the API's routes, as an allow-list of paths names them: what is matched is the route, never the address.

An entry is a template (`/organisations/{id}`, whatever its parameters are called), or a template and `/*`: that route
and all below it. It may begin with the `/api/v1` that all have.
"""

import re
from functools import lru_cache
from typing import Any

from litestar import Litestar
from litestar.routes import HTTPRoute

API = "/api/v1"
_PARAMETER = re.compile(r"\{[^{}/]*\}")


def templates(app: Litestar) -> frozenset[str]:
    """Of every route under `/api/v1`."""
    return frozenset(
        plain(route.path_format)
        for route in app.routes
        if isinstance(route, HTTPRoute) and route.path_format.startswith(f"{API}/")
    )


def covered(entry: str, known: frozenset[str]) -> bool:
    """Whether the entry means any of the routes there are."""
    return any(covers(entry, template) for template in known)


@lru_cache(4096)
def allowed(entries: tuple[str, ...], template: Any) -> bool:
    """Whether a request that was routed to the template may pass; no entries allow all."""
    return not entries or any(covers(entry, plain(template)) for entry in entries)


def covers(entry: str, template: str) -> bool:
    wanted = plain(entry)
    if wanted == "/*":
        return True
    if wanted.endswith("/*"):
        return template == wanted[:-2] or template.startswith(wanted[:-1])
    return template == wanted


def plain(template: str) -> str:
    """Without what all have, and without the names of parameters."""
    below = template.removeprefix(API) if template == API or template.startswith(f"{API}/") else template
    return _PARAMETER.sub("{}", below)
