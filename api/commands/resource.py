"""POST and PATCH of information resources."""

from typing import Annotated, Any

import msgspec
from litestar import Router, patch, post
from litestar.params import JSONBody
from msgspec import UNSET, Meta, UnsetType

from api.answers import Answer, Receipt
from api.asking import Asked, DryRunFlag, IdempotencyKey, IfMatch, answered, as_command, context
from api.fields import Body, Change, Day, Id, LongText, Name, Nothing, Reason, Title
from api.openapi import problems
from api.refs import Ref, id_of
from application.resource import IndustryUnknown, Resources
from domain.organisation.aggregate import OrganisationIsArchived, OrganisationUnknown
from domain.resource.aggregate import ResourceInvalid, ResourceIsRetired, ResourceUnknown
from domain.resource.commands import AddResource, ChangeResource, RetireResource

PATH = "/api/v1/resources"

Category = Annotated[int, Meta(ge=0, le=3, description="0: none; 1 to 3 by law 187-FZ", examples=[2])]
RegistryNumber = Annotated[str, Meta(min_length=1, max_length=15, examples=["000123-77"])]
Industries = Annotated[tuple[Id, ...], Meta(max_length=50)]


class AddResourceBody(Body, frozen=True, kw_only=True):
    organisation_id: Id
    name: Title
    category: Category = 0
    is_okii: bool = False
    fstec_reg_number: RegistryNumber | None = None
    fstec_added_on: Day | None = None
    fstec_updated_on: Day | None = None
    address: LongText | None = None
    responsible_worker: Name | None = None
    ip_pool: LongText | None = None
    dns_pool: LongText | None = None
    industry_ids: Industries = ()


class ChangeResourceBody(Body, frozen=True, kw_only=True):
    """Absent: unchanged; null: cleared. A resource stays with its organisation."""

    name: Title | UnsetType = UNSET
    category: Category | UnsetType = UNSET
    is_okii: bool | UnsetType = UNSET
    fstec_reg_number: Change[RegistryNumber] = UNSET
    fstec_added_on: Change[Day] = UNSET
    fstec_updated_on: Change[Day] = UNSET
    address: Change[LongText] = UNSET
    responsible_worker: Change[Name] = UNSET
    ip_pool: Change[LongText] = UNSET
    dns_pool: Change[LongText] = UNSET
    industry_ids: Industries | UnsetType = UNSET


class RetireResourceBody(Nothing, frozen=True, kw_only=True):
    reason: Reason | None = None


def routes(resources: Resources) -> Router:
    @post(
        "/", responses=problems(OrganisationUnknown, OrganisationIsArchived, ResourceInvalid, IndustryUnknown)
    )
    async def add_resource(
        request: Asked,
        data: JSONBody[AddResourceBody],
        *,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Add an information resource. Its regions follow from the postal codes in its address."""
        asked = context(request, data, None, idempotency_key, dry_run=dry_run)
        return answered(await resources.add(as_command(data, AddResource), asked), at=PATH)

    @patch(
        "/{ref:str}", responses=problems(ResourceUnknown, ResourceIsRetired, ResourceInvalid, IndustryUnknown)
    )
    async def change_resource(
        request: Asked,
        ref: Ref,
        data: JSONBody[ChangeResourceBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Change what stands in the body."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        changes: dict[str, Any] = msgspec.to_builtins(data)
        return answered(await resources.change(id_of(ref), ChangeResource(changes=changes), asked))

    @post("/{ref:str}/retire", status_code=200, responses=problems(ResourceUnknown))
    async def retire_resource(
        request: Asked,
        ref: Ref,
        data: JSONBody[RetireResourceBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Take it out of use: it stays readable, and cannot be changed any more."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await resources.retire(id_of(ref), as_command(data, RetireResource), asked))

    return Router(
        "/resources", route_handlers=[add_resource, change_resource, retire_resource], tags=["Resources"]
    )
