"""Legal holds: who is part of a case is not forgotten before it is over."""

from collections.abc import Sequence
from uuid import UUID

from application.access import Need
from application.context import Context, DryRun
from application.execute import Execute
from application.ports import Answer, Claims, EventStore, NewId, Reliance
from domain.contact import aggregate as contact
from domain.legal_hold import events as legal_hold
from domain.legal_hold.aggregate import LEGAL_HOLD, HoldSubjectErased, HoldSubjectUnknown, UnderLegalHold
from domain.legal_hold.commands import PlaceLegalHold, ReleaseLegalHold
from domain.legal_hold.guards import ON
from domain.organisation import aggregate as organisation
from domain.shared import FieldError
from domain.user import account
from domain.user.aggregate import USER

NEED = Need(right="audit:hold", view="audit:hold", step_up=True)


class LegalHolds:
    def __init__(self, execute: Execute, store: EventStore, claims: Claims, new_id: NewId) -> None:
        self._execute, self._store, self._claims, self._new_id = execute, store, claims, new_id

    async def place(self, command: PlaceLegalHold, context: Context) -> Answer | DryRun:
        """Raises HoldSubjectUnknown, HoldSubjectErased."""

        async def standing() -> Reliance:
            return Reliance(reads=((command.subject.id, await self._version(command.subject)),))

        return await self._execute(
            LEGAL_HOLD, self._new_id(), command, context, NEED, new=True, relies=standing
        )

    async def release(self, hold_id: UUID, command: ReleaseLegalHold, context: Context) -> Answer | DryRun:
        return await self._execute(LEGAL_HOLD, hold_id, command, context, NEED)

    async def unheld(self, subjects: Sequence[UUID]) -> Reliance:
        """That no hold is on any of them, which append judges again. Raises UnderLegalHold."""
        holds = [hold for subject in subjects for hold in await self._claims.owners(ON, f"{subject}:")]
        if holds:
            named = ", ".join(map(str, holds))
            raise UnderLegalHold(f"Held by {named}.", legal_holds=[str(hold) for hold in holds])
        return Reliance(unheld=tuple(subjects))

    async def _version(self, subject: legal_hold.Subject) -> int:
        """The version of its stream that says that it is there and not erased."""
        match subject.type:
            case legal_hold.USER:
                user = await self._store.load(USER, subject.id, fresh=True)
                known, gone = user.version, isinstance(user.state, account.Erased)
            case legal_hold.CONTACT:
                person = await self._store.load(contact.CONTACT, subject.id, fresh=True)
                known, gone = person.version, isinstance(person.state, contact.Erased)
            case _:
                house = await self._store.load(organisation.ORGANISATION, subject.id, fresh=True)
                known, gone = house.version, False
        if gone:
            raise HoldSubjectErased("This person was erased.")
        if not known:
            wrong = FieldError(
                pointer="/subject/id", code="unknown", detail=f"There is no such {subject.type}."
            )
            raise HoldSubjectUnknown("There is nobody to hold.", errors=(wrong,))
        return known
