"""People one deals with at organisations: add, change, archive.

Who adds a contact answers for it from then on; only who holds `contact:assign` names somebody else (the CRM's rule that
management alone moves clients). `own/*` of organisation:edit covers the contacts one answers for, and adding such.
"""

from uuid import UUID

from application.access import Need, Resource, require
from application.context import Context, DryRun
from application.execute import Execute
from application.organisation import VIEW
from application.party import Parties
from application.ports import Answer, Callers, NewId, Reliance
from domain.contact.aggregate import CONTACT, Contact, Erased, Nothing
from domain.contact.commands import AddContact, ArchiveContact, ChangeContact
from domain.organisation.aggregate import OrganisationIsArchived

EDIT = "organisation:edit"
ASSIGN = "contact:assign"


class Contacts:
    def __init__(self, execute: Execute, callers: Callers, parties: Parties, new_id: NewId) -> None:
        self._execute, self._callers, self._parties, self._new_id = execute, callers, parties, new_id

    async def add(self, command: AddContact, context: Context) -> Answer | DryRun:
        """Raises OrganisationUnknown, OrganisationIsArchived, ResponsibleUnknown, Forbidden."""
        party = await self._parties.viewable(command.organisation_id, context)
        about = _with(party.resource, command.responsible_id)

        async def reliance() -> Reliance:
            opened = await self._parties.open(party)
            if opened is None:
                raise OrganisationIsArchived("An archived organisation gets no new contacts.")
            named = await self._assigned(command.responsible_id, about, context)
            return Reliance(require=(*opened.require, *named))

        return await self._execute(
            CONTACT,
            self._new_id(),
            command,
            context,
            Need(right=EDIT),
            new=True,
            resource=lambda _: about,
            relies=reliance,
        )

    async def change(self, contact_id: UUID, command: ChangeContact, context: Context) -> Answer | DryRun:
        """Raises ContactUnknown, ContactIsArchived, ContactNameless, ResponsibleUnknown, Forbidden."""
        present = Resource()

        def about(contact: Contact) -> Resource:
            nonlocal present
            present = of(contact)
            return present

        async def reliance() -> Reliance:
            if "responsible_id" not in command.changes:
                return Reliance()
            named = command.changes["responsible_id"]
            responsible_id = None if named is None else UUID(named)
            if responsible_id in present.responsible_ids:
                return Reliance()
            return Reliance(require=await self._assigned(responsible_id, present, context, moved=True))

        need = Need(right=EDIT, view=VIEW)
        return await self._execute(
            CONTACT, contact_id, command, context, need, resource=about, relies=reliance
        )

    async def archive(self, contact_id: UUID, command: ArchiveContact, context: Context) -> Answer | DryRun:
        return await self._execute(
            CONTACT, contact_id, command, context, Need(right=EDIT, view=VIEW), resource=of
        )

    async def _assigned(
        self, responsible_id: UUID | None, about: Resource, context: Context, *, moved: bool = False
    ) -> tuple[tuple[str, str, UUID], ...]:
        """The responsible's claim; who names anybody but himself, or moves a contact, needs contact:assign."""
        if moved or responsible_id != oneself(context):
            caller = await self._callers.caller(context.caller)
            require(caller, ASSIGN, self._execute.clock(), about)
        return () if responsible_id is None else (await self._parties.answering(responsible_id),)


def of(contact: Contact) -> Resource:
    """The contact as scopes see it: his organisation's, and `own/*` of who answers for him."""
    if isinstance(contact, Nothing):
        return Resource()
    responsible_id = contact.responsible_id if isinstance(contact, Erased) else contact.details.responsible_id
    return Resource(
        scopes=frozenset({("organisation", str(contact.organisation_id))}),
        responsible_ids=frozenset() if responsible_id is None else frozenset({responsible_id}),
    )


def oneself(context: Context) -> UUID | None:
    """Who answers for a contact unless somebody else is named: the person who adds it."""
    actor = context.caller.actor
    return actor.id if actor.kind == "user" else None


def _with(resource: Resource, responsible_id: UUID | None) -> Resource:
    also = frozenset() if responsible_id is None else frozenset({responsible_id})
    return Resource(scopes=resource.scopes, responsible_ids=resource.responsible_ids | also)
