"""The rules of letters that say no."""

from typing import ClassVar

from domain.shared import DomainError, Kind


class LetterUnknown(DomainError):
    """No letter has this id or number, or it is not yours to know."""

    code: ClassVar[str] = "letter.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


class LetterIsWithdrawn(DomainError):
    """A withdrawn letter keeps its number and cannot be changed, signed or answered any more."""

    code: ClassVar[str] = "letter.withdrawn"
    kind: ClassVar[Kind] = Kind.CONFLICT


class LetterIsIncoming(DomainError):
    """A letter that came in has its number already, and was signed by whoever sent it."""

    code: ClassVar[str] = "letter.incoming"
    kind: ClassVar[Kind] = Kind.CONFLICT


class LetterAlreadySigned(DomainError):
    """It was signed on another day. A wrong day is corrected by PATCH."""

    code: ClassVar[str] = "letter.already_signed"
    kind: ClassVar[Kind] = Kind.CONFLICT


class LetterInvalid(DomainError):
    """Its dates make no sense, or a field does not belong to a letter of its direction; `errors` says which."""

    code: ClassVar[str] = "letter.invalid"
    kind: ClassVar[Kind] = Kind.INVALID


class ParentUnknown(DomainError):
    """The letter it answers is not known, not yours to know, or withdrawn."""

    code: ClassVar[str] = "letter.parent_unknown"
    kind: ClassVar[Kind] = Kind.INVALID


class ParentCycle(DomainError):
    """A letter answers neither itself nor one of its own answers."""

    code: ClassVar[str] = "letter.parent_cycle"
    kind: ClassVar[Kind] = Kind.INVALID


class ThreadTooLong(DomainError):
    """A letter is not moved below more than 200 others that answer each other."""

    code: ClassVar[str] = "letter.thread_too_long"
    kind: ClassVar[Kind] = Kind.INVALID
