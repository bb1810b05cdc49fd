"""A letter: incoming, registered as soon as it is here; or outgoing, a draft until it is signed.

It is one or the other from its birth, corrected rather than overwritten, withdrawn rather than deleted.
"""

from collections.abc import Collection, Iterator
from datetime import date
from typing import Any, assert_never
from uuid import UUID

from msgspec import UNSET, Struct, convert
from msgspec.structs import asdict, replace

from domain.letter.commands import (
    ChangeLetter,
    DraftLetter,
    LetterCommand,
    RegisterLetter,
    SignLetter,
    TellDue,
    WithdrawLetter,
)
from domain.letter.events import (
    Details,
    LetterChanged,
    LetterDrafted,
    LetterEvent,
    LetterFellDue,
    LetterRegistered,
    LetterSigned,
    LetterWithdrawn,
)
from domain.letter.refusals import (
    LetterAlreadySigned,
    LetterInvalid,
    LetterIsIncoming,
    LetterIsWithdrawn,
    LetterUnknown,
)
from domain.shared import FieldError, Rules


class Nothing(Struct, frozen=True):
    """No such letter, yet."""


class Standing(Struct, frozen=True, kw_only=True):
    """It counts. `bound`: the files that it has ever had; `told_due`: the days that were told when they came."""

    details: Details
    bound: tuple[UUID, ...]
    told_due: tuple[date, ...] = ()


class Draft(Standing, frozen=True, kw_only=True):
    """To go out."""


class Registered(Standing, frozen=True, kw_only=True):
    """It has come in."""

    number: str


class Signed(Standing, frozen=True, kw_only=True):
    """It has gone out."""

    number: str


class Withdrawn(Struct, frozen=True, kw_only=True):
    """It counts no more."""

    details: Details


Letter = Nothing | Draft | Registered | Signed | Withdrawn

_OF_INCOMING = frozenset({"sender_number", "sender_date", "received_on"})
_OF_SIGNED = frozenset({"signed_on"})


def decide(letter: Letter, command: LetterCommand) -> tuple[LetterEvent, ...]:
    match command:
        case RegisterLetter():
            return register(letter, command)
        case DraftLetter():
            return draft(letter, command)
        case ChangeLetter():
            return change(letter, command)
        case SignLetter():
            return sign(letter, command)
        case WithdrawLetter():
            return withdraw(letter, command)
        case TellDue():
            return tell_due(letter, command)
        case _:
            assert_never(command)


def register(letter: Letter, command: RegisterLetter) -> tuple[LetterEvent, ...]:
    """A letter that an organisation document brought has an id that follows from it: it is registered once."""
    if not isinstance(letter, Nothing):
        return ()
    fields = _each_once(asdict(command))
    del fields["latest"]
    event = LetterRegistered(**fields)
    _dated(convert(event, Details, from_attributes=True), command.latest)
    return (event,)


def draft(letter: Letter, command: DraftLetter) -> tuple[LetterEvent, ...]:
    return (LetterDrafted(**_each_once(asdict(command))),) if isinstance(letter, Nothing) else ()


def change(letter: Letter, command: ChangeLetter) -> tuple[LetterEvent, ...]:
    match letter:
        case Nothing():
            raise LetterUnknown("There is no such letter.")
        case Withdrawn():
            raise LetterIsWithdrawn("A withdrawn letter cannot be changed.")
        case Draft():
            foreign = _OF_INCOMING | _OF_SIGNED
        case Registered():
            foreign = _OF_SIGNED
        case Signed():
            foreign = _OF_INCOMING
        case _:
            assert_never(letter)
    _of_its_kind(command.changes, foreign)
    given = convert(command.changes, LetterChanged)
    asked = _each_once({name: getattr(given, name) for name in command.changes})
    new = {name: value for name, value in asked.items() if value != getattr(letter.details, name)}
    _dated(replace(letter.details, **new), command.latest)
    if "attachments" in new:
        added = tuple(each for each in new["attachments"] if each not in letter.bound)
        new["bound"] = (*letter.bound, *added)
    return (LetterChanged(**new),) if new else ()


def sign(letter: Letter, command: SignLetter) -> tuple[LetterEvent, ...]:
    """Signing again, with its own number and no other day, changes nothing."""
    match letter:
        case Nothing():
            raise LetterUnknown("There is no such letter.")
        case Withdrawn():
            raise LetterIsWithdrawn("A withdrawn letter cannot be signed.")
        case Registered():
            raise LetterIsIncoming("A letter that came in is not ours to sign.")
        case Signed(number=number, details=details):
            if command.number == number and command.signed_on in (None, details.signed_on):
                return ()
            raise LetterAlreadySigned("It is signed already.")
        case Draft(details=details):
            signed_on = command.signed_on or command.today
            _dated(replace(details, signed_on=signed_on), command.latest)
            return (LetterSigned(number=command.number, signed_on=signed_on, signed_by=command.signed_by),)
        case _:
            assert_never(letter)


def withdraw(letter: Letter, command: WithdrawLetter) -> tuple[LetterEvent, ...]:
    match letter:
        case Nothing():
            raise LetterUnknown("There is no such letter.")
        case Withdrawn():
            return ()
        case Draft() | Registered() | Signed():
            return (LetterWithdrawn(reason=command.reason),)
        case _:
            assert_never(letter)


def tell_due(letter: Letter, command: TellDue) -> tuple[LetterEvent, ...]:
    """Once for each day by which an answer is due, also when it is moved away and back."""
    match letter:
        case Nothing():
            raise LetterUnknown("There is no such letter.")
        case Withdrawn():
            return ()
        case Draft() | Registered() | Signed():
            due_on = letter.details.due_on
            if due_on is None or due_on > command.today or due_on in letter.told_due:
                return ()
            return (LetterFellDue(due_on=due_on, user_ids=command.user_ids),)
        case _:
            assert_never(letter)


def _each_once(fields: dict[str, Any]) -> dict[str, Any]:
    """Organisations and enclosures are named once each, in the order given."""
    return {
        name: tuple(dict.fromkeys(value)) if isinstance(value, tuple) else value
        for name, value in fields.items()
    }


def _of_its_kind(names: Collection[str], foreign: Collection[str]) -> None:
    wrong = tuple(
        FieldError(pointer=f"/{name}", code="direction", detail="A letter of this kind has no such field.")
        for name in names
        if name in foreign
    )
    if wrong:
        raise LetterInvalid("A letter is incoming or outgoing, never both.", errors=wrong)


def _dated(details: Details, latest: date) -> None:
    if wrong := tuple(_wrong_dates(details, latest)):
        raise LetterInvalid("The dates make no sense.", errors=wrong)


def _wrong_dates(details: Details, latest: date) -> Iterator[FieldError]:
    for name in ("sender_date", "received_on", "signed_on"):
        day: date | None = getattr(details, name)
        if day is not None and day > latest:
            yield FieldError(pointer=f"/{name}", code="future", detail="This day has not come yet.")
    sent, received = details.sender_date, details.received_on
    if sent is not None and received is not None and received < sent:
        yield FieldError(pointer="/received_on", code="order", detail="It was sent later than that.")


def evolve(letter: Letter, event: LetterEvent) -> Letter:
    match event:
        case LetterRegistered():
            details = convert(event, Details, from_attributes=True)
            return Registered(number=event.number, details=details, bound=event.attachments)
        case LetterDrafted():
            return Draft(details=convert(event, Details, from_attributes=True), bound=event.attachments)
        case LetterChanged():
            assert isinstance(letter, Draft | Registered | Signed)
            new = {name: value for name, value in asdict(event).items() if value is not UNSET}
            bound = new.pop("bound", letter.bound)
            return replace(letter, details=replace(letter.details, **new), bound=bound)
        case LetterSigned():
            assert isinstance(letter, Draft)
            details = replace(letter.details, signed_on=event.signed_on)
            return Signed(number=event.number, details=details, bound=letter.bound, told_due=letter.told_due)
        case LetterFellDue():
            assert isinstance(letter, Draft | Registered | Signed)
            return replace(letter, told_due=(*letter.told_due, event.due_on))
        case LetterWithdrawn():
            assert isinstance(letter, Draft | Registered | Signed)
            return Withdrawn(details=letter.details)
        case _:
            assert_never(event)


LETTER: Rules[Letter, LetterCommand, LetterEvent] = Rules(
    initial=Nothing(), decide=decide, evolve=evolve, unknown=LetterUnknown
)
