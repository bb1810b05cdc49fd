"""POST of exports of the log."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Router, post
from litestar.params import JSONBody
from msgspec import Meta, structs

from api import answers
from api.answers import Answer, Receipt
from api.asking import Asked, DryRunFlag, IdempotencyKey, answered, context
from api.fields import Nothing
from application.context import DryRun
from application.export import Exports
from domain.export.events import AuditSelection

PATH = "/api/v1/audit/exports"

Position = Annotated[int, Meta(ge=1, le=2**63 - 1, description="a position of the log")]
Instant = Annotated[datetime, Meta(tz=True)]
Text = Annotated[str, Meta(min_length=1, max_length=128)]
Texts = Annotated[tuple[Text, ...], Meta(max_length=50)]
Ids = Annotated[tuple[UUID, ...], Meta(max_length=50)]


class RequestAuditExportBody(
    Nothing, frozen=True, kw_only=True, rename={"first": "from", "last": "to", "request": "request_id"}
):
    """A part of the log; nothing at all: the whole. `from` and `to` are positions or instants, both included.

    `topic`: whole, or its beginning, word by word; `subject`: records. Every filter has to fit, with any of its values.
    """

    first: Position | Instant | None = None
    last: Position | Instant | None = None
    topic: Texts = ()
    subject: Ids = ()
    actor: Ids = ()
    request: Texts = ()
    allowed_by: Texts = ()


def routes(exports: Exports) -> Router:
    @post("/", status_code=202)
    async def request_audit_export(
        request: Asked,
        data: JSONBody[RequestAuditExportBody],
        *,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Have the log written to a file by a job, as it is signed then: NDJSON that is verified offline."""
        asked = context(request, data, None, idempotency_key, dry_run=dry_run)
        said = await exports.request_audit(AuditSelection(**structs.asdict(data)), asked)
        if isinstance(said, DryRun):
            return answered(said)
        fields: dict[str, Any] = structs.asdict(structs.replace(said, status=202))
        return answers.receipt(**fields, location=f"{PATH}/{said.id}")

    return Router("/audit/exports", route_handlers=[request_audit_export], tags=["Audit"])
