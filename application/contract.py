"""Contracts: draft, change, sign, amend, cancel, archive."""

from typing import Any, ClassVar
from uuid import UUID

from msgspec import Struct, structs

from application.access import Need, Resource, require
from application.context import Context, DryRun
from application.execute import Execute
from application.organisation import of as of_organisation
from application.ports import NOTHING_ELSE, Answer, Callers, Claims, ClaimTaken, EventStore, NewId, Reliance
from domain.contract.aggregate import CONTRACT, Contract, Nothing
from domain.contract.commands import (
    AmendContract,
    ArchiveContract,
    CancelContract,
    ChangeContract,
    ContractCommand,
    DraftContract,
    SignContract,
)
from domain.contract.refusals import CustomIdTaken
from domain.organisation import aggregate as organisation
from domain.organisation.guards import OPEN
from domain.shared import DomainError, FieldError, Kind

VIEW = "contract:view"


class OrganisationNotOpen(DomainError):
    """A contract is made with an organisation of the register that is not archived."""

    code: ClassVar[str] = "contract.organisation_unknown"
    kind: ClassVar[Kind] = Kind.INVALID


class ContactUnknown(DomainError):
    """The contact must be one of the organisation's."""

    code: ClassVar[str] = "contract.contact_unknown"
    kind: ClassVar[Kind] = Kind.INVALID


class Party(Struct, frozen=True, kw_only=True):
    """The organisation a contract is, or is to be, made with; of one that is unknown nothing but the id."""

    id: UUID
    manager_id: UUID | None
    resource: Resource


class Contracts:
    """A contract lies in the scope `organisation/<its organisation>`, and its account manager's own."""

    def __init__(
        self, execute: Execute, store: EventStore, callers: Callers, claims: Claims, new_id: NewId
    ) -> None:
        self._execute, self._store, self._callers = execute, store, callers
        self._claims, self._new_id = claims, new_id

    async def draft(self, command: DraftContract, context: Context) -> Answer | DryRun:
        """The drafter does not become responsible before he was allowed to: own/* asks who manages the organisation."""
        party, actor = await self._party(command.organisation_id), context.caller.actor
        return await self._execute(
            CONTRACT,
            self._new_id(),
            structs.replace(
                command,
                drafted_by=actor.id if actor.kind == "user" else None,
                organisation_manager_id=party.manager_id,
            ),
            context,
            Need(right="contract:create"),
            new=True,
            resource=lambda _: party.resource,
            relies=lambda: self._with(party, command.contact_id),
            taken=_custom_id_taken,
        )

    async def change(self, contract_id: UUID, command: ChangeContract, context: Context) -> Answer | DryRun:
        """To move a contract to another organisation takes the right to edit it there, too."""
        named = command.changes.get("organisation_id")
        party = None if named is None else await self._party(UUID(named))
        contact_id = command.changes.get("contact_id")
        moved_to: Party | None = None

        def about(contract: Contract) -> Resource:
            nonlocal moved_to
            moved_to = None if party is None or party.id == _organisation_id(contract) else party
            return of(contract)

        async def reliance() -> Reliance:
            if moved_to is not None:
                caller = await self._callers.caller(context.caller)
                require(caller, "contract:edit", self._execute.clock(), moved_to.resource)
            return await self._with(moved_to, contact_id)

        return await self._execute(
            CONTRACT,
            contract_id,
            structs.replace(command, organisation_manager_id=None if party is None else party.manager_id),
            context,
            Need(right="contract:edit", view=VIEW),
            resource=about,
            relies=reliance,
            taken=_custom_id_taken,
        )

    async def sign(self, contract_id: UUID, context: Context) -> Answer | DryRun:
        command = SignContract(
            contract_id=contract_id, signed_by=context.caller.actor.id, now=self._execute.clock()
        )
        return await self._on(contract_id, command, context, "contract:sign", step_up=True)

    async def amend(self, contract_id: UUID, command: AmendContract, context: Context) -> Answer | DryRun:
        return await self._on(contract_id, command, context, "contract:amend")

    async def cancel(self, contract_id: UUID, command: CancelContract, context: Context) -> Answer | DryRun:
        return await self._on(contract_id, command, context, "contract:cancel", step_up=True)

    async def archive(self, contract_id: UUID, command: ArchiveContract, context: Context) -> Answer | DryRun:
        return await self._on(contract_id, command, context, "contract:archive")

    async def _on(
        self,
        contract_id: UUID,
        command: ContractCommand,
        context: Context,
        right: str,
        *,
        step_up: bool = False,
    ) -> Answer | DryRun:
        need = Need(right=right, view=VIEW, step_up=step_up)
        return await self._execute(CONTRACT, contract_id, command, context, need, resource=of)

    async def _party(self, organisation_id: UUID) -> Party:
        loaded = await self._store.load(organisation.ORGANISATION, organisation_id, fresh=True)
        known = None if isinstance(loaded.state, organisation.Nothing) else loaded.state.details
        return Party(
            id=organisation_id,
            manager_id=None if known is None else known.account_manager_id,
            resource=of_organisation(organisation_id, loaded.state),
        )

    async def _with(self, party: Party | None, contact_id: Any) -> Reliance:
        """No contact is on record yet, so none can be named. Raises OrganisationNotOpen, ContactUnknown."""
        if contact_id is not None:
            raise _wrong(ContactUnknown, "contact_id", "This contact is not one of the organisation's.")
        if party is None:
            return NOTHING_ELSE
        if await self._claims.owner(OPEN, str(party.id)) is None:
            raise _wrong(OrganisationNotOpen, "organisation_id", "No organisation with this id is open.")
        return Reliance(require=((OPEN, str(party.id), party.id),))


def of(contract: Contract) -> Resource:
    """The contract as scopes see it."""
    if isinstance(contract, Nothing):
        return Resource()
    manager_id = contract.paper.account_manager_id
    return Resource(
        scopes=frozenset({("organisation", str(contract.paper.terms.organisation_id))}),
        responsible_ids=frozenset() if manager_id is None else frozenset({manager_id}),
    )


def _organisation_id(contract: Contract) -> UUID | None:
    return None if isinstance(contract, Nothing) else contract.paper.terms.organisation_id


def _custom_id_taken(_: ClaimTaken) -> DomainError:
    return CustomIdTaken("Another contract has this custom id.")


def _wrong(refusal: type[DomainError], field: str, detail: str) -> DomainError:
    return refusal(detail, errors=(FieldError(pointer=f"/{field}", code="unknown", detail=detail),))
