"""People forgotten: the event that says so destroys the key under which everything about them is sealed."""

from functools import partial
from uuid import UUID

from application.access import SYSTEM_ROLE, Need, Resource, system
from application.contact import of as of_contact
from application.context import Context, DryRun
from application.execute import Execute
from application.legal_hold import LegalHolds
from application.organisation import VIEW as VIEW_ORGANISATION
from application.ports import Answer, Reliance
from application.user import VIEW
from application.user_identity import of
from domain.contact.aggregate import CONTACT, Contact, Nothing
from domain.contact.commands import EraseContact
from domain.user.aggregate import USER
from domain.user.commands import EraseUser, ExportUser
from domain.user.guards import ADMIN
from domain.user.refusals import LastAdmin


class Erasures:
    def __init__(self, execute: Execute, holds: LegalHolds) -> None:
        self._execute, self._holds = execute, holds

    async def user(self, user_id: UUID, reason: str, context: Context) -> Answer | DryRun:
        """Raises UserUnknown, AboveYou, LastAdmin, UnderLegalHold."""
        return await self._execute(
            USER,
            user_id,
            EraseUser(reason=reason, by_role=context.caller.role or "user"),
            context,
            Need(right="user:erase", view=VIEW, step_up=True),
            resource=of(user_id),
            relies=partial(self._holds.unheld, (user_id,)),
            keep_one=(ADMIN,),
            none_left=lambda: LastAdmin("The last active administrator stays one."),
        )

    async def contact(self, contact_id: UUID, reason: str, context: Context) -> Answer | DryRun:
        """A hold on the organisation holds him, too. Raises ContactUnknown, UnderLegalHold."""
        subjects = [contact_id]

        def about(contact: Contact) -> Resource:
            subjects[1:] = [] if isinstance(contact, Nothing) else [contact.organisation_id]
            return of_contact(contact)

        async def unheld() -> Reliance:
            return await self._holds.unheld(subjects)

        need = Need(right="contact:erase", view=VIEW_ORGANISATION, step_up=True)
        return await self._execute(
            CONTACT, contact_id, EraseContact(reason=reason), context, need, resource=about, relies=unheld
        )

    async def again(self, noun: str, person: UUID) -> None:
        """Says once more that a `user` or a `contact` was erased, in a log that was set back to before it was said. His
        key is destroyed, so no hold has anything to hold, and nobody can be asked whether to.
        """
        context, need = Context(caller=system(), request_id="erased-before"), Need(right=None, by="system")
        reason = "Erased before the log was set back to an earlier moment"
        if noun == USER.noun:
            await self._execute(USER, person, EraseUser(reason=reason, by_role=SYSTEM_ROLE), context, need)
        else:
            await self._execute(CONTACT, person, EraseContact(reason=reason), context, need)

    async def export(self, user_id: UUID, context: Context) -> Answer:
        """Records that everything about him was given out. Raises UserUnknown, UserIsErased."""
        need = Need(right="user:export", view=VIEW)
        answer = await self._execute(USER, user_id, ExportUser(), context, need, resource=of(user_id))
        assert isinstance(answer, Answer), "a GET rehearses nothing"
        return answer
