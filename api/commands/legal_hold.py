"""POST of legal holds: place, release."""

from typing import Literal

from litestar import Router, post
from litestar.params import JSONBody

from api.answers import Answer, Receipt
from api.asking import Asked, DryRunFlag, IdempotencyKey, IfMatch, answered, as_command, context
from api.fields import Body, Id, Nothing, Reason
from api.openapi import problems
from api.refs import Ref, id_of
from application.access import StepUpRequired
from application.legal_hold import LegalHolds
from domain.legal_hold.aggregate import HoldSubjectErased, HoldSubjectUnknown, LegalHoldUnknown
from domain.legal_hold.commands import PlaceLegalHold, ReleaseLegalHold

PATH = "/api/v1/legal-holds"


class HeldBody(Body, frozen=True, kw_only=True):
    """On an organisation it holds all its contacts."""

    type: Literal["user", "contact", "organisation"]
    id: Id


class PlaceLegalHoldBody(Body, frozen=True, kw_only=True):
    """`reason` names the case; it stays in the log, so it should not name the person."""

    subject: HeldBody
    reason: Reason


class ReleaseLegalHoldBody(Nothing, frozen=True, kw_only=True):
    reason: Reason | None = None


def routes(legal_holds: LegalHolds) -> Router:
    @post("/", responses=problems(HoldSubjectUnknown, HoldSubjectErased, StepUpRequired))
    async def place_legal_hold(
        request: Asked,
        data: JSONBody[PlaceLegalHoldBody],
        *,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Keep somebody from being erased. Several may hold the same person; each is released by itself."""
        asked = context(request, data, None, idempotency_key, dry_run=dry_run)
        return answered(await legal_holds.place(as_command(data, PlaceLegalHold), asked), at=PATH)

    @post("/{ref:str}/release", status_code=200, responses=problems(LegalHoldUnknown, StepUpRequired))
    async def release_legal_hold(
        request: Asked,
        ref: Ref,
        data: JSONBody[ReleaseLegalHoldBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """The case is over. That is final: hold again with a new one."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await legal_holds.release(id_of(ref), as_command(data, ReleaseLegalHold), asked))

    return Router("/legal-holds", route_handlers=[place_legal_hold, release_legal_hold], tags=["Legal holds"])
