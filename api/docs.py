"""`/openapi.json`, the Scalar page at `/docs`, and a page for every error code; nothing asks an outside address."""

from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import msgspec
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from api import catalogue
from api.answers import Answer, Header
from api.openapi import document
from api.operations import Refusing
from api.problems import NotFound

_WHEEL = distribution("flask-openapi3-scalar")  # found without importing it: that would import Flask
_BUILD = "flask_openapi3_scalar/templates/scalar/js/scalar.standalone.js"
_SCRIPT = f"docs/scalar-{_WHEEL.version}.js"
_CONFIGURATION = {
    "withDefaultFonts": False,
    "telemetry": False,
    "agent": {"disabled": True},
    "mcp": {"disabled": True},
    "hideClientButton": True,
    "showDeveloperTools": "never",
    "defaultOpenAllTags": False,
}
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Chancery API</title><link rel="icon" href="data:,"></head>
<body><script id="api-reference" type="application/json" data-url="openapi.json"
data-configuration='{configuration}'></script>
<script src="{script}"></script></body></html>
"""
_HTML = (b"content-type", b"text/html; charset=utf-8")
_CONTENT_POLICY = b"content-security-policy"
_SCALAR_MAY = (
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    b"img-src 'self' data:; font-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_PAGE_POLICY = (_CONTENT_POLICY, _SCALAR_MAY)
_TEXT_POLICY = (_CONTENT_POLICY, b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
_HOUR = (b"cache-control", b"public, max-age=3600")
_YEAR = (b"cache-control", b"public, max-age=31536000, immutable")


@cache  # bounded: by one file
def _script() -> bytes:
    """Scalar's standalone build."""
    return Path(str(_WHEEL.locate_file(_BUILD))).read_bytes()


def _page(body: bytes, *headers: Header) -> Answer[None]:
    return Answer(200, body, headers)


def documentation(signed_in: tuple[Refusing, ...] = ()) -> list[HTTPRouteHandler]:
    """Routes for the root. `signed_in`: the refusals of signing in, for the document."""
    made: dict[str, bytes] = {}

    @get("/openapi.json", include_in_schema=False)
    async def openapi(request: Request[Any, Any, Any]) -> Answer[None]:
        if "document" not in made:
            made["document"] = msgspec.json.encode(document(request.app, signed_in))
        return _page(
            made["document"], (b"content-type", b"application/json"), (b"cache-control", b"no-cache")
        )

    return [openapi, page, scalar, errors, error]


@get("/docs", include_in_schema=False)
async def page() -> Answer[None]:
    configuration = msgspec.json.encode(_CONFIGURATION).decode()
    return _page(
        _PAGE.format(configuration=configuration, script=_SCRIPT).encode(), _HTML, _PAGE_POLICY, _HOUR
    )


@get(f"/{_SCRIPT}", include_in_schema=False)
async def scalar() -> Answer[None]:
    return _page(_script(), (b"content-type", b"text/javascript; charset=utf-8"), _YEAR)


@get("/docs/errors", include_in_schema=False)
async def errors() -> Answer[None]:
    return _page(catalogue.catalogue_page(), _HTML, _TEXT_POLICY, _HOUR)


@get("/docs/errors/{code:str}", include_in_schema=False)
async def error(code: FromPath[str]) -> Answer[None]:
    found = catalogue.catalogue().get(code)
    if found is None:
        raise NotFound("There is no such error code.")
    return _page(catalogue.error_page(found), _HTML, _TEXT_POLICY, _HOUR)
