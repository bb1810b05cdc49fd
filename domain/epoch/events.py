"""What can happen to the log as a whole: it was set back to an earlier point, and somebody lets it go on from there."""

from typing import ClassVar
from uuid import UUID

from msgspec import Struct

from domain.shared import Event


class Lost(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a place outside the store still showed of the history that ended: how many events, with which root, or which
    event at position `at`. `told`: how it contradicted the store."""

    place: str
    size: int
    told: str
    at: int = 0
    event_id: UUID | None = None
    root: bytes | None = None


class EpochBegun(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The store was set back; all that stands before this event is kept, and what is named here was lost.

    `follows`: the epoch before. `position`: where the store ended when this was decided. From here on another key signs
    checkpoints, under another name. Written by the owner, in the transaction that begins the epoch.
    """

    TOPIC: ClassVar[str] = "epoch.begun.v1"

    follows: UUID
    position: int
    reason: str
    lost: tuple[Lost, ...] = ()


EpochEvent = EpochBegun
