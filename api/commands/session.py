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
    transport: Literal["bearer", "cli"] = "bearer"


class RefreshBody(Body, frozen=True, kw_only=True):
    refresh_token: Secret


class StepUpBody(Body, frozen=True, kw_only=True):
    password: Password


class LogoutBody(Nothing, frozen=True, kw_only=True):
    all: bool = False


class TokenPair(Struct, frozen=True, kw_only=True):
    access_token: str
    token_type: str
    expires_in: int
    session_id: str
    refresh_token: str | UnsetType = UNSET


def routes(
    sessions: Sessions, people: Lane, registration: HTTPRouteHandler, cookies: Cookies
) -> list[Router]:
    @post("/login", status_code=200, responses=problems(InvalidCredentials, AccountBlocked))
    async def sign_in(request: Asked, data: JSONBody[LoginBody]) -> Answer[TokenPair]:
        """E-mail or staff number, and the password. Unknown and wrong look the same and take the same time."""
        signed_in = await sessions.sign_in(
            data.login,
            data.password,
            transport=data.transport,
            request_id=_request_id(request),
            origin=origin_of(request),
            device=cookies.read(request, DEVICE),
        )
        answer = _pair(signed_in)
        answer.fields.append(cookies.set(DEVICE, signed_in.device or "", seconds=DEVICE_SECONDS))
        return answer

    @post("/refresh", status_code=200, responses=problems(InvalidRefresh, RefreshReused))
    async def refresh(request: Asked, data: JSONBody[RefreshBody]) -> Answer[TokenPair]:
        """A new pair. A retry within 30 s gets the same successor; an older token ends the session."""
        return _pair(
            await sessions.refresh(
                data.refresh_token, request_id=_request_id(request), origin=origin_of(request)
            )
        )

    @post("/step-up", status_code=200, responses=problems(InvalidCredentials))
    async def step_up(request: Asked, data: JSONBody[StepUpBody]) -> Answer[TokenPair]:
        """Prove the password again; critical commands want that within five minutes."""
        asked, device = context(request, data, None, None), cookies.read(request, DEVICE)
        return _pair(await sessions.prove(data.password, asked, device=device))

    @post("/logout", status_code=204)
    async def sign_out(request: Asked, data: JSONBody[LogoutBody]) -> Answer[None]:
        """End this session, or with `all` every session of yours. The access token stops at once."""
        await sessions.sign_out(context(request, data, None, None), everywhere=data.all)
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


def _request_id(request: Asked) -> str:
    scope: Any = request.scope
    request_id: str = scope["request_id"]
    return request_id
