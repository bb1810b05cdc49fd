"""Organisations and their people as other nouns rely on them: known, open, and in whose scope."""

from typing import ClassVar, assert_never
from uuid import UUID

from msgspec import Struct

from application.access import Resource, may
from application.context import Context
from application.organisation import VIEW, of
from application.ports import Callers, Claims, Clock, EventStore, Reliance
from domain.contact import aggregate as contact
from domain.contact.guards import OPEN as CONTACT_OPEN
from domain.contact.guards import standing
from domain.organisation import aggregate as organisation
from domain.organisation.guards import OPEN
from domain.shared import DomainError, FieldError, Kind
from domain.user.guards import ACTIVE


class ResponsibleUnknown(DomainError):
    """Who answers for a record must be an active user."""

    code: ClassVar[str] = "contact.responsible_unknown"
    kind: ClassVar[Kind] = Kind.INVALID


class Party(Struct, frozen=True, kw_only=True):
    """The organisation that something is about; of one that is unknown nothing but the id."""

    id: UUID
    known: bool
    manager_id: UUID | None
    resource: Resource


class Parties:
    def __init__(self, store: EventStore, callers: Callers, claims: Claims, clock: Clock) -> None:
        self._store, self._callers, self._claims, self._clock = store, callers, claims, clock

    async def of(self, organisation_id: UUID) -> Party:
        loaded = await self._store.load(organisation.ORGANISATION, organisation_id, fresh=True)
        known = None if isinstance(loaded.state, organisation.Nothing) else loaded.state.details
        return Party(
            id=organisation_id,
            known=known is not None,
            manager_id=None if known is None else known.account_manager_id,
            resource=of(organisation_id, loaded.state),
        )

    async def viewable(self, organisation_id: UUID, context: Context) -> Party:
        """The organisation that an address names. Raises OrganisationUnknown also when it is not his to know."""
        party = await self.of(organisation_id)
        if party.known and may(context.caller, VIEW, party.resource, self._clock()) is None:
            fresh = await self._callers.caller(context.caller)
            if may(fresh, VIEW, party.resource, self._clock()) is not None:
                return party
        elif party.known:
            return party
        raise organisation.OrganisationUnknown("There is no such organisation.")

    async def open(self, party: Party) -> Reliance | None:
        """That it is in the register and not archived; None when it is not."""
        if await self._claims.owner(OPEN, str(party.id)) is None:
            return None
        return Reliance(require=((OPEN, str(party.id), party.id),))

    async def responsible_for(self, contact_id: UUID) -> UUID | None:
        """Who answers for the contact."""
        known = (await self._store.load(contact.CONTACT, contact_id, fresh=True)).state
        match known:
            case contact.Nothing():
                return None
            case contact.Erased():
                return known.responsible_id
            case contact.Known() | contact.Archived():
                return known.details.responsible_id
            case _:
                assert_never(known)

    async def contact_of(self, organisation_id: UUID, contact_id: UUID) -> tuple[str, str, UUID] | None:
        """The claim that the contact is the organisation's and not archived; None when he is not."""
        place = standing(organisation_id, contact_id)
        if await self._claims.owner(CONTACT_OPEN, place) != contact_id:
            return None
        return CONTACT_OPEN, place, contact_id

    async def answering(self, user_id: UUID) -> tuple[str, str, UUID]:
        """The claim that the user may act. Raises ResponsibleUnknown."""
        if await self._claims.owner(ACTIVE, str(user_id)) is None:
            wrong = FieldError(
                pointer="/responsible_id", code="unknown", detail="No active user has this id."
            )
            raise ResponsibleUnknown("The responsible is not an active user.", errors=(wrong,))
        return ACTIVE, str(user_id), user_id
