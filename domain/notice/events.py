"""What can happen to a notice: an article, or a banner."""

from typing import ClassVar
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from domain.shared import Event

ARTICLE, BANNER = KINDS = ("article", "banner")


class Details(Struct, frozen=True, kw_only=True):
    """What a notice says. `order`: its place among the others, the lowest first; `file_id`: its image."""

    title: str | None = None
    text: str | None = None
    file_id: UUID | None = None
    order: int = 0


class NoticePublished(Details, Event, frozen=True, kw_only=True, omit_defaults=True):
    """It is there for whoever has signed in."""

    TOPIC: ClassVar[str] = "notice.published.v1"

    kind: str


class NoticeChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Only what changed stands here; None: cleared. `bound`: the images it has ever had, wherever that of now is
    another: what was once shown stays with it.
    """

    TOPIC: ClassVar[str] = "notice.changed.v1"

    title: str | None | UnsetType = UNSET
    text: str | None | UnsetType = UNSET
    file_id: UUID | None | UnsetType = UNSET
    order: int | UnsetType = UNSET
    bound: tuple[UUID, ...] | UnsetType = UNSET


class NoticeWithdrawn(Event, frozen=True, kw_only=True, omit_defaults=True):
    """It is shown no more, unless somebody asks for what was withdrawn."""

    TOPIC: ClassVar[str] = "notice.withdrawn.v1"

    reason: str


NoticeEvent = NoticePublished | NoticeChanged | NoticeWithdrawn
