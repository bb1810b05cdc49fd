"""Notices: published, changed, withdrawn, by whoever may publish."""

from collections.abc import Collection
from typing import Protocol
from uuid import UUID

from application.access import ANYTHING, Need, Resource
from application.context import Context, DryRun
from application.execute import Execute
from application.ports import NOTHING_ELSE, Answer, ClaimTaken, NewId, Reliance
from domain.notice.aggregate import NOTICE, Notice, Published
from domain.notice.commands import ChangeNotice, PublishNotice, WithdrawNotice
from domain.shared import DomainError

PUBLISH = "notice:publish"


class Picturing(Protocol):
    """What files are, to a notice that shows one."""

    async def picture(self, file_id: UUID, owner_id: UUID, *, already: Collection[UUID] = ()) -> Reliance: ...
    def taken(self, taken: ClaimTaken) -> DomainError: ...


class Notices:
    """A notice is everybody's, so the right to publish is held everywhere or not at all."""

    def __init__(self, execute: Execute, pictures: Picturing, new_id: NewId) -> None:
        self._execute, self._pictures, self._new_id = execute, pictures, new_id

    async def publish(self, command: PublishNotice, context: Context) -> Answer | DryRun:
        """Raises NoticeInvalid, FileNotYours, FileAlreadyBound."""

        async def reliance() -> Reliance:
            return await self._picture(command.file_id, context)

        return await self._execute(
            NOTICE,
            self._new_id(),
            command,
            context,
            Need(right=PUBLISH),
            new=True,
            relies=reliance,
            taken=self._pictures.taken,
        )

    async def change(self, notice_id: UUID, command: ChangeNotice, context: Context) -> Answer | DryRun:
        """Raises what `publish` raises, NoticeUnknown, NoticeIsWithdrawn. An image that it had before is its own."""
        bound: tuple[UUID, ...] = ()

        def about(notice: Notice) -> Resource:
            nonlocal bound
            bound = notice.bound if isinstance(notice, Published) else ()
            return ANYTHING

        async def reliance() -> Reliance:
            wanted = command.changes.get("file_id")
            return await self._picture(None if wanted is None else UUID(wanted), context, bound)

        return await self._execute(
            NOTICE,
            notice_id,
            command,
            context,
            Need(right=PUBLISH),
            resource=about,
            relies=reliance,
            taken=self._pictures.taken,
        )

    async def withdraw(self, notice_id: UUID, command: WithdrawNotice, context: Context) -> Answer | DryRun:
        return await self._execute(NOTICE, notice_id, command, context, Need(right=PUBLISH))

    async def _picture(
        self, file_id: UUID | None, context: Context, already: Collection[UUID] = ()
    ) -> Reliance:
        if file_id is None:
            return NOTHING_ELSE
        return await self._pictures.picture(file_id, context.caller.actor.id, already=already)
