"""A legal hold: in force from the day it is placed until it is released, which is final."""

from typing import ClassVar, assert_never

from msgspec import Struct

from domain.legal_hold.commands import LegalHoldCommand, PlaceLegalHold, ReleaseLegalHold
from domain.legal_hold.events import LegalHoldEvent, LegalHoldPlaced, LegalHoldReleased
from domain.shared import DomainError, Kind, Rules


class Nothing(Struct, frozen=True):
    """No such hold, yet."""


class InForce(Struct, frozen=True):
    """Its subject may not be erased."""


class Released(Struct, frozen=True):
    """Another one may be placed."""


LegalHold = Nothing | InForce | Released


class LegalHoldUnknown(DomainError):
    """No legal hold has this id."""

    code: ClassVar[str] = "legal_hold.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


class LegalHoldExists(DomainError):
    """This id is taken."""

    code: ClassVar[str] = "legal_hold.exists"
    kind: ClassVar[Kind] = Kind.CONFLICT


class HoldSubjectUnknown(DomainError):
    """There is nobody of this type and id to hold."""

    code: ClassVar[str] = "legal_hold.subject_unknown"
    kind: ClassVar[Kind] = Kind.INVALID


class HoldSubjectErased(DomainError):
    """The person was erased before: there is nothing left to hold."""

    code: ClassVar[str] = "legal_hold.subject_erased"
    kind: ClassVar[Kind] = Kind.CONFLICT


class UnderLegalHold(DomainError):
    """Somebody must not be forgotten while a legal hold is on him; `legal_holds` names the holds."""

    code: ClassVar[str] = "legal_hold"
    kind: ClassVar[Kind] = Kind.HELD


def decide(hold: LegalHold, command: LegalHoldCommand) -> tuple[LegalHoldEvent, ...]:
    match command:
        case PlaceLegalHold():
            if not isinstance(hold, Nothing):
                raise LegalHoldExists("This id is taken.")
            return (LegalHoldPlaced(subject=command.subject, reason=command.reason),)
        case ReleaseLegalHold():
            return release(hold, command)
        case _:
            assert_never(command)


def release(hold: LegalHold, command: ReleaseLegalHold) -> tuple[LegalHoldEvent, ...]:
    match hold:
        case Nothing():
            raise LegalHoldUnknown("There is no such legal hold.")
        case Released():
            return ()
        case InForce():
            return (LegalHoldReleased(reason=command.reason),)
        case _:
            assert_never(hold)


def evolve(_hold: LegalHold, event: LegalHoldEvent) -> LegalHold:
    match event:
        case LegalHoldPlaced():
            return InForce()
        case LegalHoldReleased():
            return Released()
        case _:
            assert_never(event)


LEGAL_HOLD: Rules[LegalHold, LegalHoldCommand, LegalHoldEvent] = Rules(
    initial=Nothing(), decide=decide, evolve=evolve, unknown=LegalHoldUnknown
)
