"""Letters: registered as they come in, drafted, signed, corrected, withdrawn."""

from collections.abc import Awaitable, Callable
from datetime import date
from uuid import UUID

from msgspec import structs

from application.access import Need, Resource
from application.context import Context, DryRun
from application.execute import Execute
from application.letter_reliance import CREATE, EDIT, Enclosing, Relying, ahead
from application.letter_thread import VIEW, of, within
from application.numbers import Numbers, NumberTaken
from application.ports import Answer, Callers, Claims, ClaimTaken, EventStore, NewId, Reliance
from application.resource import latest
from domain.letter.aggregate import LETTER, Draft, Letter, Nothing, Signed
from domain.letter.commands import ChangeLetter, DraftLetter, RegisterLetter, SignLetter, WithdrawLetter
from domain.letter.events import INCOMING, OUTGOING
from domain.letter.guards import NUMBER
from domain.letter.refusals import LetterAlreadySigned
from domain.number import Number
from domain.shared import DomainError

SIGN, WITHDRAW = "letter:sign", "letter:withdraw"
DIGITS = 5


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
        self._execute, self._store, self._enclosing = execute, store, enclosing
        self._numbers, self._new_id = numbers, new_id
        self._relying = Relying(store, callers, claims, enclosing, execute.clock)

    async def register(self, command: RegisterLetter, context: Context) -> Answer | DryRun:
        """Raises OrganisationsNotOpen, LetterInvalid, ParentUnknown, FileNotYours, FileAlreadyBound."""
        letter_id, last_day = self._new_id(), latest(self._execute.clock())
        relies = await ahead(lambda: self._relying.first(command, context))

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
                relies=relies,
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
            relies=lambda: self._relying.first(command, context),
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
            return await self._relying.moved(letter_id, seen, command, context)

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
