"""Information resources of organisations: add, change, retire."""

from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta
from functools import partial
from typing import ClassVar
from uuid import UUID

from msgspec import structs

from application.access import Need, Resource
from application.context import Context, DryRun
from application.execute import Execute
from application.party import Parties
from application.ports import NOTHING_ELSE, Answer, EventStore, NewId, Reliance
from domain.organisation.aggregate import OrganisationIsArchived
from domain.reference.aggregate import REFERENCE
from domain.reference.events import entry_id, list_id
from domain.resource import aggregate
from domain.resource.aggregate import RESOURCE, Nothing
from domain.resource.commands import AddResource, ChangeResource, RetireResource
from domain.shared import DomainError, FieldError, Kind

VIEW = "resource:view"
CREATE = "resource:create"
EDIT = "resource:edit"
RETIRE = "resource:retire"
FARTHEST_EAST = timedelta(hours=14)


class IndustryUnknown(DomainError):
    """Industries are named by their ids: GET /industries lists them."""

    code: ClassVar[str] = "resource.industry_unknown"
    kind: ClassVar[Kind] = Kind.INVALID


class Resources:
    """A resource lies in the scope `organisation/<its owner>`; nobody of ours answers for one, so `own/*` has none."""

    def __init__(self, execute: Execute, store: EventStore, parties: Parties, new_id: NewId) -> None:
        self._execute, self._store, self._parties, self._new_id = execute, store, parties, new_id

    async def add(self, command: AddResource, context: Context) -> Answer | DryRun:
        """Raises OrganisationUnknown, OrganisationIsArchived, IndustryUnknown, ResourceInvalid."""
        party = await self._parties.viewable(command.organisation_id, context)

        async def reliance() -> Reliance:
            opened = await self._parties.open(party)
            if opened is None:
                raise OrganisationIsArchived("An archived organisation gets no new resources.")
            await self._known(command.industry_ids)
            return opened

        return await self._execute(
            RESOURCE,
            self._new_id(),
            structs.replace(command, latest=latest(self._execute.clock())),
            context,
            Need(right=CREATE),
            new=True,
            resource=lambda _: _within(party.id),
            relies=reliance,
        )

    async def change(self, resource_id: UUID, command: ChangeResource, context: Context) -> Answer | DryRun:
        command = structs.replace(command, latest=latest(self._execute.clock()))
        industries = tuple(map(UUID, command.changes.get("industry_ids", ())))
        return await self._on(resource_id, command, context, EDIT, partial(self._industries, industries))

    async def retire(self, resource_id: UUID, command: RetireResource, context: Context) -> Answer | DryRun:
        return await self._on(resource_id, command, context, RETIRE)

    async def _on(
        self,
        resource_id: UUID,
        command: ChangeResource | RetireResource,
        context: Context,
        right: str,
        relies: Callable[[], Awaitable[Reliance]] | None = None,
    ) -> Answer | DryRun:
        return await self._execute(
            RESOURCE,
            resource_id,
            command,
            context,
            Need(right=right, view=VIEW),
            resource=of,
            relies=relies,
        )

    async def _industries(self, ids: tuple[UUID, ...]) -> Reliance:
        await self._known(ids)
        return NOTHING_ELSE

    async def _known(self, ids: tuple[UUID, ...]) -> None:
        """Raises IndustryUnknown."""
        if not ids:
            return
        loaded = await self._store.load(REFERENCE, list_id("industry"))
        known = {entry_id("industry", entry.code) for entry in loaded.state.entries}
        wrong = tuple(
            FieldError(pointer=f"/industry_ids/{place}", code="unknown", detail="No industry has this id.")
            for place, industry_id in enumerate(ids)
            if industry_id not in known
        )
        if wrong:
            raise IndustryUnknown("An industry is not known.", errors=wrong)


def of(resource: aggregate.Resource) -> Resource:
    return Resource() if isinstance(resource, Nothing) else _within(resource.organisation_id)


def _within(organisation_id: UUID) -> Resource:
    return Resource(scopes=frozenset({("organisation", str(organisation_id))}))


def latest(now: datetime) -> date:
    """The last day that is not in the future: it is today somewhere, UTC+14 at the farthest."""
    return (now + FARTHEST_EAST).date()
