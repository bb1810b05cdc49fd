"""Types of organisation documents: add, change."""

import re
import unicodedata
from typing import Any
from uuid import UUID

from application.access import Need
from application.context import Context, DryRun
from application.execute import Execute
from application.ports import Answer, ClaimTaken, NewId
from domain.document_type.aggregate import DOCUMENT_TYPE, PrefixTaken
from domain.document_type.commands import AddDocumentType, ChangeDocumentType
from domain.shared import DomainError

EDIT = Need(right="document:edit")
LONGEST = 18
_LATIN = dict(
    zip(
        "бвгджзйклмнпрстфхцчшщ",
        (
            "b",
            "v",
            "g",
            "d",
            "zh",
            "z",
            "j",
            "k",
            "l",
            "m",
            "n",
            "p",
            "r",
            "s",
            "t",
            "f",
            "h",
            "c",
            "ch",
            "sh",
            "sch",
        ),
        strict=True,
    )
)


class DocumentTypes:
    def __init__(self, execute: Execute, new_id: NewId) -> None:
        self._execute, self._new_id = execute, new_id

    async def add(self, command: AddDocumentType, context: Context) -> Answer | DryRun:
        return await self._execute(
            DOCUMENT_TYPE, self._new_id(), command, context, EDIT, new=True, taken=_taken
        )

    async def change(self, type_id: UUID, changes: dict[str, Any], context: Context) -> Answer | DryRun:
        command = ChangeDocumentType(changes=changes)
        return await self._execute(DOCUMENT_TYPE, type_id, command, context, EDIT)


def prefix_of(name: str) -> str:
    """A prefix made of a name's first 18 consonants in Latin letters, as the register always made them."""
    plain = unicodedata.normalize("NFKD", name.lower())
    consonants = [
        letter for letter in plain if letter in _LATIN or re.fullmatch("[b-df-hj-np-tv-z0-9]", letter)
    ]
    return "".join(_LATIN.get(letter, letter) for letter in consonants[:LONGEST]) or "document"


def _taken(_: ClaimTaken) -> DomainError:
    return PrefixTaken("Another type of document has this prefix.")
