"""The letter that an organisation document came with: it goes into the register of what comes in, too."""

from uuid import UUID, uuid5

from msgspec import Struct, structs

from application.access import Need
from application.context import Context
from application.execute import Execute
from application.letter import DIGITS
from application.letter_reliance import CREATE
from application.numbers import Numbers, taken
from application.ports import EventStore
from domain.document.events import Letter
from domain.document_type.aggregate import DOCUMENT_TYPE, Nothing
from domain.letter.aggregate import LETTER
from domain.letter.commands import RegisterLetter
from domain.letter.events import INCOMING
from domain.letter.guards import NUMBER
from domain.number import Number

_BROUGHT = UUID("6a3f0f3e-5b0c-4a43-8f3c-2d0a9d5c7b11")
"""The namespace of the ids of such letters (RFC 9562 5.5). It never changes."""


class Brought(Struct, frozen=True, kw_only=True):
    """What a version of an organisation document says of the letter it came with."""

    document_id: UUID
    organisation_id: UUID
    type_id: UUID
    letter: Letter


class BroughtLetters:
    """By Chancery itself, after the fact: the letter came, whatever has become of the organisation since, and its dates
    were judged with the document's.
    """

    def __init__(self, execute: Execute, store: EventStore, numbers: Numbers) -> None:
        self._execute, self._store, self._numbers = execute, store, numbers

    async def register(self, brought: Brought, context: Context) -> None:
        """Once, however often versions of the document say the same of it: its id follows from what they say."""
        letter, today = brought.letter, self._numbers.today(self._execute.clock())
        told = f"{brought.document_id}|{letter.sender_number}|{letter.sender_date}|{letter.received_on}"
        command = RegisterLetter(
            organisation_ids=(brought.organisation_id,),
            subject=f"О направлении документа «{await self._name(brought.type_id)}»",
            sender_number=letter.sender_number,
            sender_date=letter.sender_date,
            received_on=letter.received_on or max(today, letter.sender_date or today),
            document_id=brought.document_id,
        )

        async def numbered(number: Number) -> object:
            return await self._execute(
                LETTER,
                uuid5(_BROUGHT, told),
                structs.replace(command, number=number.written(DIGITS)),
                context,
                Need(right=CREATE),
                upsert=True,
                taken=taken(NUMBER),
            )

        await self._numbers.give(NUMBER, INCOMING, today.year, numbered)

    async def _name(self, type_id: UUID) -> str:
        kind = (await self._store.load(DOCUMENT_TYPE, type_id)).state
        return str(type_id) if isinstance(kind, Nothing) else kind.name
