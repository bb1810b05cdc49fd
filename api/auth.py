"""Who is asking: a credential becomes a caller, before anything else of the request is looked at."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from litestar import Request

from api.declared import refuse_unknown_query
from api.problems import Problem
from application.access import Caller, PasswordChangeRequired
from application.spans import part
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


class NoPerson(Problem):
    """This is for signed-in people; an API client has no account, no sessions and no dialogs of its own."""

    code, status = "people_only", 403


class TwoCredentials(Problem):
    """One request, one credential: nobody acts on behalf of somebody else here."""

    code, status = "credentials.ambiguous", 400


class Way(Protocol):
    """One kind of credential: own tokens, cookies, an API client's key, the service's secret."""

    def offered(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether the request carries this kind, good or bad."""
        ...

    async def caller(self, request: Request[Any, Any, Any], *, fresh: bool) -> Caller:
        """Who asks by it: as the guards know him now, or unless `fresh` as memory has him.

        Raises Problem or AccessError when it is no good.
        """
        ...


class Limits(Protocol):
    """How many requests a minute; both raise RateLimited."""

    async def caller(self, caller: Caller) -> None: ...
    async def stranger(self, address: str | None) -> None: ...


Lane = Callable[[Request[Any, Any, Any]], Awaitable[None]]


def lane(
    *ways: Way,
    limits: Limits,
    fresh: bool,
    people_only: bool = False,
    missing: Callable[[], Problem] = MissingBearerToken,
) -> Lane:
    """Puts the caller into the scope, counts the request, then judges the query string.

    Commands take him from memory (`fresh=False`), since append judges his session again. A plain function: Litestar
    copies what stands in `before_request`, a bound object whole. `missing`: what is told who brings no credential.
    """

    async def enter(request: Request[Any, Any, Any]) -> None:
        scope: Any = request.scope
        offered = [way for way in ways if way.offered(scope["h"])]
        if not offered:
            raise missing()
        if len(offered) > 1:
            raise TwoCredentials
        with part("authenticate"):
            caller = await offered[0].caller(request, fresh=fresh)
            if caller.must_change_password and not fresh:  # memory alone must not refuse
                caller = await offered[0].caller(request, fresh=True)
        scope["caller"] = caller
        if caller.must_change_password and not _allowed_before_change(request):
            raise PasswordChangeRequired("Change your temporary password first: POST /me/password.")
        if people_only and caller.actor.kind != "user":
            raise NoPerson
        await limits.caller(caller)
        refuse_unknown_query(request)

    return enter


async def anybody(request: Request[Any, Any, Any]) -> None:
    """The lane of what needs no credential."""
    scope: Any = request.scope
    limits: Limits = request.app.state.limits
    await limits.stranger(scope["client_address"])
    refuse_unknown_query(request)


def caller_of(request: Request[Any, Any, Any]) -> Caller:
    caller: Caller = request.scope["caller"]  # type: ignore[typeddict-item]
    return caller


def origin_of(request: Request[Any, Any, Any]) -> Origin:
    scope: Any = request.scope
    return Origin(address=scope["client_address"], agent=(scope["user_agent"] or "")[:256] or None)


def _allowed_before_change(request: Request[Any, Any, Any]) -> bool:
    template: Any = request.scope["path_template"]
    return template in ("/api/v1/me", "/api/v1/me/password") or str(template).startswith("/api/v1/auth/")
