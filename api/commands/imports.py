"""POST of imports: a file is sent, previewed by a job, then applied or canceled."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Router, post
from litestar.openapi.spec import Operation, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.params import JSONBody

from api import answers
from api.answers import Answer, Receipt
from api.asking import Asked, DryRunFlag, IdempotencyKey, IfMatch, answered, context
from api.fields import Nothing
from api.openapi import problems
from api.reader import BodyInvalid, BodyMalformed
from api.refs import Ref, id_of
from api.upload import Form, form
from application.context import DryRun
from application.imports import ImportRunning, Imports, Wanted
from application.organisation_columns import TARGETS
from application.ports import Answer as Said
from domain.file.content import FileTooLarge
from domain.imports.aggregate import (
    ImportHasFailed,
    ImportIsApplied,
    ImportIsCanceled,
    ImportNotPreviewed,
    ImportUnknown,
)
from domain.imports.events import KINDS, MODES, ORGANISATIONS
from domain.shared import FieldError

PATH = "/api/v1/imports"
ENCODINGS = ("utf-8", "cp1251", "cp866", "cp1252", "latin-1", "utf-16")
PARTS = {"kind": KINDS, "mode": MODES, "encoding": ENCODINGS, "mapping": None}
COLUMNS = 500
"""Columns that a mapping may name."""


class ImportForm(Form):
    """Implements application.imports.Sent."""

    def __init__(self, request: Asked) -> None:
        """Raises MediaTypeUnsupported, BodyMalformed."""
        super().__init__(request, PARTS)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Raises BodyMalformed, BodyInvalid, ClientGone."""
        async for chunk in super().__aiter__():
            yield chunk
        _ = self.wanted

    @property
    def wanted(self) -> Wanted:
        """Raises BodyInvalid."""
        missing = [name for name in ("kind", "mode") if name not in self.texts]
        if missing:
            raise BodyInvalid(
                errors=tuple(_wrong(f"/{name}", "missing", "This part is required.") for name in missing)
            )
        return Wanted(
            kind=self.texts["kind"],
            mode=self.texts["mode"],
            encoding=self.texts.get("encoding"),
            columns=_columns(self.texts["kind"], self.texts.get("mapping")),
        )


def _columns(kind: str, mapping: str | None) -> dict[str, str] | None:
    if mapping is None:
        return None
    if kind != ORGANISATIONS:
        raise BodyInvalid(
            errors=(_wrong("/mapping", "not_here", "Only a table of organisations has columns to map."),)
        )
    try:
        columns = msgspec.json.decode(mapping, type=dict[str, str])
    except msgspec.DecodeError:
        detail = 'This is a JSON object from column to field: {"Name": "full_name"}.'
        raise BodyInvalid(errors=(_wrong("/mapping", "type", detail),)) from None
    if len(columns) > COLUMNS:
        raise BodyInvalid(errors=(_wrong("/mapping", "too_long", f"This names at most {COLUMNS} columns."),))
    unknown = tuple(
        _wrong(f"/mapping/{column}", "unknown_field", f"There is no field `{field[:60]}`.")
        for column, field in columns.items()
        if field not in TARGETS
    )
    if unknown:
        raise BodyInvalid(errors=unknown)
    return columns


def _wrong(pointer: str, code: str, detail: str) -> FieldError:
    return FieldError(pointer=pointer, code=code, detail=detail)


@dataclass
class ImportOperation(Operation):
    """`operation_class=ImportOperation`: describes the form, which Litestar does not see."""

    def __post_init__(self) -> None:
        text = OpenAPIType.STRING
        mapping = "JSON: column to field, for organisations whose columns have other names"
        parts: dict[str, Any] = {
            "kind": Schema(type=text, enum=list(KINDS)),
            "mode": Schema(
                type=text, enum=list(MODES), description="only what is new, what is there, or both"
            ),
            "file": Schema(type=text, format=OpenAPIFormat.BINARY),
            "encoding": Schema(type=text, enum=list(ENCODINGS), description="found out if not said"),
            "mapping": Schema(type=text, description=mapping),
        }
        example = {
            "kind": ORGANISATIONS,
            "mode": "both",
            "file": "full_name,siren,nic\nLa Poste,356000000,00048\n",
        }
        self.request_body = form(parts, ["kind", "mode", "file"], example)


def routes(imports: Imports) -> Router:
    @post(
        "/",
        dto=None,
        status_code=202,
        request_max_body_size=None,
        operation_class=ImportOperation,
        responses=problems(BodyMalformed, BodyInvalid, FileTooLarge, ImportRunning),
    )
    async def start_import(
        request: Asked, *, idempotency_key: IdempotencyKey = None, dry_run: DryRunFlag = False
    ) -> Answer[Receipt]:
        """Send a file as `multipart/form-data`. A job reads it: its address tells when the preview is there."""
        plain = context(request, None, None, None, dry_run=dry_run)
        context(request, None, None, idempotency_key)  # a wrong header is told before the body is read
        said = await imports.start(
            ImportForm(request),
            plain,
            lambda facts: context(request, facts, None, idempotency_key, dry_run=dry_run),
        )
        return _accepted(said)

    @post(
        "/{ref:str}/apply",
        status_code=202,
        responses=problems(
            ImportUnknown, ImportNotPreviewed, ImportIsCanceled, ImportHasFailed, ImportRunning
        ),
    )
    async def apply_import(
        request: Asked,
        ref: Ref,
        data: JSONBody[Nothing],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Have a job write its rows, as you: row by row by your rights. `Idempotency-Key` is required."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run, key_required=True)
        return _accepted(await imports.apply(id_of(ref), asked))

    @post(
        "/{ref:str}/cancel",
        status_code=200,
        responses=problems(ImportUnknown, ImportIsApplied, ImportHasFailed),
    )
    async def cancel_import(
        request: Asked,
        ref: Ref,
        data: JSONBody[Nothing],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Stop it after the batch it is at. What was written by then stays; its progress says how much that is."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await imports.cancel(id_of(ref), asked))

    return Router("/imports", route_handlers=[start_import, apply_import, cancel_import], tags=["Imports"])


def _accepted(said: Said | DryRun) -> Answer[Any]:
    """A job does it: its address tells how far it is."""
    if isinstance(said, DryRun):
        return answered(said)
    return answers.receipt(
        said.id,
        said.version,
        said.position,
        said.extra,
        status=202,
        replayed=said.replayed,
        location=f"{PATH}/{said.id}",
    )
