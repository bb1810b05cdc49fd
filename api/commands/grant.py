"""POST of grants: give a right, take it back."""

from typing import Annotated, Literal

from litestar import Router, post
from litestar.params import JSONBody
from msgspec import Meta

from api.answers import Answer, Receipt
from api.asking import Asked, DryRunFlag, IdempotencyKey, IfMatch, answered, as_command, context
from api.fields import Body, Id, Instant, Reason
from api.openapi import problems
from api.refs import Ref, id_of
from application.access import StepUpRequired
from application.grant import Grants
from domain.grant.aggregate import GrantInvalid, GrantToOneself, GrantUnknown
from domain.grant.events import Grant

PATH = "/api/v1/grants"


def _word(example: str, description: str) -> Meta:
    return Meta(min_length=1, max_length=120, examples=[example], description=description)


class SubjectBody(Body, frozen=True, kw_only=True):
    type: Literal["user", "department", "client"]
    id: Id


class GiveGrantBody(Body, frozen=True, kw_only=True):
    """One right. `GET /permissions/catalogue` lists modules, their actions and scope types."""

    subject: SubjectBody
    scope_type: Annotated[
        str, _word("organisation", "global, own, department, organisation, or a foreign one")
    ]
    scope_id: Annotated[
        str, _word("01981c5e-7a3b-7c11-9d55-2f6b8a4e1c07", "`*` for global and own, else which one")
    ]
    module: Annotated[str, _word("contract", "a module of the catalogue")]
    action: Annotated[str, _word("view", "one of the module's actions")]
    not_before: Instant | None = None
    expires_at: Instant | None = None
    grantable: bool = False
    reason: Reason | None = None


class RevokeGrantBody(Body, frozen=True, kw_only=True):
    reason: Reason


def routes(grants: Grants) -> Router:
    @post("/", responses=problems(GrantInvalid, GrantToOneself, StepUpRequired))
    async def give_grant(
        request: Asked,
        data: JSONBody[GiveGrantBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Give somebody else a right you hold yourself, grantable. One id per right: given again on other terms it is
        changed; on the same terms nothing happens (200).
        """
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await grants.give(as_command(data, Grant), asked), at=PATH)

    @post("/{ref:str}/revoke", status_code=200, responses=problems(GrantUnknown, StepUpRequired))
    async def revoke_grant(
        request: Asked,
        ref: Ref,
        data: JSONBody[RevokeGrantBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Take it back: the next command that would rely on it is refused."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await grants.revoke(id_of(ref), data.reason, asked))

    return Router("/grants", route_handlers=[give_grant, revoke_grant], tags=["Grants"])
