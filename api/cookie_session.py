"""Browsers: both tokens in cookies, renewed in passing; who writes with them must come from an origin of ours."""

import asyncio
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from litestar import Request

from api.auth import InvalidBearerToken, origin_of
from api.bearer import Bearer
from api.cookies import Cookies
from api.problems import Problem
from application.access import Caller
from application.session import InvalidRefresh, Sessions, SignedIn

ACCESS, REFRESH = "chancery_access", "chancery_refresh"
ACCESS_SECONDS = 600
READING = frozenset({"GET", "HEAD", "OPTIONS"})
EXPLICIT = (b"authorization", b"x-client-key", b"x-internal-secret")
"""Credentials given on purpose. A browser attaches cookies by itself, so beside these they are none."""
PORTS = {"http": 80, "https": 443}


class ForeignOrigin(Problem):
    """A command with cookies must come from this API's own origin or one of `cors_origins`, and say so (`Origin`)."""

    code, status = "origin_not_allowed", 403


class CookieSession:
    """Implements api.auth.Way. `origins` may write besides that of `base_url`; `idle`: how long cookies are kept."""

    def __init__(
        self,
        cookies: Cookies,
        bearer: Bearer,
        sessions: Sessions,
        *,
        base_url: str,
        origins: Collection[str],
        idle: timedelta,
    ) -> None:
        self._cookies, self._bearer, self._sessions = cookies, bearer, sessions
        self._origins = frozenset(one.encode() for one in (_origin(base_url), *origins))
        self._seconds = int(idle.total_seconds())
        # bounded: one of each request in flight
        self._renewing: dict[str, asyncio.Task[SignedIn]] = {}

    def offered(self, headers: Mapping[bytes, bytes]) -> bool:
        given = headers.get(b"cookie")
        if given is None or any(name in headers for name in EXPLICIT):
            return False
        return any(f"{name}=".encode() in given for name in (ACCESS, REFRESH))

    async def caller(self, request: Request[Any, Any, Any], *, fresh: bool) -> Caller:
        """With a good refresh token alone he is served too, and the answer brings new cookies.

        Raises ForeignOrigin, InvalidBearerToken, RefreshReused, RefreshedTooOften.
        """
        if request.method not in READING:
            self.require_origin(request)
        scope: Any = request.scope
        scope["by_cookie"] = True
        access = scope.get("renewed_access") or self._cookies.read(request, ACCESS)
        if access:
            try:
                return await self._bearer.of_token(access, fresh=fresh)
            except InvalidBearerToken:
                if self._cookies.read(request, REFRESH) is None:
                    raise
        try:
            signed_in = await self.renew(request)
        except InvalidRefresh:
            raise InvalidBearerToken from None
        scope["renewed_access"] = signed_in.access_token
        return await self._bearer.of_token(signed_in.access_token, fresh=fresh)

    async def standing(self, request: Request[Any, Any, Any], *, fresh: bool) -> Caller:
        """By the access token alone, where an answer brings no cookies. Raises ForeignOrigin, InvalidBearerToken."""
        self.require_origin(request)
        return await self._bearer.of_token(self._cookies.read(request, ACCESS) or "", fresh=fresh)

    def used(self, request: Request[Any, Any, Any]) -> bool:
        """Whether the caller came by cookie."""
        scope: Any = request.scope
        return bool(scope.get("by_cookie"))

    def require_origin(self, request: Request[Any, Any, Any], *, if_given: bool = False) -> None:
        """A foreign page can send cookies, but no false Origin. `if_given`: where none of them counts yet.

        Raises ForeignOrigin.
        """
        scope: Any = request.scope
        origin = scope["h"].get(b"origin")
        if origin not in self._origins and not (if_given and origin is None):
            raise ForeignOrigin

    def holds_refresh(self, request: Request[Any, Any, Any]) -> bool:
        return self._cookies.read(request, REFRESH) is not None

    async def renew(self, request: Request[Any, Any, Any]) -> SignedIn:
        """New cookies for the refresh cookie; requests that bring the same one at once share its one successor.

        Raises InvalidRefresh, RefreshReused, RefreshedTooOften.
        """
        token = self._cookies.read(request, REFRESH) or ""
        renewing = self._renewing.get(token)
        if renewing is None:
            scope: Any = request.scope
            asked = self._sessions.refresh(token, request_id=scope["request_id"], origin=origin_of(request))
            renewing = self._renewing[token] = asyncio.create_task(asked)
            renewing.add_done_callback(lambda _: self._renewing.pop(token, None))
        signed_in = await asyncio.shield(renewing)
        self.give(request, signed_in)
        return signed_in

    def give(self, request: Request[Any, Any, Any], signed_in: SignedIn) -> None:
        """The answer to this request brings its tokens as cookies."""
        self._send(request, ACCESS, signed_in.access_token, ACCESS_SECONDS)
        if signed_in.refresh_token is not None:
            self._send(request, REFRESH, signed_in.refresh_token, self._seconds)

    def take_away(self, request: Request[Any, Any, Any]) -> None:
        """The answer to this request removes both; whatever it was to bring before is forgotten."""
        scope: Any = request.scope
        scope["set_cookies"] = []
        self._send(request, ACCESS, "", 0)
        self._send(request, REFRESH, "", 0)

    def _send(self, request: Request[Any, Any, Any], name: str, content: str, seconds: int) -> None:
        scope: Any = request.scope
        scope.setdefault("set_cookies", []).append(self._cookies.set(name, content, seconds=seconds))


class StandingCookies:
    """Implements api.auth.Way for sockets, which renew nothing: a browser asks anything else first."""

    def __init__(self, browser: CookieSession) -> None:
        self._browser = browser
        self.offered = browser.offered

    async def caller(self, request: Request[Any, Any, Any], *, fresh: bool) -> Caller:
        return await self._browser.standing(request, fresh=fresh)


def _origin(url: str) -> str:
    """As browsers write it (RFC 6454 6.2): no path, lower case, no port that goes without saying."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port in (None, PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"
