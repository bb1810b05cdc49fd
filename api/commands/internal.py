"""What other systems' back ends ask for by the service secret or as API clients: people as an issuer calls them."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import Router, post
from litestar.params import JSONBody
from msgspec import Meta, Struct

from api import answers
from api.answers import Answer
from api.asking import Asked, DryRunFlag, IdempotencyKey, answered, as_command, context
from api.fields import VERBATIM, Body, Email, Nothing
from api.openapi import problems
from api.outages import IdentityProviderNotConfigured, IdentityProviderUnavailable
from application.context import DryRun
from application.outside import Provisioning
from application.provider import ProviderRefused, ProviderUsers, Wish
from domain.user.refusals import IdentityInvalid, LastAdmin, UserIsErased

Sub = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        examples=["a3f1c9e2"],
        description="the person's subject at the issuer, exactly",
    ),
    VERBATIM,
]
IssuerName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=512,
        examples=["https://idp.example/application/o/portal/"],
        description="exactly as in its tokens; without one: the first configured issuer",
    ),
    VERBATIM,
]
SaidEmail = Annotated[str, Meta(min_length=1, max_length=512, examples=["marie.curie@example.org"])]
SaidName = Annotated[str, Meta(min_length=1, max_length=512, examples=["Marie Curie"])]
Shown = Callable[[UUID], Awaitable[bytes]]
"""The record of a user as the log has it now."""


class UpsertBySubBody(Body, frozen=True, kw_only=True):
    """Only what is given changes. What cannot be taken over is named by the identity's `last_error`."""

    sub: Sub
    issuer: IssuerName | None = None
    email: SaidEmail | None = None
    display_name: SaidName | None = None
    is_active: bool | None = None


class ShownIdentity(Struct, frozen=True, kw_only=True):
    issuer: str
    sub: str | None
    last_synced_at: datetime
    last_error: str | None


class ShownUser(Struct, frozen=True, kw_only=True):
    """The whole user, as `GET /users/{id}` answers it."""

    id: UUID
    version: int
    position: int
    sub: str
    email: str | None
    display_name: str | None
    role: str
    state: str
    identities: list[ShownIdentity]


class EnsureUserBody(Nothing, frozen=True, kw_only=True):
    """At least one of `sub`, `username` and `email`. Of a sub that is known here address and name may stay away."""

    sub: Sub | None = None
    issuer: IssuerName | None = None
    username: Annotated[str, Meta(min_length=1, max_length=150, examples=["marie.curie"])] | None = None
    email: Email | None = None
    display_name: SaidName | None = None
    is_active: bool | None = None


class EnsuredUser(Struct, frozen=True, kw_only=True):
    """`result`: created, updated or unchanged."""

    authentik_user_id: int | str
    result: str


def routes(users: Provisioning, provider: ProviderUsers, shown: Shown, issuer: str) -> list[Router]:
    """`issuer`: the one that is meant where none is named."""

    @post("/upsert-by-sub", responses=problems(IdentityInvalid, LastAdmin, UserIsErased))
    async def upsert_user_by_sub(
        request: Asked,
        data: JSONBody[UpsertBySubBody],
        *,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[ShownUser]:
        """Make the user whom the issuer calls `sub` (201), or bring him up to date (200). Accounts are never linked by
        e-mail: an address that somebody else has is left out.
        """
        said = await users.provision(
            data.issuer or issuer,
            data.sub,
            email=data.email,
            display_name=data.display_name,
            is_active=data.is_active,
            context=context(request, data, None, idempotency_key, dry_run=dry_run),
        )
        if isinstance(said, DryRun):
            return answered(said)
        headers = answered(said, at="/api/v1/users").fields
        body = await shown(said.id)
        kept = [header for header in headers if header[0] != b"content-length"]
        return answers.Answer(said.status, body, kept)

    @post(
        "/ensure",
        status_code=200,
        responses=problems(
            IdentityInvalid, ProviderRefused, IdentityProviderUnavailable, IdentityProviderNotConfigured
        ),
    )
    async def ensure_user_at_provider(
        request: Asked,  # noqa: ARG001 - every command has it
        data: JSONBody[EnsureUserBody],
    ) -> Answer[EnsuredUser]:
        """Make the person at the identity provider, or bring him up to date there; twice makes one. While it is away
        the answer is 503 and the wish is kept: it will be carried out, and the user's identity says how it went.
        """
        ensured = await provider.ensure(as_command(data, Wish))
        return answers.json_answer(EnsuredUser(authentik_user_id=ensured.id, result=ensured.result))

    return [
        Router("/internal/users", route_handlers=[upsert_user_by_sub]),
        Router("/internal/authentik/users", route_handlers=[ensure_user_at_provider]),
    ]
