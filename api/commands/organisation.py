"""POST and PATCH of organisations."""

from datetime import date
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Router, patch, post
from litestar.params import JSONBody
from msgspec import UNSET, Meta, UnsetType

from api.answers import Answer, Receipt
from api.asking import Asked, DryRunFlag, IdempotencyKey, IfMatch, answered, as_command, context
from api.fields import END, Body, Change, Day, Id, Identifier, LongText, Name, Nothing, Reason, Title
from api.openapi import problems
from api.refs import Ref, id_of
from application.organisation import AccountManagerUnknown, Organisations
from domain.organisation.aggregate import OrganisationDuplicate, OrganisationIsArchived, OrganisationUnknown
from domain.organisation.commands import AddOrganisation, ArchiveOrganisation, ChangeOrganisation

PATH = "/api/v1/organisations"


def _digits(pattern: str, example: str, description: str) -> Meta:
    return Meta(pattern=f"^{pattern}{END}", examples=[example], description=description)


Inn = Annotated[
    str, _digits("[0-9]{10}([0-9]{2})?", "7707083893", "Russian taxpayer number: 10 digits, or 12")
]
Kpp = Annotated[str, _digits("[0-9]{4}[0-9A-Z]{2}[0-9]{3}", "773601001", "Russian reason code: 9 characters")]
Ogrn = Annotated[
    str, _digits("[0-9]{13}([0-9]{2})?", "1027700132195", "Russian state register number: 13 digits, or 15")
]
Siren = Annotated[str, _digits("[0-9]{9}", "356000000", "French company number: 9 digits")]
Nic = Annotated[str, _digits("[0-9]{5}", "00048", "French establishment number: 5 digits")]
Code = Annotated[str, Meta(min_length=1, max_length=20, examples=["53.10Z"])]


class IdentifiersBody(Body, frozen=True, kw_only=True):
    inn: Inn | None | UnsetType = UNSET
    kpp: Kpp | None | UnsetType = UNSET
    ogrn: Ogrn | None | UnsetType = UNSET
    siren: Siren | None | UnsetType = UNSET
    nic: Nic | None | UnsetType = UNSET
    tax_id: Identifier | None | UnsetType = UNSET


class AddressBody(Body, frozen=True, kw_only=True):
    text: LongText
    postal_code: Code | None = None
    locality: Name | None = None
    complement: Title | None = None
    country: Name | None = None


class AddressesBody(Body, frozen=True, kw_only=True):
    legal: AddressBody | None | UnsetType = UNSET
    factual: AddressBody | None | UnsetType = UNSET
    mailing: AddressBody | None | UnsetType = UNSET


class ManagementBody(Body, frozen=True, kw_only=True):
    position: Name | None = None
    name: Name | None = None


FullName = Annotated[str, Meta(min_length=1, max_length=1000, examples=["La Poste"])]


class AddOrganisationBody(Body, frozen=True, kw_only=True):
    full_name: FullName
    short_name: Title | None = None
    identifiers: IdentifiersBody = IdentifiersBody()
    addresses: AddressesBody = AddressesBody()
    management: ManagementBody | None = None
    region_code: Code | None = None
    is_gov: bool = False
    is_military: bool = False
    is_liquidated: bool = False
    activity_code: Code | None = None
    headcount_band: Code | None = None
    started_on: Day | None = None
    account_manager_id: Id | None = None


class ChangeOrganisationBody(Body, frozen=True, kw_only=True):
    """Absent: unchanged; null: cleared. Identifiers and addresses merge member by member."""

    full_name: FullName | UnsetType = UNSET
    short_name: Change[Title] = UNSET
    identifiers: IdentifiersBody | UnsetType = UNSET
    addresses: AddressesBody | UnsetType = UNSET
    management: Change[ManagementBody] = UNSET
    region_code: Change[Code] = UNSET
    is_gov: bool | UnsetType = UNSET
    is_military: bool | UnsetType = UNSET
    is_liquidated: bool | UnsetType = UNSET
    activity_code: Change[Code] = UNSET
    headcount_band: Change[Code] = UNSET
    started_on: Change[date] = UNSET
    account_manager_id: Change[UUID] = UNSET


class ArchiveOrganisationBody(Nothing, frozen=True, kw_only=True):
    reason: Reason | None = None


def routes(organisations: Organisations) -> Router:
    @post("/", responses=problems(OrganisationDuplicate, AccountManagerUnknown))
    async def add_organisation(
        request: Asked,
        data: JSONBody[AddOrganisationBody],
        *,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Register an organisation. Wrong check digits are accepted with warnings."""
        said = await organisations.add(
            as_command(data, AddOrganisation), context(request, data, None, idempotency_key, dry_run=dry_run)
        )
        return answered(said, at=PATH)

    @patch(
        "/{ref:str}",
        responses=problems(
            OrganisationUnknown, OrganisationDuplicate, OrganisationIsArchived, AccountManagerUnknown
        ),
    )
    async def change_organisation(
        request: Asked,
        ref: Ref,
        data: JSONBody[ChangeOrganisationBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Change what stands in the body."""
        changes: dict[str, Any] = msgspec.to_builtins(data)
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await organisations.change(id_of(ref), ChangeOrganisation(changes=changes), asked))

    @post("/{ref:str}/archive", status_code=200, responses=problems(OrganisationUnknown))
    async def archive_organisation(
        request: Asked,
        ref: Ref,
        data: JSONBody[ArchiveOrganisationBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Archive it: it stays readable, keeps its register numbers, and cannot be changed any more."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await organisations.archive(id_of(ref), as_command(data, ArchiveOrganisation), asked))

    return Router(
        "/organisations",
        route_handlers=[add_organisation, change_organisation, archive_organisation],
        tags=["Organisations"],
    )
