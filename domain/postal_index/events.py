"""What can happen to the postal index: a part of it is loaded by an import."""

from typing import ClassVar
from uuid import UUID, uuid5

from msgspec import Struct

from domain.shared import Event

_CODES = UUID("7d0c5a55-6f2c-4d43-8a3e-6a4f9c7e2b10")
"""The namespace of postal codes' ids (RFC 9562 5.5). It never changes: a code's record is found by it."""


def code_id(code: str) -> UUID:
    return uuid5(_CODES, code)


def batch_id(import_id: UUID, number: int) -> UUID:
    """One stream per batch of an import, so that a batch loaded again is found loaded."""
    return uuid5(import_id, f"postal index {number}")


class PostalCode(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Six digits and where they lie; `region_code` is the tax service's."""

    code: str
    region_code: str
    area: str | None = None
    locality: str | None = None


class PostalIndexLoaded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """`codes` are new or lie elsewhere from now on; `vanished` ones are in the index no more."""

    TOPIC: ClassVar[str] = "postal_index.loaded.v1"

    import_id: UUID
    number: int
    codes: tuple[PostalCode, ...] = ()
    vanished: tuple[str, ...] = ()


PostalIndexEvent = PostalIndexLoaded
