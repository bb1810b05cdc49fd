"""The outermost layer: what every request is given and every answer carries, matched by a route or not.

It stands outside Litestar, whose middleware never sees a 404, a 405 or a bad Host header.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable
from ipaddress import ip_network
from time import perf_counter
from typing import Any

import structlog

from api import metrics
from api.admission import Admission, admission_of
from api.answers import Header
from api.arrival import (
    Message,
    PathMalformed,
    QueryMalformed,
    Receive,
    Scope,
    Send,
    hurried,
    introduce,
    settle_address,
)
from api.errors import problem_answer
from api.tracing import told, tracing
from application.spans import Span
from infrastructure.settings_parts import Limits

Application = Callable[[Any, Any, Any], Awaitable[None]]

ALWAYS: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"vary", b"origin"),
)
POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
NO_STORE = (b"cache-control", b"no-store")
CLOSE = (b"connection", b"close")
HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")

SENDABLE = (
    b"authorization, content-type, idempotency-key, if-match, if-none-match, last-event-id, "
    b"traceparent, x-api-key, x-client-key, x-min-position, x-request-id"
)
PREFLIGHT: tuple[Header, ...] = (
    (b"access-control-allow-methods", b"GET, HEAD, POST, PATCH, PUT, DELETE"),
    (b"access-control-allow-headers", SENDABLE),
    (b"access-control-max-age", b"600"),
)
EXPOSED = (
    b"etag, idempotent-replayed, link, location, ratelimit, ratelimit-policy, retry-after, www-authenticate, "
    b"x-event-position, x-projection-position, x-request-id"
)


class Edge:
    """Wraps an ASGI application.

    Handlers find in the scope: `h` (headers as a dict of bytes; of a repeated one the last), `request_id`,
    `client_address` (None on a Unix socket), `user_agent`, `traceparent` (None unless valid). What they put into
    `set_cookies` and `quota` join the answer, whichever it is.
    `origins` may call from a browser, with cookies. `trusted_proxies` are networks whose X-Forwarded-For
    counts. `root_path` is taken off addresses and put before Location and Link. Seconds: how long a JSON
    body, or any other, may take to arrive. `admission` says how much is let in at once.
    """

    def __init__(
        self,
        app: Application,
        *,
        production: bool = False,
        origins: Collection[str] = (),
        trusted_proxies: Collection[str] = (),
        root_path: str = "",
        body_seconds: float = 30.0,
        upload_seconds: float = 1_800.0,
        admission: Admission | None = None,
    ) -> None:
        self.app = app
        self.origins = frozenset(one.encode() for one in origins)
        self.trusted = tuple(ip_network(one) for one in trusted_proxies)
        self.root_path = root_path.rstrip("/")
        self.seconds = (body_seconds, upload_seconds)
        self.admission = admission or admission_of(Limits())
        self.always = (*ALWAYS, HSTS) if production else ALWAYS
        self.log = structlog.get_logger("api.access").bind()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._converse(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _converse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A socket leaves one line, too, when it is over."""
        since, code = perf_counter(), 1006  # as RFC 6455 7.1.5 calls an end without a close

        async def noted(message: Message) -> None:
            nonlocal code
            if message["type"] == "websocket.close":
                code = message.get("code", 1000)
            await send(message)

        introduce(scope, self.trusted)
        try:
            settle_address(scope, self.root_path)
            await self.app(scope, receive, noted)
        except (PathMalformed, QueryMalformed):
            await noted({"type": "websocket.close", "code": 4400})
        finally:
            self.log.info(
                "socket",
                route=scope.get("path_template", metrics.UNMATCHED),
                code=code,
                ms=round((perf_counter() - since) * 1000, 2),
                request_id=scope["request_id"],
            )

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        if method == "HEAD":  # on a copy: the server reads its own to know that no body follows
            scope = {**scope, "method": "GET"}
        exchange = (_HeadExchange if method == "HEAD" else _Exchange)(self, scope, send)
        with tracing(scope) as exchange.span:
            try:
                if exchange.is_preflight():
                    await exchange.preflight()
                else:
                    settle_address(scope, self.root_path)
                    place = scope["place"] = self.admission.enter(scope)
                    try:
                        await self.app(scope, hurried(scope, receive, *self.seconds), exchange.send)
                    finally:
                        place.leave()
            except Exception as error:  # noqa: BLE001 - the last resort
                await exchange.rescue(error)
            finally:
                exchange.note(method)


class _Exchange:
    """One request on its way through, and its answer on its way out."""

    def __init__(self, edge: Edge, scope: Scope, send: Send) -> None:
        self.since = perf_counter()
        self.edge = edge
        self.scope = scope
        self.id = introduce(scope, edge.trusted)
        self.to_server = send
        self.started = False
        self.status = 499
        self.seconds = 0.0
        self.span: Span | None = None

    async def send(self, message: Message) -> None:
        if message["type"] != "http.response.start":
            await self.to_server(self.body(message))
            return
        self.seconds = perf_counter() - self.since
        self.status = message["status"]
        message["headers"] = self.dress(message.get("headers", ()))
        await self.to_server(message)
        self.started = True  # only now: a server that refuses a header leaves room for another answer

    def body(self, message: Message) -> Message:
        return message

    def dress(self, given: Iterable[Header]) -> list[Header]:
        """The answer's own headers, then everybody's."""
        edge = self.edge
        joining = (*self.scope.get("set_cookies", ()), *self.scope.get("quota", ()))
        headers = [*given, *joining, (b"x-request-id", self.id), *edge.always]
        names = {name for name, _ in headers}
        if edge.admission.stopping() and b"connection" not in names:
            headers.append(CLOSE)  # so that a kept connection finds another process next time
        if POLICY[0] not in names:
            headers.append(POLICY)
        if NO_STORE[0] not in names:
            headers.append(NO_STORE)
        if self.welcome():
            headers.append((b"access-control-allow-origin", self.scope["h"][b"origin"]))
            headers.append((b"access-control-allow-credentials", b"true"))
            headers.append((b"access-control-expose-headers", EXPOSED))
        if edge.root_path and (b"location" in names or b"link" in names):
            return [_rooted(one, edge.root_path.encode()) for one in headers]
        return headers

    def welcome(self) -> bool:
        """Whether a browser at another origin may read the answer."""
        return self.scope["h"].get(b"origin") in self.edge.origins

    def is_preflight(self) -> bool:
        return (
            self.scope["method"] == "OPTIONS"
            and b"origin" in self.scope["h"]
            and b"access-control-request-method" in self.scope["h"]
        )

    async def preflight(self) -> None:
        """A browser asks first (Fetch 3.2). A stranger's origin gets the same 204, without any permission."""
        allowed = PREFLIGHT if self.welcome() else ()
        await self.send({"type": "http.response.start", "status": 204, "headers": allowed})
        await self.send({"type": "http.response.body", "body": b""})

    async def rescue(self, error: Exception) -> None:
        """Answer what nobody below could. Half an answer cannot be mended: then only cutting is honest."""
        answer = problem_answer(error, self.scope["request_id"])
        if self.started:
            raise error
        await answer.write(self.send)

    def note(self, method: str) -> None:
        """One line and one count, by the route's template: never the address, the query or a body."""
        scope = self.scope
        seconds = self.seconds or perf_counter() - self.since
        route = scope.get("path_template", metrics.UNMATCHED)
        metrics.observe(method, route, self.status, seconds)
        trace = {"trace": scope["traceparent"][3:35]} if scope["traceparent"] else {}
        if self.span is not None:
            told(self.span, scope, method, route, self.status)
            trace = {"trace": f"{self.span.trace_id:032x}"}
        self.edge.log.info(
            "request",
            method=method,
            route=route,
            status=self.status,
            ms=round(seconds * 1000, 2),
            request_id=scope["request_id"],
            **trace,
        )


class _HeadExchange(_Exchange):
    """A HEAD is served as its GET, all but the body."""

    def body(self, message: Message) -> Message:
        return {**message, "body": b""} if message["type"] == "http.response.body" else message


def _rooted(header: Header, root: bytes) -> Header:
    name, value = header
    if name == b"location" and value.startswith(b"/"):
        return name, root + value
    return (name, value.replace(b"</", b"<" + root + b"/")) if name == b"link" else header
