"""Contracts: draft, change, sign, amend, cancel, archive."""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from msgspec import structs

from application.access import Caller, Need, Resource, require
from application.context import Context, DryRun, TooBusy
from application.execute import Execute
from application.party import Parties, Party
from application.ports import Answer, Callers, Claims, ClaimTaken, EventStore, NewId, Reliance
from domain.contract.aggregate import CONTRACT, Contract, Nothing
from domain.contract.commands import (
    AmendContract,
    ArchiveContract,
    CancelContract,
    ChangeContract,
    ContractCommand,
    DraftContract,
    ReassignContract,
    SignContract,
)
from domain.contract.guards import PARTY
from domain.contract.refusals import CustomIdTaken
from domain.shared import DomainError, FieldError, Kind

VIEW = "contract:view"
PARTIES = {"organisation_id", "contact_id"}


class OrganisationNotOpen(DomainError):
    """A contract is made with an organisation of the register that is not archived."""

    code: ClassVar[str] = "contract.organisation_unknown"
    kind: ClassVar[Kind] = Kind.INVALID


class ContactUnknown(DomainError):
    """The contact must be one of the organisation's."""

    code: ClassVar[str] = "contract.contact_unknown"
    kind: ClassVar[Kind] = Kind.INVALID


class Contracts:
    """A contract lies in the scope `organisation/<its organisation>`, and its account manager's own."""

    def __init__(
        self,
        execute: Execute,
        store: EventStore,
        callers: Callers,
        claims: Claims,
        parties: Parties,
        new_id: NewId,
    ) -> None:
        self._execute, self._store, self._callers = execute, store, callers
        self._claims, self._parties, self._new_id = claims, parties, new_id

    async def draft(self, command: DraftContract, context: Context) -> Answer | DryRun:
        """The drafter does not become responsible before he was allowed to: own/* asks who answers for the contact, or
        else for the organisation.
        """
        party, actor = await self._parties.of(command.organisation_id), context.caller.actor
        manager_id = await self._manager(party, command.contact_id)
        return await self._execute(
            CONTRACT,
            self._new_id(),
            structs.replace(
                command, drafted_by=actor.id if actor.kind == "user" else None, manager_id=manager_id
            ),
            context,
            Need(right="contract:create"),
            new=True,
            resource=lambda _: in_hand_of(party.id, manager_id),
            relies=lambda: self._with(party, command.contact_id),
            taken=_custom_id_taken,
        )

    async def change(self, contract_id: UUID, command: ChangeContract, context: Context) -> Answer | DryRun:
        """To move a contract to another organisation takes the right to edit it there, too."""
        if command.changes.keys().isdisjoint(PARTIES):
            return await self._on(contract_id, command, context, "contract:edit", taken=_custom_id_taken)
        present = (await self._store.load(CONTRACT, contract_id, fresh=True)).state
        organisation_id, contact_id = _parties(present, command.changes)
        party = await self._parties.of(organisation_id)
        manager_id = await self._manager(party, contact_id)
        seen: Contract = present

        def about(contract: Contract) -> Resource:
            nonlocal seen
            seen = contract
            return of(contract)

        async def reliance() -> Reliance:
            if _parties(seen, {}) == (party.id, contact_id):
                return Reliance()
            if _parties(seen, {}) != _parties(present, {}):
                raise TooBusy
            if party.id != _parties(seen, {})[0]:
                caller = await self._callers.caller(context.caller)
                there = in_hand_of(party.id, party.manager_id)
                require(caller, "contract:edit", self._execute.clock(), there)
            return await self._with(party, contact_id)

        return await self._execute(
            CONTRACT,
            contract_id,
            structs.replace(command, manager_id=manager_id),
            context,
            Need(right="contract:edit", view=VIEW),
            resource=about,
            relies=reliance,
            taken=_custom_id_taken,
        )

    async def reassign(self, party_id: UUID, context: Context) -> None:
        """Another answers for this organisation or contact: the account managers of its contracts follow."""
        for kind in PARTY.values():
            for contract_id in await self._claims.owners(kind, f"{party_id}:"):
                present = (await self._store.load(CONTRACT, contract_id, fresh=True)).state
                organisation_id, contact_id = _parties(present, {})
                manager_id = await self._manager(await self._parties.of(organisation_id), contact_id)
                command = ReassignContract(manager_id=manager_id)
                await self._on(contract_id, command, context, "contract:edit")

    async def sign(self, contract_id: UUID, context: Context) -> Answer | DryRun:
        """The event says by which proof the signer was known when append took it."""
        command = SignContract(
            contract_id=contract_id, signed_by=context.caller.actor.id, now=self._execute.clock()
        )
        need = Need(right="contract:sign", view=VIEW, step_up=True)
        return await self._execute(
            CONTRACT, contract_id, command, context, need, resource=of, by=partial(authenticated, command)
        )

    async def amend(self, contract_id: UUID, command: AmendContract, context: Context) -> Answer | DryRun:
        return await self._on(contract_id, command, context, "contract:amend")

    async def cancel(self, contract_id: UUID, command: CancelContract, context: Context) -> Answer | DryRun:
        return await self._on(contract_id, command, context, "contract:cancel", step_up=True)

    async def archive(self, contract_id: UUID, reason: str | None, context: Context) -> Answer | DryRun:
        command = ArchiveContract(reason=reason, now=self._execute.clock())
        return await self._on(contract_id, command, context, "contract:archive")

    async def _on(
        self,
        contract_id: UUID,
        command: ContractCommand,
        context: Context,
        right: str,
        *,
        step_up: bool = False,
        taken: Callable[[ClaimTaken], DomainError] | None = None,
    ) -> Answer | DryRun:
        need = Need(right=right, view=VIEW, step_up=step_up)
        return await self._execute(CONTRACT, contract_id, command, context, need, resource=of, taken=taken)

    async def _manager(self, party: Party, contact_id: UUID | None) -> UUID | None:
        """Who answers for the contact, else the organisation's account manager."""
        responsible_id = None if contact_id is None else await self._parties.responsible_for(contact_id)
        return responsible_id or party.manager_id

    async def _with(self, party: Party, contact_id: UUID | None) -> Reliance:
        """Raises OrganisationNotOpen, ContactUnknown."""
        opened = await self._parties.open(party)
        if opened is None:
            raise _wrong(OrganisationNotOpen, "organisation_id", "No organisation with this id is open.")
        if contact_id is None:
            return opened
        contact = await self._parties.contact_of(party.id, contact_id)
        if contact is None:
            raise _wrong(ContactUnknown, "contact_id", "This contact is not one of the organisation's.")
        return Reliance(require=(*opened.require, contact))


def authenticated(command: SignContract, caller: Caller) -> SignContract:
    """With how the caller showed who he is."""
    if caller.actor.kind != "user":
        return structs.replace(command, credential="api_key")
    credential = "password" if caller.sub is None else "identity_provider"
    return structs.replace(command, credential=credential, proved_at=caller.proved_at)


def of(contract: Contract) -> Resource:
    """The contract as scopes see it."""
    if isinstance(contract, Nothing):
        return Resource()
    return in_hand_of(contract.paper.terms.organisation_id, contract.paper.account_manager_id)


def in_hand_of(organisation_id: UUID, manager_id: UUID | None) -> Resource:
    """A contract with the organisation that this account manager answers for."""
    return Resource(
        scopes=frozenset({("organisation", str(organisation_id))}),
        responsible_ids=frozenset() if manager_id is None else frozenset({manager_id}),
    )


def _parties(contract: Contract, changes: dict[str, Any]) -> tuple[UUID, UUID | None]:
    """The organisation and the contact that the contract is made with after these changes."""
    terms = None if isinstance(contract, Nothing) else contract.paper.terms
    organisation_id = changes.get("organisation_id") or (terms.organisation_id if terms else UUID(int=0))
    contact_id = changes.get("contact_id", terms and terms.contact_id)
    return UUID(str(organisation_id)), None if contact_id is None else UUID(str(contact_id))


def _custom_id_taken(_: ClaimTaken) -> DomainError:
    return CustomIdTaken("Another contract has this custom id.")


def _wrong(refusal: type[DomainError], field: str, detail: str) -> DomainError:
    return refusal(detail, errors=(FieldError(pointer=f"/{field}", code="unknown", detail=detail),))
