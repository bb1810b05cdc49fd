"""Letters: registered as they come in, drafted, signed, corrected, withdrawn."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import date
from typing import ClassVar, Protocol
from uuid import UUID

from msgspec import structs

from application.access import Caller, Need, Resource, require
from application.context import Context, DryRun
from application.execute import Execute
from application.letter_thread import VIEW, Threads, of, within
from application.numbers import Numbers, NumberTaken
from application.ports import NOTHING_ELSE, Answer, Callers, Claims, ClaimTaken, EventStore, NewId, Reliance
from application.resource import latest
from domain.letter.aggregate import LETTER, Draft, Letter, Nothing, Registered, Signed
from domain.letter.commands import ChangeLetter, DraftLetter, RegisterLetter, SignLetter, WithdrawLetter
from domain.letter.events import INCOMING, OUTGOING
from domain.letter.guards import NUMBER
from domain.letter.refusals import LetterAlreadySigned
from domain.number import Number
from domain.organisation.guards import OPEN
from domain.shared import DomainError, FieldError, Kind

CREATE, EDIT, SIGN, WITHDRAW = "letter:create", "letter:edit", "letter:sign", "letter:withdraw"
DIGITS = 5


class OrganisationsNotOpen(DomainError):
    """A letter is from or to organisations of the register that are not archived; `errors` says which is not."""

    code: ClassVar[str] = "letter.organisation_unknown"
    kind: ClassVar[Kind] = Kind.INVALID


class Enclosing(Protocol):
    """What files are, to a letter that encloses them."""

    async def enclosures(
        self, file_ids: Sequence[UUID], owner_id: UUID, *, already: Collection[UUID]
    ) -> Reliance:
        """That all but those it has already are the owner's, complete and free. Raises what is wrong."""
        ...

    def taken(self, taken: ClaimTaken) -> DomainError: ...


class Letters:
    """A letter lies in the scope `organisation/<id>` of each of its organisations. To write to, leave out or add an
    organisation takes the right there; nobody of ours answers for a letter, so `own/*` has none.
    """

    def __init__(
        self,
        execute: Execute,
        store: EventStore,
        callers: Callers,
        claims: Claims,
        enclosing: Enclosing,
        numbers: Numbers,
        new_id: NewId,
    ) -> None:
        self._execute, self._store, self._callers, self._claims = execute, store, callers, claims
        self._enclosing, self._numbers, self._new_id = enclosing, numbers, new_id
        self._threads = Threads(store, execute.clock)

    async def register(self, command: RegisterLetter, context: Context) -> Answer | DryRun:
        """Raises OrganisationsNotOpen, LetterInvalid, ParentUnknown, FileNotYours, FileAlreadyBound."""
        letter_id, last_day = self._new_id(), latest(self._execute.clock())

        async def numbered(number: Number) -> Answer | DryRun:
            written = number.written(DIGITS)
            return await self._execute(
                LETTER,
                letter_id,
                structs.replace(command, number=written, latest=last_day),
                context,
                Need(right=CREATE),
                new=True,
                resource=lambda _: within(command.organisation_ids),
                relies=self._first(command, context),
                extra={"number": written},
                taken=self._taken,
            )

        return await self._next(INCOMING, numbered)

    async def draft(self, command: DraftLetter, context: Context) -> Answer | DryRun:
        """Raises OrganisationsNotOpen, ParentUnknown, FileNotYours, FileAlreadyBound."""
        return await self._execute(
            LETTER,
            self._new_id(),
            command,
            context,
            Need(right=CREATE),
            new=True,
            resource=lambda _: within(command.organisation_ids),
            relies=self._first(command, context),
            taken=self._taken,
        )

    async def sign(self, letter_id: UUID, signed_on: date | None, context: Context) -> Answer | DryRun:
        """With the day given, else today. A letter that is signed already is answered with the number it has."""
        now = self._execute.clock()
        command = SignLetter(
            number="",
            signed_by=context.caller.actor.id,
            signed_on=signed_on,
            today=self._numbers.today(now),
            latest=latest(now),
        )

        async def written(number: str) -> Answer | DryRun:
            return await self._execute(
                LETTER,
                letter_id,
                structs.replace(command, number=number),
                context,
                Need(right=SIGN, view=VIEW),
                resource=of,
                extra={"number": number},
                taken=self._taken,
            )

        present: Letter = (await self._store.load(LETTER, letter_id, fresh=True)).state
        if not isinstance(present, Draft):
            return await written(present.number if isinstance(present, Signed) else "")
        try:
            return await self._next(OUTGOING, lambda number: written(number.written(DIGITS)))
        except LetterAlreadySigned:  # by somebody else, meanwhile
            return await self.sign(letter_id, signed_on, context)

    async def change(self, letter_id: UUID, command: ChangeLetter, context: Context) -> Answer | DryRun:
        """Raises what `register` raises, ParentCycle and ThreadTooLong; what stays is not judged again."""
        command = structs.replace(command, latest=latest(self._execute.clock()))
        seen: Letter = Nothing()

        def about(letter: Letter) -> Resource:
            nonlocal seen
            seen = letter
            return of(letter)

        async def reliance() -> Reliance:
            return await self._moved(letter_id, seen, command, context)

        return await self._execute(
            LETTER,
            letter_id,
            command,
            context,
            Need(right=EDIT, view=VIEW),
            resource=about,
            relies=reliance,
            taken=self._taken,
        )

    async def withdraw(self, letter_id: UUID, command: WithdrawLetter, context: Context) -> Answer | DryRun:
        need = Need(right=WITHDRAW, view=VIEW)
        return await self._execute(LETTER, letter_id, command, context, need, resource=of)

    # --- what it relies on -------------------------------------------------------------------------------------

    def _first(
        self, command: RegisterLetter | DraftLetter, context: Context
    ) -> Callable[[], Awaitable[Reliance]]:
        async def reliance() -> Reliance:
            caller = await self._callers.caller(context.caller)
            self._allowed(caller, CREATE, command.organisation_ids)
            opened = await self._open(command.organisation_ids)
            files = tuple(dict.fromkeys(command.attachments))
            enclosed = await self._enclosing.enclosures(files, caller.actor.id, already=())
            thread = NOTHING_ELSE
            if command.parent_id is not None:
                thread = await self._threads.answering(command.parent_id, caller)
            return _all(opened, enclosed, thread)

        return reliance

    async def _moved(
        self, letter_id: UUID, letter: Letter, command: ChangeLetter, context: Context
    ) -> Reliance:
        assert isinstance(letter, Draft | Registered | Signed)
        changes, details = command.changes, letter.details
        caller = await self._callers.caller(context.caller)
        relied: list[Reliance] = []
        if "organisation_ids" in changes:
            organisations = tuple(map(UUID, changes["organisation_ids"]))
            before = set(details.organisation_ids)
            self._allowed(caller, EDIT, before ^ set(organisations))
            relied.append(await self._open(organisations, already=before))
        if "attachments" in changes:
            files = tuple(map(UUID, dict.fromkeys(changes["attachments"])))
            relied.append(await self._enclosing.enclosures(files, caller.actor.id, already=letter.bound))
        parent = changes.get("parent_id")
        if parent is not None and UUID(parent) != details.parent_id:
            relied.append(await self._threads.moving(letter_id, UUID(parent), caller))
        return _all(*relied)

    def _allowed(self, caller: Caller, right: str, organisation_ids: Collection[UUID]) -> None:
        """Raises Forbidden unless he has the right in every one of them."""
        now = self._execute.clock()
        for organisation_id in organisation_ids:
            require(caller, right, now, within((organisation_id,)))

    async def _open(self, organisation_ids: Sequence[UUID], *, already: Collection[UUID] = ()) -> Reliance:
        """Raises OrganisationsNotOpen, with every one that is not."""
        asked = [(at, each) for at, each in enumerate(organisation_ids) if each not in already]
        owners = await asyncio.gather(*(self._claims.owner(OPEN, str(each)) for _, each in asked))
        detail = "No organisation with this id is open."
        wrong = tuple(
            FieldError(pointer=f"/organisation_ids/{at}", code="unknown", detail=detail)
            for (at, _), owner in zip(asked, owners, strict=True)
            if owner is None
        )
        if wrong:
            raise OrganisationsNotOpen("Not every organisation is open.", errors=wrong)
        return Reliance(require=tuple((OPEN, str(each), each) for _, each in asked))

    async def _next(
        self, register: str, command: Callable[[Number], Awaitable[Answer | DryRun]]
    ) -> Answer | DryRun:
        """The next number of this year, as the office's own calendar has it."""
        year = self._numbers.today(self._execute.clock()).year
        return await self._numbers.give(NUMBER, register, year, command)

    def _taken(self, taken: ClaimTaken) -> DomainError:
        if taken.kind == NUMBER:
            raise NumberTaken
        return self._enclosing.taken(taken)


def _all(*relied: Reliance) -> Reliance:
    return Reliance(
        reads=tuple(each for one in relied for each in one.reads),
        require=tuple(each for one in relied for each in one.require),
    )
