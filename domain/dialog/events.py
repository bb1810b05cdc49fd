"""What can happen to a dialog of two."""

from typing import ClassVar
from uuid import UUID

from domain.shared import Event


class DialogOpened(Event, frozen=True, kw_only=True):
    TOPIC: ClassVar[str] = "dialog.opened.v1"

    user_ids: tuple[UUID, UUID]


DialogEvent = DialogOpened
