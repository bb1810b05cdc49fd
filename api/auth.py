"""Who is asking: a bearer token becomes a caller, before anything else of the request is looked at."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol
from uuid import UUID

from litestar import Request
from msgspec import Struct

from api.declared import refuse_unknown_query
from api.problems import Problem
from application.access import Caller, PasswordChangeRequired, SessionEnded
from domain.shared import Origin


class MissingBearerToken(Problem):
    """This address needs `Authorization: Bearer <access token>`."""

    code, status = "missing_bearer_token", 401

    def __init__(self) -> None:
        super().__init__(headers={"www-authenticate": "Bearer"})


class InvalidBearerToken(Problem):
    """The access token is expired, foreign or malformed, or its session is over."""

    code, status = "invalid_bearer_token", 401

    def __init__(self) -> None:
        super().__init__(headers={"www-authenticate": 'Bearer error="invalid_token"'})


class AccessToken(Struct, frozen=True, kw_only=True):
    """What a verified token says."""

    user_id: UUID
    session_id: UUID


class Tokens(Protocol):
    def verify(self, token: str) -> Any:
        """Raises InvalidToken."""
        ...


class Callers(Protocol):
    async def of_session(self, session_id: UUID, user_id: UUID, *, fresh: bool) -> Caller: ...


Lane = Callable[[Request[Any, Any, Any]], Awaitable[None]]


class Authenticate:
    """Puts the caller into the scope; commands take him from memory, since append judges his session again.

    The lanes are plain functions: Litestar copies what stands in `before_request`, a bound object whole.
    """

    def __init__(self, tokens: Tokens, callers: Callers, invalid: type[Exception]) -> None:
        async def caller(request: Request[Any, Any, Any], *, fresh: bool) -> Caller:
            token = _bearer(request.scope["h"].get(b"authorization"))  # type: ignore[typeddict-item]
            try:
                said = tokens.verify(token)
                found = await callers.of_session(said.session_id, said.user_id, fresh=fresh)
                if found.must_change_password and not fresh:  # memory alone must not refuse
                    found = await callers.of_session(said.session_id, said.user_id, fresh=True)
            except (invalid, SessionEnded):
                raise InvalidBearerToken from None
            if found.must_change_password and not _allowed_before_change(request):
                raise PasswordChangeRequired("Change your temporary password first: POST /me/password.")
            return found

        async def for_command(request: Request[Any, Any, Any]) -> None:
            request.scope["caller"] = await caller(request, fresh=False)  # type: ignore[typeddict-unknown-key]
            refuse_unknown_query(request)

        async def for_query(request: Request[Any, Any, Any]) -> None:
            request.scope["caller"] = await caller(request, fresh=True)  # type: ignore[typeddict-unknown-key]
            refuse_unknown_query(request)

        self.for_command: Lane = for_command
        self.for_query: Lane = for_query


def _bearer(authorization: bytes | None) -> str:
    scheme, _, token = (authorization or b"").decode("latin-1").partition(" ")
    if scheme.lower() != "bearer":
        raise MissingBearerToken
    return token


def caller_of(request: Request[Any, Any, Any]) -> Caller:
    caller: Caller = request.scope["caller"]  # type: ignore[typeddict-item]
    return caller


def origin_of(request: Request[Any, Any, Any]) -> Origin:
    scope: Any = request.scope
    return Origin(address=scope["client_address"], agent=(scope["user_agent"] or "")[:256] or None)


def _allowed_before_change(request: Request[Any, Any, Any]) -> bool:
    template: Any = request.scope["path_template"]
    return template in ("/api/v1/me", "/api/v1/me/password") or str(template).startswith("/api/v1/auth/")
