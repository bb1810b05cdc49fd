"""POST of an organisation as a register of other people has it."""

from typing import Annotated, Literal

from litestar import Router, post
from litestar.params import JSONBody
from msgspec import Meta

from api.answers import Answer, Receipt
from api.asking import Asked, DryRunFlag, IdempotencyKey, answered, context
from api.commands.organisation import PATH
from api.fields import END, Body
from api.openapi import problems
from api.outages import RegisterUnavailable
from application.prefill import EntryUnknown, Prefill
from domain.organisation.aggregate import OrganisationDuplicate

LookupRef = Annotated[
    str,
    Meta(
        pattern=f"^[0-9A-Za-z-]{{1,40}}{END}",
        examples=["35600000000048"],
        description="`ref` of an entry that a look-up found",
    ),
]


class AddFromLookupBody(Body, frozen=True, kw_only=True):
    source: Literal["egrul", "siren"]
    ref: LookupRef


def routes(prefill: Prefill) -> Router:
    @post("/from-lookup", responses=problems(EntryUnknown, OrganisationDuplicate, RegisterUnavailable))
    async def add_organisation_from_lookup(
        request: Asked,
        data: JSONBody[AddFromLookupBody],
        *,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Register an organisation as the register has it now. Everything can be changed afterwards."""
        asked = context(request, data, None, idempotency_key, dry_run=dry_run)
        return answered(await prefill.add(data.source, data.ref, asked), at=PATH)

    return Router("/organisations", route_handlers=[add_organisation_from_lookup], tags=["Organisations"])
