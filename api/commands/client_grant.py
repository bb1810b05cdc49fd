"""Rights given and taken by API clients, to people as an issuer calls them."""

from typing import Annotated, Any

from litestar import Router, post
from litestar.params import JSONBody
from msgspec import Meta, Struct, convert

from api import answers
from api.answers import Answer
from api.asking import Asked, DryRunFlag, IdempotencyKey, answered, context
from api.commands.internal import IssuerName, SaidEmail, SaidName, Sub
from api.fields import Body, Reason
from api.openapi import problems
from application import ports
from application.client_grant import ClientGrants, Person
from application.context import DryRun
from domain.grant.aggregate import GrantInvalid
from domain.grant.events import Grant, Right, Subject
from domain.user.refusals import (
    IdentityInvalid,
    UserIsBlocked,
    UserIsDeactivated,
    UserIsErased,
    UserNotFound,
)


def _word(example: str, description: str) -> Meta:
    return Meta(min_length=1, max_length=120, examples=[example], description=description)


class PermissionBody(Body, frozen=True, kw_only=True):
    """A right to a module of another system, which an administrator has registered: `POST /permissions/catalogue`."""

    sub: Sub
    issuer: IssuerName | None = None
    scope_type: Annotated[str, _word("site", "one of the module's own scope types")]
    scope_id: Annotated[str, _word("tw-main", "which one")]
    module: Annotated[str, _word("campaign", "a registered module")]
    action: Annotated[str, _word("view", "one of the module's actions")]


class GrantPermissionBody(PermissionBody, frozen=True, kw_only=True):
    email: SaidEmail | None = None
    display_name: SaidName | None = None


class RevokePermissionBody(PermissionBody, frozen=True, kw_only=True):
    reason: Reason = "Taken back by an API client."


class Granted(Struct, frozen=True, kw_only=True):
    permission_id: str
    result: str


class Revoked(Struct, frozen=True, kw_only=True):
    deleted: int
    result: str


def routes(grants: ClientGrants) -> Router:
    @post(
        "/grant",
        responses=problems(GrantInvalid, IdentityInvalid, UserIsDeactivated, UserIsBlocked, UserIsErased),
    )
    async def grant_permission(
        request: Asked,
        data: JSONBody[GrantPermissionBody],
        *,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Granted]:
        """Give a person a right within a scope of your system; the person is made when nobody knows him yet. Again:
        the same id, and nothing happens. Scopes that mean something here need grant:give, as for people.
        """
        asked = context(request, data, None, idempotency_key, dry_run=dry_run)
        said = await grants.give(
            lambda subject: convert(_right(data, subject), Grant),
            Person(sub=data.sub, issuer=data.issuer, email=data.email, display_name=data.display_name),
            asked,
        )
        if isinstance(said, DryRun):
            return answered(said)
        return _told(said, {"permission_id": said.id, "result": "granted"}, said.status)

    @post("/revoke", status_code=200, responses=problems(UserNotFound))
    async def revoke_permission(
        request: Asked,
        data: JSONBody[RevokePermissionBody],
        *,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Revoked]:
        """Take it back; `deleted` is 0 where there was nothing to take."""
        asked = context(request, data, None, idempotency_key, dry_run=dry_run)
        person = Person(sub=data.sub, issuer=data.issuer)
        said = await grants.revoke(
            lambda subject: convert(_right(data, subject), Right), person, data.reason, asked
        )
        if isinstance(said, DryRun):
            return answered(said)
        if said is None:
            return answers.json_answer({"events": []} if dry_run else {"deleted": 0, "result": "revoked"})
        return _told(said, {"deleted": int(said.status == 201), "result": "revoked"}, 200)

    return Router("/admin/permissions", route_handlers=[grant_permission, revoke_permission])


def _right(data: PermissionBody, subject: Subject) -> dict[str, Any]:
    names = ("scope_type", "scope_id", "module", "action")
    return {"subject": subject, **{name: getattr(data, name) for name in names}}


def _told(said: ports.Answer, body: dict[str, object], status: int) -> Answer[Any]:
    """The contract's members alone, with a receipt's headers."""
    headers = [header for header in answered(said).fields if header[0] != b"content-length"]
    return answers.Answer(status, answers.encode(body), headers)
