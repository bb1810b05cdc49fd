"""Signing in and out, and proving the password again."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Router, delete, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody
from msgspec import UNSET, Struct, UnsetType

from api import answers
from api.answers import Answer, Receipt
from api.asking import Asked, answered, context
from api.auth import Lane, anybody, origin_of
from api.body import BodyMissing
from api.cookie_session import CookieSession, ForeignOrigin
from api.cookies import Cookies
from api.fields import Body, Nothing, Password, Secret
from api.openapi import problems
from api.refs import Ref, id_of
from application.proof import InvalidCredentials
from application.session import (
    AccountBlocked,
    InvalidRefresh,
    RefreshReused,
    Sessions,
    SignedIn,
)
from domain.session.aggregate import SessionUnknown

Login = Annotated[str, msgspec.Meta(min_length=1, max_length=254, examples=["admin@chancery.local"])]


DEVICE, DEVICE_SECONDS = "chancery_device", 31_536_000
"""The cookie by which somebody is known to have signed in on this device before, and how long it lasts."""


class LoginBody(Body, frozen=True, kw_only=True):
    login: Login
    password: Password
    transport: Literal["bearer", "cookie", "cli"] = "bearer"


class RefreshBody(Nothing, frozen=True, kw_only=True):
    """Without a token the refresh cookie counts."""

    refresh_token: Secret | UnsetType = UNSET


class StepUpBody(Body, frozen=True, kw_only=True):
    password: Password


class LogoutBody(Nothing, frozen=True, kw_only=True):
    all: bool = False


class TokenPair(Struct, frozen=True, kw_only=True):
    """With `token_type` `Cookie` the tokens are in cookies, and not here."""

    token_type: Literal["Bearer", "Cookie"]
    expires_in: int
    session_id: str
    access_token: str | UnsetType = UNSET
    refresh_token: str | UnsetType = UNSET


def routes(
    sessions: Sessions,
    people: Lane,
    registration: HTTPRouteHandler,
    cookies: Cookies,
    browser: CookieSession,
) -> list[Router]:
    @post("/login", status_code=200, responses=problems(InvalidCredentials, AccountBlocked, ForeignOrigin))
    async def sign_in(request: Asked, data: JSONBody[LoginBody]) -> Answer[TokenPair]:
        """E-mail or staff number, and the password. Unknown and wrong look the same and take the same time."""
        if data.transport == "cookie":
            browser.require_origin(request, if_given=True)
        signed_in = await sessions.sign_in(
            data.login,
            data.password,
            transport=data.transport,
            request_id=_request_id(request),
            origin=origin_of(request),
            device=cookies.read(request, DEVICE),
        )
        answer = given(request, signed_in, by_cookie=data.transport == "cookie")
        answer.fields.append(cookies.set(DEVICE, signed_in.device or "", seconds=DEVICE_SECONDS))
        return answer

    def given(request: Asked, signed_in: SignedIn, *, by_cookie: bool) -> Answer[TokenPair]:
        if not by_cookie:
            return _pair(signed_in)
        browser.give(request, signed_in)
        return _kept(signed_in)

    @post("/refresh", status_code=200, responses=problems(InvalidRefresh, RefreshReused, ForeignOrigin))
    async def refresh(request: Asked, data: JSONBody[RefreshBody]) -> Answer[TokenPair]:
        """A new pair. A retry within 30 s gets the same successor; an older token ends the session."""
        if isinstance(data.refresh_token, UnsetType):
            if not browser.holds_refresh(request):
                raise BodyMissing("This needs a `refresh_token`, or the cookie that holds one.")
            browser.require_origin(request)
            return _kept(await browser.renew(request))
        return _pair(
            await sessions.refresh(
                data.refresh_token, request_id=_request_id(request), origin=origin_of(request)
            )
        )

    @post("/step-up", status_code=200, responses=problems(InvalidCredentials))
    async def step_up(request: Asked, data: JSONBody[StepUpBody]) -> Answer[TokenPair]:
        """Prove the password again; critical commands want that within five minutes."""
        asked, device = context(request, data, None, None), cookies.read(request, DEVICE)
        signed_in = await sessions.prove(data.password, asked, device=device)
        return given(request, signed_in, by_cookie=browser.used(request))

    @post("/logout", status_code=204)
    async def sign_out(request: Asked, data: JSONBody[LogoutBody]) -> Answer[None]:
        """End this session, or with `all` every session of yours. The access token stops at once."""
        await sessions.sign_out(context(request, data, None, None), everywhere=data.all)
        if browser.used(request):
            browser.take_away(request)
        return answers.nothing()

    @delete("/sessions/{ref:str}", status_code=200, responses=problems(SessionUnknown))
    async def close_session(request: Asked, ref: Ref) -> Answer[Receipt]:
        """End one of your sessions."""
        return answered(await sessions.close(id_of(ref), context(request, None, None, None)))

    return [
        Router(
            "/auth",
            route_handlers=[sign_in, refresh, registration],
            before_request=anybody,
            security=[{}],
            tags=["Authentication"],
        ),
        Router(
            "/auth",
            route_handlers=[step_up, sign_out, close_session],
            before_request=people,
            tags=["Authentication"],
        ),
    ]


def _pair(signed_in: SignedIn) -> Answer[TokenPair]:
    return answers.json_answer(
        TokenPair(
            access_token=signed_in.access_token,
            token_type="Bearer",  # noqa: S106 - the scheme's name
            expires_in=600,
            session_id=str(signed_in.session_id),
            refresh_token=signed_in.refresh_token or UNSET,
        )
    )


def _kept(signed_in: SignedIn) -> Answer[TokenPair]:
    """What is said of tokens that cookies hold."""
    said = TokenPair(token_type="Cookie", expires_in=600, session_id=str(signed_in.session_id))  # noqa: S106
    return answers.json_answer(said)


def _request_id(request: Asked) -> str:
    scope: Any = request.scope
    request_id: str = scope["request_id"]
    return request_id
