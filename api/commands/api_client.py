"""POST and PATCH of API clients, for administrators."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from litestar import Router, patch, post
from litestar.params import JSONBody
from msgspec import UNSET, Meta, UnsetType

from api.answers import Answer, Receipt
from api.asking import Asked, DryRunFlag, IdempotencyKey, IfMatch, answered, as_command, context
from api.fields import END, Body, Change, Instant, Name, Nothing, Reason, Secret
from api.openapi import problems
from api.refs import Ref, id_of
from api.route_templates import covered, templates
from application.access import StepUpRequired
from application.api_client import ApiClients, Registration
from domain.api_client.aggregate import ApiClientInvalid, ApiClientKeyTaken, ApiClientUnknown, TooManyKeys

PATH = "/api/v1/api-clients"


def _entries(entry: str) -> Meta:
    return Meta(max_length=100, examples=[[entry]])


_Entry = Annotated[str, Meta(min_length=1, max_length=300)]
Origins = Annotated[tuple[_Entry, ...], _entries("https://app.example.org")]
Ips = Annotated[tuple[_Entry, ...], _entries("10.0.0.0/8")]
Paths = Annotated[tuple[_Entry, ...], _entries("/organisations/{id}")]
Limit = Annotated[int, Meta(ge=1, le=10_000_000, examples=[600])]
ClientKeyName = Annotated[
    str,
    Meta(
        pattern=rf"^[A-Za-z0-9][A-Za-z0-9._-]{{0,119}}{END}",
        examples=["mkt-backend"],
        description="letters, digits, dots, underscores and hyphens, at most 120",
    ),
]


class RegisterApiClientBody(Body, frozen=True, kw_only=True):
    """With `client_key` and `api_key_hash` a client of another system comes with the key that it has."""

    name: Name
    kind: Literal["server", "browser"] = "server"
    client_key: ClientKeyName | None = None
    api_key_hash: Secret | None = None
    allowed_origins: Origins = ()
    allowed_ips: Ips = ()
    allowed_paths: Paths = ()
    rate_limit_per_min: Limit | None = None
    expires_at: Instant | None = None


class ChangeApiClientBody(Nothing, frozen=True, kw_only=True):
    """Absent: unchanged; null: cleared. A list takes the place of the one before."""

    name: Name | UnsetType = UNSET
    allowed_origins: Change[Origins] = UNSET
    allowed_ips: Change[Ips] = UNSET
    allowed_paths: Change[Paths] = UNSET
    rate_limit_per_min: Change[Limit] = UNSET
    expires_at: Change[Instant] = UNSET


class AddApiKeyBody(Nothing, frozen=True, kw_only=True):
    overlap_hours: Annotated[int, Meta(ge=0, le=720, examples=[24])] = 24


class DisableApiClientBody(Nothing, frozen=True, kw_only=True):
    reason: Reason | None = None


class Registered(Receipt, frozen=True, kw_only=True):
    """`api_key` is shown this once; null in a replay, absent for a key that was imported."""

    client_key: str
    api_key: str | None | UnsetType = UNSET
    shown_once: bool | UnsetType = UNSET


class KeyMade(Receipt, frozen=True, kw_only=True):
    """`api_key` is shown this once; null in a replay."""

    key_id: str
    api_key: str | None
    shown_once: bool | UnsetType = UNSET


def routes(clients: ApiClients) -> Router:
    @post("/", responses=problems(ApiClientInvalid, ApiClientKeyTaken, StepUpRequired))
    async def register_api_client(
        request: Asked,
        data: JSONBody[RegisterApiClientBody],
        *,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Registered]:
        """Register a program that asks as itself. It may do what it is granted, and nothing before."""
        asked = context(request, data, None, idempotency_key, dry_run=dry_run)
        return answered(
            await clients.register(as_command(data, Registration), _covered(request), asked), at=PATH
        )

    @patch("/{ref:str}", responses=problems(ApiClientUnknown, ApiClientInvalid, StepUpRequired))
    async def change_api_client(
        request: Asked,
        ref: Ref,
        data: JSONBody[ChangeApiClientBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Change what stands in the body; its next request is judged by it."""
        changes: dict[str, Any] = msgspec.to_builtins(data)
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await clients.change(id_of(ref), changes, _covered(request), asked))

    @post("/{ref:str}/keys", responses=problems(ApiClientUnknown, TooManyKeys, StepUpRequired))
    async def add_api_key(
        request: Asked,
        ref: Ref,
        data: JSONBody[AddApiKeyBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[KeyMade]:
        """Give it another key; those before it go on for `overlap_hours`, 0 ends them now. At most five at a time."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await clients.add_key(id_of(ref), data.overlap_hours, asked))

    @post("/{ref:str}/disable", status_code=200, responses=problems(ApiClientUnknown, StepUpRequired))
    async def disable_api_client(
        request: Asked,
        ref: Ref,
        data: JSONBody[DisableApiClientBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Keep it out, from its next request on."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await clients.disable(id_of(ref), data.reason, asked))

    @post("/{ref:str}/enable", status_code=200, responses=problems(ApiClientUnknown, StepUpRequired))
    async def enable_api_client(
        request: Asked,
        ref: Ref,
        data: JSONBody[Nothing],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Let it in again, with the keys and rights it had."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await clients.enable(id_of(ref), asked))

    return Router(
        "/api-clients",
        route_handlers=[
            register_api_client,
            change_api_client,
            add_api_key,
            disable_api_client,
            enable_api_client,
        ],
        tags=["API clients"],
    )


def _covered(request: Asked) -> Callable[[str], bool]:
    return partial(covered, known=templates(request.app))
