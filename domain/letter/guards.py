"""What a letter keeps for itself: its number, and the files that were ever enclosed."""

from typing import assert_never
from uuid import UUID

from msgspec import UnsetType

from domain.file.guards import BINDING
from domain.letter.events import (
    LetterChanged,
    LetterDrafted,
    LetterEvent,
    LetterFellDue,
    LetterRegistered,
    LetterSigned,
    LetterWithdrawn,
)
from domain.number import number_of
from domain.shared import Claim, Guard

NUMBER = "letter.number"
"""Never released: a withdrawn letter keeps its number, so that the register has no gap."""


def guards(stream_id: UUID, event: LetterEvent) -> tuple[Guard, ...]:
    match event:
        case LetterRegistered():
            return numbered(event.number), binding(event.attachments)
        case LetterDrafted():
            return (binding(event.attachments),)
        case LetterChanged():
            return () if isinstance(event.bound, UnsetType) else (binding(event.bound),)
        case LetterSigned():
            return (numbered(event.number),)
        case LetterWithdrawn() | LetterFellDue():
            return ()
        case _:
            assert_never(event)


def numbered(text: str) -> Claim:
    number = number_of(text)
    assert number is not None, f"no number is written {text}"
    return Claim(kind=NUMBER, values=(number.claim,))


def binding(file_ids: tuple[UUID, ...]) -> Claim:
    return Claim(kind=BINDING, values=tuple(map(str, file_ids)))
