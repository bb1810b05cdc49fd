"""Exports of lists: asked for by whoever may view the list, made by a job as what he may view then."""

from typing import ClassVar, Protocol
from uuid import UUID

from msgspec import Struct, structs

from application.access import Caller, Need, Resource, system
from application.context import Context, DryRun
from application.execute import Execute
from application.ports import Answer, Callers, EventStore, NewId
from domain.export.aggregate import EXPORT, Completed, Export
from domain.export.commands import CompleteExport, FailExport, RequestExport
from domain.export.events import AUDIT, NDJSON, AuditSelection
from domain.shared import DomainError, FieldError, Kind

BY_ITSELF = Need(right=None, by="system")


class ExportListUnknown(DomainError):
    """There is no list of this name that can be exported; `detail` names those there are."""

    code: ClassVar[str] = "export.list_unknown"
    kind: ClassVar[Kind] = Kind.WRONG_REFERENCE


class Wanted(Struct, frozen=True, kw_only=True):
    """What is to be taken out, and how it is to be written."""

    list: str
    format: str
    filter: str | None = None
    order_by: str | None = None
    fields: tuple[str, ...] = ()
    show_archived: bool = False


class Offer(Struct, frozen=True, kw_only=True):
    """What asking takes: the right to view the list (None: everybody's), held on something of it."""

    right: str | None
    viewable: Resource


class Offers(Protocol):
    def __call__(self, wanted: Wanted, caller: Caller) -> Offer:
        """Raises ExportListUnknown, and what the list itself refuses."""
        ...


def list_unknown(name: str, known: list[str]) -> ExportListUnknown:
    detail = f"There is no list `{name[:60]}`; there are {', '.join(known)}."
    return ExportListUnknown(detail, errors=(FieldError(pointer="/list", code="unknown", detail=detail),))


class Exports:
    def __init__(
        self, execute: Execute, store: EventStore, callers: Callers, offers: Offers, new_id: NewId
    ) -> None:
        self._execute, self._store, self._callers = execute, store, callers
        self._offers, self._new_id = offers, new_id

    async def request(self, wanted: Wanted, context: Context) -> Answer | DryRun:
        """A job follows from what this records. Raises ExportListUnknown, and what the list refuses."""
        caller = await self._callers.caller(
            context.caller
        )  # what he may view decides which fields he may ask by
        offer = self._offers(wanted, caller)
        requester = caller.actor
        return await self._execute(
            EXPORT,
            self._new_id(),
            RequestExport(**structs.asdict(wanted), requested_by=requester.id, requested_as=requester.kind),
            structs.replace(context, caller=caller),
            Need(right=offer.right),
            new=True,
            resource=lambda _: offer.viewable,
        )

    async def request_audit(self, selection: AuditSelection, context: Context) -> Answer | DryRun:
        """The log, or a part of it, as it is signed when the job runs. It has no scopes, nor has the right to it."""
        requester = context.caller.actor
        command = RequestExport(
            list=AUDIT,
            format=NDJSON,
            requested_by=requester.id,
            requested_as=requester.kind,
            selection=selection,
        )
        need = Need(right="audit:export", step_up=True)
        return await self._execute(EXPORT, self._new_id(), command, context, need, new=True)

    async def state(self, export_id: UUID) -> Export:
        return (await self._store.load(EXPORT, export_id, fresh=True)).state

    async def complete(self, export_id: UUID, command: CompleteExport) -> bool:
        """False when another attempt was first, or has given up: this file is nobody's then."""
        await self._execute(EXPORT, export_id, command, _by_itself(), BY_ITSELF)
        state = await self.state(export_id)
        return isinstance(state, Completed) and state.file.object_id == command.object_id

    async def fail(self, export_id: UUID, error: str, detail: str) -> None:
        command = FailExport(error=error, detail=detail)
        await self._execute(EXPORT, export_id, command, _by_itself(), BY_ITSELF)


def _by_itself() -> Context:
    return Context(caller=system(), request_id="export.run")
