"""PATCH of what one is told by mail."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Router, patch
from litestar.params import JSONBody
from msgspec import UNSET, Meta

from api.answers import Answer, Receipt
from api.asking import Asked, DryRunFlag, IdempotencyKey, IfMatch, answered, context
from api.fields import Body, Change
from application.notification import Notifications

Notification = Literal["message.new", "letter.due", "account"]
Language = Literal["en", "fr", "ru"]
Chosen = Annotated[tuple[Notification, ...], Meta(max_length=10, examples=[["letter.due"]])]


class ChangeNotificationsBody(Body, frozen=True, kw_only=True):
    """Absent: unchanged; null: as for whoever has never chosen, which is all of them, in English. `mail`: which come by
    mail; an empty list: none.
    """

    mail: Change[Chosen] = UNSET
    language: Change[Language] = UNSET


def routes(notifications: Notifications) -> Router:
    @patch("/")
    async def change_notifications(
        request: Asked,
        data: JSONBody[ChangeNotificationsBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Choose what you are told by mail, and in which language."""
        changes: dict[str, Any] = msgspec.to_builtins(data)
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await notifications.change(changes, asked))

    return Router("/me/notifications", route_handlers=[change_notifications])
