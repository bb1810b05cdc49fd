"""What can happen to a list of reference data: it is loaded, as a whole."""

from typing import ClassVar
from uuid import UUID, uuid5

from msgspec import Struct

from domain.shared import Event

_LISTS = UUID("5d3f5a6e-30f6-4d0f-9d0a-0a4f5a1f8f57")
"""The namespace of lists' ids (RFC 9562 5.5). It never changes: a list's stream is found by it."""


def list_id(kind: str) -> UUID:
    """One stream per kind of reference data."""
    return uuid5(_LISTS, kind)


def entry_id(kind: str, code: str) -> UUID:
    """The id of one entry, the same wherever it is loaded."""
    return uuid5(list_id(kind), code)


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`part_of`: the code of the larger thing it lies in."""

    code: str
    name: str
    part_of: str | None = None


class ReferenceLoaded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The whole list as it is from now on: `okrug`, `region` or `industry`."""

    TOPIC: ClassVar[str] = "reference.loaded.v1"

    kind: str
    entries: tuple[Entry, ...]


ReferenceEvent = ReferenceLoaded
