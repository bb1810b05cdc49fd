"""What can happen to a document of an organisation: a version of it is put on record."""

from datetime import date
from typing import ClassVar
from uuid import UUID, uuid5

from msgspec import Struct

from domain.shared import Event

_DOCUMENTS = UUID("3d9a4e52-9d0e-4d0a-8a86-0c5f4b7f1c33")
"""The namespace of documents' ids (RFC 9562 5.5). It never changes: a document's stream is found by it."""


def document_id(organisation_id: UUID, type_id: UUID) -> UUID:
    """One stream per organisation and type: what is attached again is another version."""
    return uuid5(_DOCUMENTS, f"{organisation_id}|{type_id}")


class Letter(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The letter that brought it: the sender's number and date, and when it came."""

    sender_number: str | None = None
    sender_date: date | None = None
    received_on: date | None = None


class Paper(Struct, frozen=True, kw_only=True):
    """What is known of a version. Without a file it is confidential: kept elsewhere, and only known to be there."""

    date_approved: date
    file_id: UUID | None = None
    props: str | None = None
    inventory_number: str | None = None
    comment: str | None = None
    letter: Letter | None = None


class DocumentRecorded(Paper, Event, frozen=True, kw_only=True, omit_defaults=True):
    """`number`: of this version, from 1. `bound`: the files of all versions. `prefix` and `is_main` are the type's,
    so that what is known of the organisation follows from this event alone.
    """

    TOPIC: ClassVar[str] = "document.recorded.v1"

    organisation_id: UUID
    type_id: UUID
    prefix: str
    is_main: bool = False
    number: int
    bound: tuple[UUID, ...] = ()


DocumentEvent = DocumentRecorded
