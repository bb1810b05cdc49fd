"""POST and PATCH of users, and of oneself."""

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Router, patch, post
from litestar.params import JSONBody
from msgspec import UNSET, Meta

from api.answers import Answer, Receipt
from api.asking import Asked, DryRunFlag, IdempotencyKey, IfMatch, answered, as_command, context
from api.fields import END, Body, Change, Email, Id, Name, Nothing, Password, Phone, Reason, Title
from api.openapi import problems
from api.refs import Ref, id_of
from application.password import PasswordRefused
from application.password_change import PasswordChanges
from application.user import EmailDomainRefused, Users
from domain.user.commands import RegisterUser
from domain.user.refusals import (
    AboveYou,
    DepartmentNotOpen,
    DepartmentOfOneself,
    EmailTaken,
    LastAdmin,
    StaffNumberTaken,
    UserIsBlocked,
    UserIsDeactivated,
    UserIsErased,
    UserUnknown,
)

PATH = "/api/v1/users"
Role = Literal["user", "moderator", "admin"]
StaffNumber = Annotated[
    str,
    Meta(
        pattern=rf"^[A-Za-z0-9][A-Za-z0-9._-]{{0,63}}{END}",
        examples=["aa123456789"],
        description="letters, digits, . _ -",
    ),
]


class CreateUserBody(Body, frozen=True, kw_only=True):
    email: Email
    first_name: Name
    last_name: Name
    patronymic: Name | None = None
    phone: Phone | None = None
    role: Role = "user"
    staff_number: StaffNumber | None = None
    job_title: Title | None = None
    department_id: Id | None = None


class RegisterBody(Body, frozen=True, kw_only=True):
    email: Email
    password: Password
    first_name: Name
    last_name: Name
    patronymic: Name | None = None


class ChangeMeBody(Body, frozen=True, kw_only=True):
    """Absent: unchanged; null: cleared."""

    first_name: Name | msgspec.UnsetType = UNSET
    last_name: Name | msgspec.UnsetType = UNSET
    patronymic: Change[Name] = UNSET
    phone: Change[Phone] = UNSET
    avatar_file_id: Change[UUID] = UNSET


class ChangeUserBody(ChangeMeBody, frozen=True, kw_only=True):
    email: Email | msgspec.UnsetType = UNSET
    staff_number: Change[StaffNumber] = UNSET
    job_title: Change[Title] = UNSET


class RoleBody(Body, frozen=True, kw_only=True):
    role: Role


class DepartmentBody(Body, frozen=True, kw_only=True):
    """null: he belongs to none."""

    department_id: Id | None


class BlockBody(Body, frozen=True, kw_only=True):
    reason: Reason


class ResetPasswordBody(Nothing, frozen=True, kw_only=True):
    password: Password | None = None


class ChangePasswordBody(Body, frozen=True, kw_only=True):
    old: Password
    new: Password


def routes(users: Users, passwords: PasswordChanges) -> Router:
    @post(
        "/",
        responses=problems(EmailTaken, StaffNumberTaken, EmailDomainRefused, DepartmentNotOpen, AboveYou),
    )
    async def create_user(
        request: Asked,
        data: JSONBody[CreateUserBody],
        *,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Open an account for somebody. `temporary_password` is shown once and must be changed."""
        asked = context(request, data, None, idempotency_key, dry_run=dry_run)
        return answered(await users.create(as_command(data, RegisterUser), asked), at=PATH)

    @patch(
        "/{ref:str}",
        responses=problems(
            UserUnknown, UserIsErased, EmailTaken, StaffNumberTaken, EmailDomainRefused, AboveYou
        ),
    )
    async def change_user(
        request: Asked,
        ref: Ref,
        data: JSONBody[ChangeUserBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Change what stands in the body."""
        changes: dict[str, Any] = msgspec.to_builtins(data)
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await users.change(id_of(ref), changes, asked))

    @post(
        "/{ref:str}/role", status_code=200, responses=problems(UserUnknown, UserIsErased, AboveYou, LastAdmin)
    )
    async def change_role(
        request: Asked,
        ref: Ref,
        data: JSONBody[RoleBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Give another role; all sessions of the user end."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await users.change_role(id_of(ref), data.role, asked))

    @post(
        "/{ref:str}/department",
        status_code=200,
        responses=problems(UserUnknown, UserIsErased, AboveYou, DepartmentOfOneself, DepartmentNotOpen),
    )
    async def change_department(
        request: Asked,
        ref: Ref,
        data: JSONBody[DepartmentBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Put somebody into a department, or into none; its rights are his at once."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await users.change_department(id_of(ref), data.department_id, asked))

    @post(
        "/{ref:str}/block",
        status_code=200,
        responses=problems(UserUnknown, UserIsErased, AboveYou, LastAdmin, UserIsDeactivated),
    )
    async def block_user(
        request: Asked,
        ref: Ref,
        data: JSONBody[BlockBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Keep somebody out, at once; the role is kept for the day of the unblock."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await users.block(id_of(ref), data.reason, asked))

    @post("/{ref:str}/unblock", status_code=200, responses=problems(UserUnknown, UserIsErased, AboveYou))
    async def unblock_user(
        request: Asked,
        ref: Ref,
        data: JSONBody[Nothing],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Let somebody in again, with the role of before."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await users.unblock(id_of(ref), asked))

    @post(
        "/{ref:str}/deactivate",
        status_code=200,
        responses=problems(UserUnknown, UserIsErased, AboveYou, LastAdmin),
    )
    async def deactivate_user(
        request: Asked,
        ref: Ref,
        data: JSONBody[Nothing],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """The account stays, nobody signs in with it; its sessions end."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await users.deactivate(id_of(ref), asked))

    @post(
        "/{ref:str}/reactivate",
        status_code=200,
        responses=problems(UserUnknown, UserIsErased, AboveYou, UserIsBlocked),
    )
    async def reactivate_user(
        request: Asked,
        ref: Ref,
        data: JSONBody[Nothing],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Open a deactivated account again."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await users.reactivate(id_of(ref), asked))

    @post(
        "/{ref:str}/password",
        status_code=200,
        responses=problems(UserUnknown, UserIsErased, AboveYou, PasswordRefused),
    )
    async def reset_password(
        request: Asked,
        ref: Ref,
        data: JSONBody[ResetPasswordBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Set a password for somebody who lost it; without one a `temporary_password` is made and shown once."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await passwords.reset(id_of(ref), data.password, asked))

    return Router(
        "/users",
        route_handlers=[
            create_user,
            change_user,
            change_role,
            change_department,
            block_user,
            unblock_user,
            deactivate_user,
            reactivate_user,
            reset_password,
        ],
    )
