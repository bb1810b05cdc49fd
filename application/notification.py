"""What people want to be told by mail."""

from typing import Any

from application.context import Context, DryRun
from application.execute import Execute
from application.ports import Answer
from application.user_identity import OWN
from domain.user.aggregate import USER
from domain.user.commands import ChangeNotifications


class Notifications:
    def __init__(self, execute: Execute) -> None:
        self._execute = execute

    async def change(self, changes: dict[str, Any], context: Context) -> Answer | DryRun:
        """By the user himself: it is nobody else's business."""
        command = ChangeNotifications(changes=changes)
        return await self._execute(USER, context.caller.actor.id, command, context, OWN)
