"""Personal fields where no key is at hand: they were given, and nobody can read them here."""

from collections.abc import Iterator, Mapping
from uuid import UUID

import msgspec

from infrastructure.personal_data import SubjectKey

WORD = "sealed"
"""What stands in the place of a personal field that an export holds as ciphertext."""

_STRUCTURED = {"origin": {"address": WORD, "agent": WORD}, "management": {"position": WORD, "name": WORD}}
_FIELD = 24
"""Where the name of the field begins in what a ciphertext is bound to (infrastructure.event_codec.associated)."""


class _Closed(SubjectKey, frozen=True):
    """Opens nothing, and says so, in the shape that the field has."""

    def open(self, sealed: str, associated: bytes) -> bytes:  # noqa: ARG002 - nobody looks inside
        return msgspec.json.encode(_STRUCTURED.get(associated[_FIELD:].decode(), WORD))


class Closed(Mapping[UUID, SubjectKey | None]):
    """Nobody's key, for whoever decodes events."""

    def __init__(self) -> None:
        self._closed = _Closed(b"", None)

    def __getitem__(self, subject: UUID) -> SubjectKey:
        return self._closed

    def __iter__(self) -> Iterator[UUID]:
        return iter(())

    def __len__(self) -> int:
        return 0


SEALED = Closed()
