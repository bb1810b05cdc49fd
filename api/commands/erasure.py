"""POST of erasures: a user, a contact."""

from litestar import Router, post
from litestar.params import JSONBody

from api.answers import Answer, Receipt
from api.asking import Asked, DryRunFlag, IdempotencyKey, IfMatch, answered, context
from api.fields import Body, Reason
from api.openapi import problems
from api.refs import Ref, id_of
from application.access import StepUpRequired
from application.erasure import Erasures
from domain.contact.aggregate import ContactUnknown
from domain.legal_hold.aggregate import UnderLegalHold
from domain.user.refusals import AboveYou, LastAdmin, UserUnknown


class EraseBody(Body, frozen=True, kw_only=True):
    """`reason` stays in the log, so it should not name the person."""

    reason: Reason


def routes(erasures: Erasures) -> list[Router]:
    @post(
        "/{ref:str}/erase",
        status_code=200,
        responses=problems(UserUnknown, AboveYou, LastAdmin, UnderLegalHold, StepUpRequired),
    )
    async def erase_user(
        request: Asked,
        ref: Ref,
        data: JSONBody[EraseBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Forget a person, for good: what the log holds of him can be read by nobody any more."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await erasures.user(id_of(ref), data.reason, asked))

    @post(
        "/{ref:str}/erase",
        status_code=200,
        responses=problems(ContactUnknown, UnderLegalHold, StepUpRequired),
    )
    async def erase_contact(
        request: Asked,
        ref: Ref,
        data: JSONBody[EraseBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Forget a person, for good. Contracts that name the record go on naming it, and their sums stay."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await erasures.contact(id_of(ref), data.reason, asked))

    return [
        Router("/users", route_handlers=[erase_user], tags=["Users"]),
        Router("/contacts", route_handlers=[erase_contact], tags=["Contacts"]),
    ]
