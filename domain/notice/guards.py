"""What a notice keeps for itself: its images, once they are its own for ever."""

from typing import assert_never
from uuid import UUID

from msgspec import UnsetType

from domain.file.guards import BINDING
from domain.notice.events import NoticeChanged, NoticeEvent, NoticePublished, NoticeWithdrawn
from domain.shared import Claim, Guard


def guards(stream_id: UUID, event: NoticeEvent) -> tuple[Guard, ...]:
    match event:
        case NoticePublished():
            return () if event.file_id is None else (_binding((event.file_id,)),)
        case NoticeChanged():
            return () if isinstance(event.bound, UnsetType) else (_binding(event.bound),)
        case NoticeWithdrawn():
            return ()
        case _:
            assert_never(event)


def _binding(file_ids: tuple[UUID, ...]) -> Claim:
    return Claim(kind=BINDING, values=tuple(map(str, file_ids)))
