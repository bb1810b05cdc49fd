"""POST and PATCH of contracts."""

from typing import Any, ClassVar, Literal
from uuid import UUID

import msgspec
from litestar import Router, patch, post
from litestar.params import JSONBody
from msgspec import UNSET, UnsetType

from api.answers import Answer, Receipt
from api.asking import Asked, DryRunFlag, IdempotencyKey, IfMatch, answered, as_command, context
from api.conditions import KeyMissing
from api.fields import Body, Change, CustomId, Day, Id, Money, Nothing, Reason, Title
from api.openapi import problems
from api.refs import Ref, Refs
from application.access import StepUpRequired
from application.contract import ContactUnknown, Contracts, OrganisationNotOpen
from domain.contract.commands import (
    AmendContract,
    CancelContract,
    ChangeContract,
    DraftContract,
)
from domain.contract.refusals import (
    AlreadySigned,
    AmountBelowInvoiced,
    AmountBelowPaid,
    AmountMissing,
    AmountNegative,
    AmountUnwanted,
    ContractIsArchived,
    ContractIsCanceled,
    ContractUnknown,
    CurrencyDiffers,
    CustomIdTaken,
    IsInvoiced,
    IsPaid,
    NotSettled,
    NotSigned,
    OccasionAttached,
    SignedAmountFirm,
    SignedTermsFirm,
)
from domain.money import MoneyInvalid

PATH = "/api/v1/contracts"

ContractKind = Literal["sale", "cooperation"]

_TERMS = (
    CustomIdTaken,
    OrganisationNotOpen,
    ContactUnknown,
    MoneyInvalid,
    AmountMissing,
    AmountUnwanted,
    AmountNegative,
)
_OVER = (ContractUnknown, ContractIsCanceled, ContractIsArchived)


class DraftContractBody(Body, frozen=True, kw_only=True):
    """A sale has an amount, a cooperation none."""

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "kind": "sale",
        "organisation_id": "01981c5e-7a3b-7c11-9d55-2f6b8a4e1c07",
        "custom_id": "north-site.2026",
        "title": "Maintenance of the north site",
        "amount": {"amount": "12500.00", "currency": "EUR"},
        "due_on": "2026-12-31",
    }

    kind: ContractKind
    organisation_id: Id
    contact_id: Id | None = None
    custom_id: CustomId | None = None
    title: Title | None = None
    amount: Money | None = None
    due_on: Day | None = None


class ChangeContractBody(Body, frozen=True, kw_only=True):
    """Absent: unchanged; null: cleared. Of a signed contract kind, organisation and amount are firm."""

    kind: ContractKind | UnsetType = UNSET
    organisation_id: UUID | UnsetType = UNSET
    contact_id: Change[UUID] = UNSET
    custom_id: Change[CustomId] = UNSET
    title: Change[Title] = UNSET
    amount: Change[Money] = UNSET
    due_on: Change[Day] = UNSET


class AmendContractBody(Body, frozen=True, kw_only=True):
    amount: Money
    reason: Reason


class CancelContractBody(Body, frozen=True, kw_only=True):
    reason: Reason


class ArchiveContractBody(Nothing, frozen=True, kw_only=True):
    reason: Reason | None = None


def routes(contracts: Contracts, refs: Refs) -> Router:
    @post("/", responses=problems(*_TERMS))
    async def draft_contract(
        request: Asked,
        data: JSONBody[DraftContractBody],
        *,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Draft a contract with an organisation; it starts unsigned."""
        asked = context(request, data, None, idempotency_key, dry_run=dry_run)
        return answered(await contracts.draft(as_command(data, DraftContract), asked), at=PATH)

    @patch("/{ref:str}", responses=problems(*_OVER, SignedAmountFirm, SignedTermsFirm, *_TERMS))
    async def change_contract(
        request: Asked,
        ref: Ref,
        data: JSONBody[ChangeContractBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Change what stands in the body."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        changes: dict[str, Any] = msgspec.to_builtins(data)
        said = await contracts.change(await refs.id("contract", ref), ChangeContract(changes=changes), asked)
        return answered(said)

    @post(
        "/{ref:str}/sign",
        status_code=200,
        responses=problems(*_OVER, AlreadySigned, KeyMissing, StepUpRequired),
    )
    async def sign_contract(
        request: Asked,
        ref: Ref,
        data: JSONBody[Nothing],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Sign it: who, when, which version and its SHA-256 are recorded. Signing again oneself changes nothing."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run, key_required=True)
        return answered(await contracts.sign(await refs.id("contract", ref), asked))

    @post(
        "/{ref:str}/amend",
        status_code=200,
        responses=problems(
            *_OVER,
            NotSigned,
            KeyMissing,
            MoneyInvalid,
            AmountNegative,
            AmountUnwanted,
            CurrencyDiffers,
            AmountBelowPaid,
            AmountBelowInvoiced,
        ),
    )
    async def amend_contract(
        request: Asked,
        ref: Ref,
        data: JSONBody[AmendContractBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Change the amount of a signed contract, in its currency, to no less than was paid or invoiced."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run, key_required=True)
        said = await contracts.amend(await refs.id("contract", ref), as_command(data, AmendContract), asked)
        return answered(said)

    @post(
        "/{ref:str}/cancel",
        status_code=200,
        responses=problems(*_OVER, IsPaid, IsInvoiced, OccasionAttached, KeyMissing, StepUpRequired),
    )
    async def cancel_contract(
        request: Asked,
        ref: Ref,
        data: JSONBody[CancelContractBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Cancel it, signed or not, when no money, no invoice and no occasion stands on it. That is final."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run, key_required=True)
        said = await contracts.cancel(await refs.id("contract", ref), as_command(data, CancelContract), asked)
        return answered(said)

    @post(
        "/{ref:str}/archive",
        status_code=200,
        responses=problems(ContractUnknown, NotSettled, OccasionAttached),
    )
    async def archive_contract(
        request: Asked,
        ref: Ref,
        data: JSONBody[ArchiveContractBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """File it away: it stays readable, keeps its status and custom id, and cannot be changed any more.

        A signed contract with money still to come must be paid or canceled first, and its occasions must be over.
        """
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await contracts.archive(await refs.id("contract", ref), data.reason, asked))

    return Router(
        "/contracts",
        route_handlers=[
            draft_contract,
            change_contract,
            sign_contract,
            amend_contract,
            cancel_contract,
            archive_contract,
        ],
        tags=["Contracts"],
    )
