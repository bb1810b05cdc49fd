"""POST of exports."""

from typing import Annotated, Any, Literal

from litestar import Router, post
from litestar.params import JSONBody
from msgspec import Meta, structs

from api import answers
from api.answers import Answer, Receipt
from api.asking import Asked, DryRunFlag, IdempotencyKey, answered, context
from api.fields import Body
from api.lists import LIST_PROBLEMS
from api.openapi import problems
from application.context import DryRun
from application.export import ExportListUnknown, Exports, Wanted

PATH = "/api/v1/exports"

ListName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        examples=["organisations"],
        description="the list's name: the last part of its path",
    ),
]
Filter = Annotated[str, Meta(max_length=2_000, examples=["region=77 AND agreement!=null"])]
OrderBy = Annotated[str, Meta(max_length=400, examples=["full_name, created_at desc"])]
Fields = Annotated[str, Meta(max_length=2_000, examples=["id,full_name,identifiers"])]


class RequestExportBody(Body, frozen=True, kw_only=True):
    """A list as its GET would be asked, all pages of it, and how to write it."""

    list: ListName
    format: Literal["csv", "ndjson", "xlsx"]
    filter: Filter | None = None
    order_by: OrderBy | None = None
    fields: Fields | None = None
    show_archived: bool = False


def routes(exports: Exports) -> Router:
    @post("/", status_code=202, responses=problems(ExportListUnknown, *LIST_PROBLEMS.values()))
    async def request_export(
        request: Asked,
        data: JSONBody[RequestExportBody],
        *,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Have a list written to a file by a job: what you may view of it when the job runs, as one moment has it."""
        asked = context(request, data, None, idempotency_key, dry_run=dry_run)
        said = await exports.request(_wanted(data), asked)
        if isinstance(said, DryRun):
            return answered(said)
        fields: dict[str, Any] = structs.asdict(structs.replace(said, status=202))
        return answers.receipt(**fields, location=f"{PATH}/{said.id}")

    return Router("/exports", route_handlers=[request_export], tags=["Exports"])


def _wanted(data: RequestExportBody) -> Wanted:
    fields = (data.fields or "").strip()
    given: dict[str, Any] = structs.asdict(data)
    given["fields"] = tuple(name.strip() for name in fields.split(",")) if fields else ()
    return Wanted(**given)
