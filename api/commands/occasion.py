"""POST and PATCH of occasions."""

from typing import Annotated, Any, ClassVar
from uuid import UUID

import msgspec
from litestar import Router, patch, post
from litestar.params import JSONBody
from msgspec import UNSET, Meta, UnsetType

from api.answers import Answer, Receipt
from api.asking import Asked, DryRunFlag, IdempotencyKey, IfMatch, answered, as_command, context
from api.fields import Body, Change, Count, Id, Instant, LongText, Nothing, Reason, Title
from api.openapi import problems
from api.refs import Ref, id_of
from application.occasion import NotOfSupport, Occasions
from domain.contract.commands import AddOccasion
from domain.contract.events import Arrangement
from domain.contract.refusals import (
    ContractIsArchived,
    ContractIsCanceled,
    ContractUnknown,
    NotSigned,
    OccasionIsWithdrawn,
    OccasionTimesWrong,
    OccasionUnknown,
)
from domain.shared import Warning

PATH = "/api/v1/occasions"

Place = Annotated[str, Meta(min_length=1, max_length=255, examples=["53 rue du Château, Candé-sur-Beuvron"])]

_OVER = (ContractIsCanceled, ContractIsArchived)


class AddOccasionBody(Body, frozen=True, kw_only=True):
    """`attendees`: how many are expected."""

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "contract_id": "01981c5e-7a3b-7c11-9d55-2f6b8a4e1c07",
        "title": "Opening of the north site",
        "starts_at": "2026-06-04T18:00:00+02:00",
        "ends_at": "2026-06-04T23:00:00+02:00",
        "place": "53 rue du Château, Candé-sur-Beuvron",
        "attendees": 75,
        "notes": "The speeches begin at seven.",
    }

    contract_id: Id
    title: Title
    starts_at: Instant
    ends_at: Instant
    place: Place | None = None
    attendees: Count | None = None
    notes: LongText | None = None


class ChangeOccasionBody(Body, frozen=True, kw_only=True):
    """Absent: unchanged; null: cleared. Its contract is for ever, and whom it is assigned to is said by /assign."""

    title: Title | UnsetType = UNSET
    starts_at: Instant | UnsetType = UNSET
    ends_at: Instant | UnsetType = UNSET
    place: Change[Place] = UNSET
    attendees: Change[Count] = UNSET
    notes: Change[LongText] = UNSET


class AssignOccasionBody(Body, frozen=True, kw_only=True):
    """null: nobody."""

    user_id: Id | None


class WithdrawOccasionBody(Nothing, frozen=True, kw_only=True):
    reason: Reason | None = None


class OccasionReceipt(Receipt, frozen=True, kw_only=True):
    """`id` is the occasion's; version and position are its contract's."""

    contract_id: UUID
    warnings: list[Warning] | UnsetType = UNSET


def routes(occasions: Occasions) -> Router:
    @post("/", responses=problems(ContractUnknown, NotSigned, *_OVER, OccasionTimesWrong))
    async def add_occasion(
        request: Asked,
        data: JSONBody[AddOccasionBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[OccasionReceipt]:
        """Add an occasion to a signed contract that you answer for; `If-Match` is the contract's."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        arrangement = msgspec.structs.asdict(as_command(_arrangement(data), Arrangement))
        said = await occasions.add(
            data.contract_id, lambda occasion_id: AddOccasion(occasion_id=occasion_id, **arrangement), asked
        )
        return answered(said, at=PATH)

    @patch("/{ref:str}", responses=problems(OccasionUnknown, OccasionIsWithdrawn, *_OVER, OccasionTimesWrong))
    async def change_occasion(
        request: Asked,
        ref: Ref,
        data: JSONBody[ChangeOccasionBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[OccasionReceipt]:
        """Change what stands in the body; `warnings` tell when whoever holds it is taken elsewhere then."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await occasions.change(id_of(ref), msgspec.to_builtins(data), asked))

    @post(
        "/{ref:str}/assign",
        status_code=200,
        responses=problems(OccasionUnknown, OccasionIsWithdrawn, *_OVER, NotOfSupport),
    )
    async def assign_occasion(
        request: Asked,
        ref: Ref,
        data: JSONBody[AssignOccasionBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[OccasionReceipt]:
        """Assign it to an active member of support, or to nobody; `warnings` tell when he is taken elsewhere then."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await occasions.assign(id_of(ref), data.user_id, asked))

    @post("/{ref:str}/withdraw", status_code=200, responses=problems(OccasionUnknown, *_OVER))
    async def withdraw_occasion(
        request: Asked,
        ref: Ref,
        data: JSONBody[WithdrawOccasionBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[OccasionReceipt]:
        """It will not be held; it stays readable, and its contract is free of it."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await occasions.withdraw(id_of(ref), data.reason, asked))

    return Router(
        "/occasions",
        route_handlers=[add_occasion, change_occasion, assign_occasion, withdraw_occasion],
        tags=["Occasions"],
    )


def _arrangement(data: AddOccasionBody) -> dict[str, Any]:
    return {name: value for name, value in msgspec.to_builtins(data).items() if name != "contract_id"}
