"""What each user wants to be told by mail, as he alone sees it."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct, UnsetType
from msgspec.structs import replace

from domain.shared import Recorded
from domain.user.events import (
    UserErased,
    UserEvent,
    UserNotificationsChanged,
    UserProvisioned,
    UserRegistered,
)
from domain.user.notifications import LANGUAGES, chosen
from projections.projection import Fold, begun, moved


class Notifications(Struct, frozen=True, kw_only=True):
    """`mail`: which notices come by mail. `id` and `version` are those of the user."""

    id: UUID
    version: int
    position: int
    created_at: datetime
    updated_at: datetime
    mail: tuple[str, ...] = chosen(None)
    language: str = LANGUAGES[0]

    @property
    def archived(self) -> bool:
        return False


def fold(view: Notifications | None, recorded: Recorded[UserEvent]) -> Notifications | None:
    event = recorded.event
    match event:
        case UserRegistered() | UserProvisioned():
            return Notifications(**begun(recorded))
        case UserErased():
            return None
        case UserNotificationsChanged():
            assert view is not None
            mail = view.mail if isinstance(event.mail, UnsetType) else chosen(event.mail)
            said = view.language if isinstance(event.language, UnsetType) else event.language or LANGUAGES[0]
            return replace(view, mail=mail, language=said, **moved(recorded))
        case _:
            return None if view is None else replace(view, **moved(recorded))


NOTIFICATIONS = Fold(name="notification", version=1, view=Notifications, columns={}, fold=fold)
