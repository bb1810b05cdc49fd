"""What of a log an auditor asks for: a range of entries, and of these the ones that fit."""

from collections.abc import Callable, Mapping
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.shared import Metadata, Stored

Opens = Callable[[Stored, Mapping[UUID, None]], Metadata]
"""What stands beside an event, read without any key: `EventCodec.metadata`."""


class Selection(
    Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    rename={"first": "from", "last": "to"},
):
    """The entries from position `first` to `last`, both included, that fit every filter there is.

    Any value of a filter will do. `topic`: whole, or its beginning, word by word (`contract`, `contract.signed`).
    `subject`: the record, by its stream. `allowed_by`: the grant's id or `role:<name>` that the actor relied on.
    """

    first: int = 1
    last: int = 2**63 - 1
    topic: tuple[str, ...] = ()
    subject: tuple[UUID, ...] = ()
    actor: tuple[UUID, ...] = ()
    request: tuple[str, ...] = ()
    allowed_by: tuple[str, ...] = ()

    @property
    def filtered(self) -> bool:
        """Whether an entry within the range may be missing without anything being wrong."""
        return bool(self.topic or self.subject or self._beside)

    @property
    def _beside(self) -> bool:
        return bool(self.actor or self.request or self.allowed_by)

    def fits(self, stored: Stored, metadata: Opens) -> bool:
        """Whether an entry is what was asked for. One whose metadata cannot be read fits nothing that asks for it."""
        if not self.first <= stored.position <= self.last:
            return False
        if self.topic and not any(f"{stored.topic}.".startswith(f"{each}.") for each in self.topic):
            return False
        if self.subject and stored.stream_id not in self.subject:
            return False
        if not self._beside:
            return True
        try:
            beside = metadata(stored, {})
        except msgspec.MsgspecError:
            return False
        return (
            (not self.actor or beside.actor.id in self.actor)
            and (not self.request or beside.request_id in self.request)
            and (not self.allowed_by or beside.allowed_by in self.allowed_by)
        )

    def __str__(self) -> str:
        """For people."""
        filters = {
            "topic": self.topic,
            "subject": self.subject,
            "actor": self.actor,
            "request": self.request,
            "allowed by": self.allowed_by,
        }
        told = [f"{name} {' or '.join(map(str, values))}" for name, values in filters.items() if values]
        return "; ".join([f"entries {self.first} to {self.last}", *told])
