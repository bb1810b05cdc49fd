"""What one may ask of a letter. `latest`: the last day that is not the future, anywhere on Earth."""

from datetime import date
from typing import Any
from uuid import UUID

from domain.letter.events import Paper, Received
from domain.shared import Command


class RegisterLetter(Received, Command, frozen=True, kw_only=True):
    """`number`: the next one of the register."""

    number: str = ""
    latest: date = date.max


class DraftLetter(Paper, Command, frozen=True, kw_only=True):
    pass


class ChangeLetter(Command, frozen=True, kw_only=True):
    """`changes` holds field names of Details with their new values."""

    changes: dict[str, Any]
    latest: date = date.max


class SignLetter(Command, frozen=True, kw_only=True):
    """`number`: the next one of the register, or the letter's own. Without `signed_on` it is signed `today`."""

    number: str
    signed_by: UUID
    signed_on: date | None = None
    today: date
    latest: date = date.max


class WithdrawLetter(Command, frozen=True, kw_only=True):
    reason: str


class TellDue(Command, frozen=True, kw_only=True):
    """Say, if its day has come `today`, that it should be answered. `user_ids`: whom that concerns."""

    today: date
    user_ids: tuple[UUID, ...] = ()


LetterCommand = RegisterLetter | DraftLetter | ChangeLetter | SignLetter | WithdrawLetter | TellDue
