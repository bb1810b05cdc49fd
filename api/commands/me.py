"""What people do with their own account."""

from typing import Any

import msgspec
from litestar import Router, delete, patch, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody

from api.answers import Answer, Receipt
from api.asking import Asked, DryRunFlag, IdempotencyKey, IfMatch, answered, context
from api.auth import origin_of
from api.commands.session import DEVICE
from api.commands.user import PATH, ChangeMeBody, ChangePasswordBody, RegisterBody
from api.cookies import Cookies
from api.openapi import problems
from application.password import PasswordRefused
from application.password_change import PasswordChanges
from application.proof import InvalidCredentials
from application.user import EmailDomainRefused, RegistrationClosed, Users
from domain.user.commands import RegisterUser
from domain.user.refusals import EmailTaken, LastAdmin


def routes(users: Users, passwords: PasswordChanges, cookies: Cookies) -> Router:
    @patch("/")
    async def change_me(
        request: Asked,
        data: JSONBody[ChangeMeBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Change your own profile."""
        changes: dict[str, Any] = msgspec.to_builtins(data)
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await users.change_own(changes, asked))

    @post("/password", status_code=200, responses=problems(InvalidCredentials, PasswordRefused))
    async def change_password(
        request: Asked,
        data: JSONBody[ChangePasswordBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Change your password; your other sessions end."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(
            await passwords.change(data.old, data.new, asked, device=cookies.read(request, DEVICE))
        )

    @delete("/", status_code=200, responses=problems(LastAdmin))
    async def leave(
        request: Asked,
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Deactivate your account: your sessions end, the row stays."""
        return answered(await users.leave(context(request, None, if_match, idempotency_key, dry_run=dry_run)))

    return Router("/me", route_handlers=[change_me, change_password, leave])


def registration(users: Users) -> HTTPRouteHandler:
    @post(
        "/register", responses=problems(RegistrationClosed, EmailTaken, EmailDomainRefused, PasswordRefused)
    )
    async def register(request: Asked, data: JSONBody[RegisterBody]) -> Answer[Receipt]:
        """Open an account of your own, where that is allowed."""
        command = RegisterUser(
            email=data.email,
            role="user",
            first_name=data.first_name,
            last_name=data.last_name,
            patronymic=data.patronymic,
        )
        scope: Any = request.scope
        origin = origin_of(request)
        said = await users.register(command, data.password, request_id=scope["request_id"], origin=origin)
        return answered(said, at=PATH)

    return register
