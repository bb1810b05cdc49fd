"""Answers with ready bytes: what a command, a record, a list and a problem look like on the wire."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

import msgspec
from litestar import Request, Response
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send
from msgspec import UNSET, Struct, UnsetType

T = TypeVar("T")
Header = tuple[bytes, bytes]

JSON = (b"content-type", b"application/json")
PROBLEM_JSON = (b"content-type", b"application/problem+json")
encode = msgspec.json.Encoder().encode


class Receipt(Struct, frozen=True, kw_only=True):
    """What a command leaves behind; commands that know more (a number, a key) extend it."""

    id: UUID
    version: int
    position: int


class Page(Struct, Generic[T], frozen=True, kw_only=True):
    """One page of a list; `next_page_token` is null on the last one. `total` only when asked for."""

    data: list[T]
    has_more: bool
    next_page_token: str | None
    total: int | UnsetType = UNSET


class Answer(Response[T]):
    """A finished answer. `T` is what the body holds, for OpenAPI; nothing is encoded from it."""

    def __init__(self, status: int, body: bytes, headers: Iterable[Header] = ()) -> None:
        self.status = status
        self.body = body
        self.fields = list(headers)
        if status not in (204, 304):
            self.fields.append((b"content-length", b"%d" % len(body)))

    async def write(self, send: Callable[[Any], Awaitable[None]]) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": self.fields})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIResponse:
        return _Written(self)


class Foreseen(Struct, frozen=True, kw_only=True):
    """An event that a command would append."""

    topic: str
    data: dict[str, Any]


class Rehearsal(Struct, frozen=True, kw_only=True):
    """The answer to `dry_run=true`: nothing was stored."""

    events: list[Foreseen]


class _Written(ASGIResponse):
    """What Litestar sends. The parent's constructor would sort and encode headers, so it is not called."""

    def __init__(self, answer: Answer[Any]) -> None:
        self.answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as ASGI says
        await self.answer.write(send)


def receipt(
    id: UUID,  # noqa: A002 - the contract's name
    version: int,
    position: int,
    extra: Mapping[str, Any] | None = None,
    *,
    status: int = 200,
    replayed: bool = False,
    location: str | None = None,
) -> Answer[Any]:
    """The answer to a command. `extra` joins the body; `location` is the path of what a 201 made.

    Takes the fields of `application.ports.Answer` by their names: `receipt(**structs.asdict(answer))`.
    """
    headers: list[Header] = [JSON, (b"etag", b'"v%d"' % version), (b"x-event-position", b"%d" % position)]
    if replayed:
        headers.append((b"idempotent-replayed", b"true"))
    if location is not None:
        headers.append((b"location", location.encode()))
    body: dict[str, Any] = {"id": id, "version": version, "position": position}
    if extra:
        body |= extra
    return Answer(status, encode(body), headers)


def etag(version: int, body: bytes) -> str:
    """`"v17-<hash of body>"`: the version a command may be made conditional on, the hash for caches."""
    return f'"v{version}-{blake2b(body, digest_size=8).hexdigest()}"'


def record(
    body: bytes,
    version: int,
    projection_position: int,
    if_none_match: str | None = None,
    *,
    identity: bytes | None = None,
) -> Answer[Any]:
    """One record, or 304 when the caller holds these very bytes (RFC 9110 13.1.2, weak comparison).

    `identity`: what is hashed instead, where the body also says when it was asked for.
    """
    tag = etag(version, body if identity is None else identity)
    headers: list[Header] = [(b"etag", tag.encode()), (b"x-projection-position", b"%d" % projection_position)]
    if if_none_match is not None and _names(if_none_match, tag):
        return Answer(304, b"", headers)
    return Answer(200, body, [JSON, *headers])


def _names(if_none_match: str, tag: str) -> bool:
    given = (one.strip().removeprefix("W/") for one in if_none_match.split(","))
    return any(one in ("*", tag) for one in given)


def page(
    rows: Sequence[Any],
    *,
    projection_position: int,
    url: str,
    next_page_token: str | None = None,
    total: int | None = None,
    parked: int = 0,
) -> Answer[Any]:
    """One page of a list. `rows` are records or msgspec.Raw; `url` is the path and query asked for.

    `parked`: of how many streams the read model lacks something, so that a list says so.
    """
    body: dict[str, Any] = {
        "data": rows,
        "has_more": next_page_token is not None,
        "next_page_token": next_page_token,
    }
    if total is not None:
        body["total"] = total
    headers: list[Header] = [JSON, (b"x-projection-position", b"%d" % projection_position)]
    if next_page_token is not None:
        headers.append((b"link", f'<{_next(url, next_page_token)}>; rel="next"'.encode()))
    if parked:
        headers.append((b"x-projection-parked", b"%d" % parked))
    return Answer(200, encode(body), headers)


def _next(url: str, token: str) -> str:
    path, _, query = url.partition("?")
    kept = [(k, v) for k, v in parse_qsl(query, keep_blank_values=True) if k != "page_token"]
    return f"{path}?{urlencode([*kept, ('page_token', token)])}"


def asked(request: Request[Any, Any, Any]) -> str:
    """The path and query of a request, as `page` wants them."""
    query = request.scope["query_string"]
    return f"{request.scope['path']}?{query.decode('latin-1')}" if query else request.scope["path"]


def json_answer(body: Any, *, status: int = 200, headers: Iterable[Header] = ()) -> Answer[Any]:
    """Anything else that is JSON: a catalogue, a dry run, a health report."""
    return Answer(status, encode(body), [JSON, *headers])


def nothing(headers: Iterable[Header] = ()) -> Answer[None]:
    """204."""
    return Answer(204, b"", headers)
