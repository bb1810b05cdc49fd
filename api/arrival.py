"""What a request is told before anything looks at it: who asks, which address, by when."""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import unquote_to_bytes

from api.problems import BodyTooSlow, Problem
from infrastructure.logging import request_id

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Network = IPv4Network | IPv6Network

SLASH = "\x1f"
"""Stands for a `%2F` inside a path segment, so that it does not split the segment."""

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}").fullmatch
_TRACEPARENT = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}").fullmatch
_SLASH = re.compile(rb"%2f", re.IGNORECASE)
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]").search


class PathMalformed(Problem):
    """The address holds control characters, or bytes that are not UTF-8."""

    code, status = "path.malformed", 400


class QueryMalformed(Problem):
    """The query string holds a NUL, or bytes that are not UTF-8."""

    code, status = "query.malformed", 400


def introduce(scope: Scope, trusted: tuple[Network, ...]) -> bytes:
    """Tell the scope who asks: see Edge. Returns the request's id."""
    h: dict[bytes, bytes] = dict(scope["headers"])
    scope["h"] = h
    trace = h.get(b"traceparent")
    scope["traceparent"] = traceparent = trace.decode() if trace and _TRACEPARENT(trace) else None
    given = h.get(b"x-request-id")
    if given and _REQUEST_ID(given):
        made = given
    else:  # what belongs to a caller's trace is called after it: so the log itself tells which trace a fact is of
        made = (traceparent[3:35] if traceparent else secrets.token_hex(16)).encode()
    scope["request_id"] = named = made.decode()
    request_id.set(named)
    client = scope.get("client")
    address = client[0] if client else None
    if trusted and b"x-forwarded-for" in h:
        hops = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
        address = _farthest(address, hops, trusted)
    scope["client_address"] = address
    agent = h.get(b"user-agent")
    scope["user_agent"] = agent.decode("latin-1")[:512] if agent else None
    trace = h.get(b"traceparent")
    scope["traceparent"] = trace.decode() if trace and _TRACEPARENT(trace) else None
    return made


@lru_cache(4096)
def _farthest(peer: str | None, hops: bytes, trusted: tuple[Network, ...]) -> str | None:
    """The first address from the right that no trusted proxy has; what stands left of it anyone can write."""
    seen = peer
    if peer is None or _trusted(_parsed(peer), trusted):
        for hop in reversed(hops.decode("latin-1").split(",")):
            address = _parsed(hop)
            if address is None:
                break
            seen = str(address)
            if not _trusted(address, trusted):
                break
    return seen


def _trusted(address: IPv4Address | IPv6Address | None, trusted: tuple[Network, ...]) -> bool:
    return address is not None and any(address in network for network in trusted)


def _parsed(hop: str) -> IPv4Address | IPv6Address | None:
    """An address as proxies write it: bare, with a port, in brackets; IPv4 in IPv6 as IPv4. None if none."""
    text = hop.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def settle_address(scope: Scope, root_path: str) -> None:
    """Put path and query into the one form that routing reads. Raises PathMalformed, QueryMalformed."""
    path: str = scope["path"]
    raw: bytes = scope.get("raw_path") or b""
    if root_path and (path == root_path or path.startswith(f"{root_path}/")):
        scope["path"] = path[len(root_path) :] or "/"
        raw = raw.removeprefix(root_path.encode())
    if scope.get("root_path"):
        scope["root_path"] = ""  # Litestar would cut the path at its first occurrence anywhere
    if b"%" in raw:
        scope["path"] = _decoded(raw.split(b"?")[0])
    query: bytes = scope["query_string"]
    if b"%" in query and b"\0" in _utf8(unquote_to_bytes(query), QueryMalformed):
        raise QueryMalformed


def _decoded(raw: bytes) -> str:
    if _CONTROL(_utf8(unquote_to_bytes(raw), PathMalformed)):
        raise PathMalformed
    return unquote_to_bytes(_SLASH.sub(b"%1F", raw)).decode()


def _utf8(text: bytes, refused: type[Problem]) -> bytes:
    try:
        text.decode()
    except UnicodeDecodeError:
        raise refused from None
    return text


def hurried(scope: Scope, receive: Receive, body_seconds: float, upload_seconds: float) -> Receive:
    """`receive` with a deadline until the body is complete; a stream may then wait as long as it likes."""
    h = scope["h"]
    if h.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in h:
        return receive
    small = h.get(b"content-type", b"").startswith(b"application/json")
    deadline = asyncio.get_running_loop().time() + (body_seconds if small else upload_seconds)
    complete = False

    async def receive_in_time() -> Message:
        nonlocal complete
        if complete:
            return await receive()
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise BodyTooSlow(headers={"connection": "close"}) from None
        complete = not message.get("more_body", False)
        return message

    return receive_in_time
