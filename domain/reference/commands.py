"""What one may ask of reference data."""

from domain.reference.events import Entry
from domain.shared import Command


class LoadReference(Command, frozen=True, kw_only=True):
    kind: str
    entries: tuple[Entry, ...]


ReferenceCommand = LoadReference
