"""The headers of every route, as the OpenAPI document describes them."""

from typing import Any


def _header(description: str, example: str, **schema: Any) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string", **schema}, "example": example}


def _asked(name: str, description: str, example: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, **_header(description, example, **schema)}


_ID = "4f1c2a9be07d4d7f9d55c0ffee001234"

ANSWER_HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": _header("Yours, or one made for you. Stands in errors, logs and events.", _ID),
    "X-Event-Position": _header("Position of the last event this command made in the whole log.", "4711"),
    "X-Projection-Position": _header("The position up to which the answer knows the log.", "4711"),
    "X-Projection-Parked": _header(
        "Of how many records something waits until it can be shown; else absent.", "1"
    ),
    "ETag": _header("The record's version; a read adds a hash of the body.", '"v17"'),
    "Idempotent-Replayed": _header("`true` when this is the stored answer to an earlier request.", "true"),
    "Location": _header(
        "The path of what was made.", "/api/v1/organisations/01981c5e-7a3b-7c11-9d55-2f6b8a4e1c07"
    ),
    "Link": _header("The next page.", '</api/v1/organisations?page_token=...>; rel="next"'),
    "Retry-After": _header("Seconds to wait.", "1"),
    "RateLimit-Policy": _header(
        "How many requests an API client with a limit has in a minute.", '"client";q=600;w=60'
    ),
    "RateLimit": _header("How many it has left, and in how many seconds all again.", '"client";r=599;t=43'),
    "WWW-Authenticate": _header(
        "What would be accepted (RFC 6750, RFC 9470).", 'Bearer error="invalid_token"'
    ),
    "Allow": _header("The methods this address takes.", "GET, HEAD"),
}

ASKED_HEADERS: dict[str, dict[str, Any]] = {
    "RequestId": _asked(
        "X-Request-Id", "Names this request: 1-64 of A-Z a-z 0-9 . _ -; anything else is replaced.", _ID
    ),
    "IdempotencyKey": _asked(
        "Idempotency-Key",
        "Makes repeating safe: the same key and request give the stored answer.",
        "7c0e1d3a-payment-42",
        pattern="^[!-~]{1,255}$",
    ),
    "IfMatch": _asked(
        "If-Match", "Only on this version; else 412.", '"v17"', pattern='^"v[1-9][0-9]{0,17}"$'
    ),
    "IfNoneMatch": _asked("If-None-Match", "304 when the body is still this one.", '"v17-9f2c5b7a11d0e4c3"'),
    "MinPosition": _asked(
        "X-Min-Position",
        "Wait up to 2 s until the answer knows this position.",
        "4711",
        pattern="^[0-9]{1,18}$",
    ),
}
