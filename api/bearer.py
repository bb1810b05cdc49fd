"""Access tokens in the Authorization header: our own, and those of outside issuers."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol
from uuid import UUID

from litestar import Request

from api.auth import InvalidBearerToken, origin_of
from api.outside import OutsideTokens
from application.access import Caller, SessionEnded


class AccessToken(Protocol):
    """What a verified token says."""

    @property
    def user_id(self) -> UUID: ...

    @property
    def session_id(self) -> UUID: ...


class Tokens(Protocol):
    def verify(self, token: str) -> AccessToken:
        """Raises InvalidToken."""
        ...


class Callers(Protocol):
    async def of_session(self, session_id: UUID, user_id: UUID, *, fresh: bool) -> Caller: ...


class Bearer:
    """Implements api.auth.Way."""

    def __init__(
        self, tokens: Tokens, callers: Callers, invalid: type[Exception], outside: OutsideTokens
    ) -> None:
        self._tokens, self._callers, self._invalid, self._outside = tokens, callers, invalid, outside

    def offered(self, headers: Mapping[bytes, bytes]) -> bool:
        return headers.get(b"authorization", b"")[:7].lower() == b"bearer "

    async def caller(self, request: Request[Any, Any, Any], *, fresh: bool) -> Caller:
        scope: Any = request.scope
        token = scope["h"][b"authorization"][7:].decode("latin-1")
        with suppress(InvalidBearerToken):
            return await self.of_token(token, fresh=fresh)
        try:
            return await self._outside.caller(
                token, fresh=fresh, request_id=scope["request_id"], origin=origin_of(request)
            )
        except (self._invalid, SessionEnded):
            raise InvalidBearerToken from None

    async def of_token(self, token: str, *, fresh: bool) -> Caller:
        """One of our own. Raises InvalidBearerToken."""
        try:
            said = self._tokens.verify(token)
            return await self._callers.of_session(said.session_id, said.user_id, fresh=fresh)
        except (self._invalid, SessionEnded):
            raise InvalidBearerToken from None
