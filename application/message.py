"""Dialogs of two and their messages: opened, sent with all attachments or none, read once."""

from collections.abc import Awaitable, Callable
from typing import ClassVar, Protocol
from uuid import UUID

from msgspec import structs

from application.access import Caller, Need
from application.context import Context, DryRun
from application.execute import Execute
from application.ports import Answer, Claims, ClaimTaken, EventStore, NewId, Reliance
from domain.dialog.aggregate import DIALOG, DialogUnknown, Nothing, Open, dialog_id
from domain.dialog.commands import OpenDialog, ReadUpTo
from domain.message.aggregate import MESSAGE, Message, MessageNotToYou, MessageUnknown, Sent
from domain.message.commands import ReadMessage, SendMessage
from domain.shared import SYSTEM, DomainError, FieldError, Kind
from domain.user.guards import ACTIVE

OWN = Need(right=None)


class DialogPartnerUnknown(DomainError):
    """One speaks with active users."""

    code: ClassVar[str] = "dialog.user_unknown"
    kind: ClassVar[Kind] = Kind.INVALID


class Attaching(Protocol):
    """What files are, to whoever binds them."""

    async def binding(self, file_ids: tuple[UUID, ...], owner_id: UUID) -> Reliance:
        """That all are the owner's, complete and free. Raises what is wrong with the first that is not."""
        ...

    def taken(self, taken: ClaimTaken) -> DomainError: ...


class Log(Protocol):
    async def begun(self, stream_id: UUID) -> int:
        """The position of a stream's first event; 0: there is none."""
        ...


class Dialogs:
    def __init__(
        self,
        execute: Execute,
        store: EventStore,
        log: Log,
        claims: Claims,
        attaching: Attaching,
        new_id: NewId,
    ) -> None:
        self._execute, self._store, self._log, self._claims = execute, store, log, claims
        self._attaching, self._new_id = attaching, new_id

    async def open(self, with_user_id: UUID, context: Context) -> Answer | DryRun:
        """The one dialog of these two: made now (201), or there already (200)."""
        mine = context.caller.actor.id

        async def partner() -> Reliance:
            if await self._claims.owner(ACTIVE, str(with_user_id)) is None:
                wrong = FieldError(pointer="/user_id", code="unknown", detail="No active user has this id.")
                raise DialogPartnerUnknown("There is no such active user.", errors=(wrong,))
            return Reliance(require=((ACTIVE, str(with_user_id), with_user_id),))

        return await self._execute(
            DIALOG,
            dialog_id(mine, with_user_id),
            OpenDialog(user_id=mine, with_user_id=with_user_id),
            context,
            OWN,
            upsert=True,
            relies=partner,
        )

    async def send(
        self, dialog: UUID, text: str | None, attachments: tuple[UUID, ...], context: Context
    ) -> Answer | DryRun:
        """By a participant; for anybody else there is no such dialog."""
        sender = context.caller.actor.id
        attachments = tuple(dict.fromkeys(attachments))
        command = SendMessage(
            dialog_id=dialog,
            sender_id=sender,
            recipient_id=(await self.of(sender, dialog)).other(sender),
            text=text,
            attachments=attachments,
        )
        return await self._execute(
            MESSAGE,
            self._new_id(),
            command,
            context,
            OWN,
            new=True,
            relies=self._files(attachments, sender),
            taken=self._attaching.taken,
        )

    async def read(self, message_id: UUID, context: Context) -> Answer | DryRun:
        """By the recipient, once; a stranger is told there is no such message."""
        message: Message = (await self._store.load(MESSAGE, message_id)).state
        if not isinstance(message, Sent) or not _takes_part(context.caller, message):
            raise MessageUnknown("There is no such message.")
        reader = context.caller.actor.id
        command = ReadMessage(
            now=self._execute.clock(),
            reader_id=reader,
            read_before=await self._read_before(message, message_id, reader),
        )
        return await self._execute(MESSAGE, message_id, command, context, OWN)

    async def read_up_to(self, dialog: UUID, message_id: UUID, context: Context) -> Answer | DryRun:
        """Everything sent to the caller in this dialog, as far as a message to him; one fact, however many they are."""
        reader = context.caller.actor.id
        await self.of(reader, dialog)
        message: Message = (await self._store.load(MESSAGE, message_id)).state
        if not isinstance(message, Sent) or message.dialog_id != dialog:
            raise MessageUnknown("There is no such message in this dialog.")
        if message.recipient_id != reader:
            raise MessageNotToYou("Only the recipient reads a message.")
        command = ReadUpTo(
            now=self._execute.clock(),
            reader_id=reader,
            message_id=message_id,
            up_to=await self._log.begun(message_id),
        )
        return await self._execute(DIALOG, dialog, command, context, OWN)

    async def of(self, user_id: UUID, dialog: UUID) -> Open:
        """His dialog. Raises DialogUnknown."""
        state = (await self._store.load(DIALOG, dialog)).state
        if isinstance(state, Nothing) or user_id not in state.user_ids:
            raise DialogUnknown("There is no such dialog.")
        return state

    async def _read_before(self, message: Sent, message_id: UUID, reader: UUID) -> bool:
        mark = (await self.of(reader, message.dialog_id)).read_by(reader)
        return mark > 0 and await self._log.begun(message_id) <= mark

    async def tell(self, user_id: UUID, text: str, context: Context) -> None:
        """Chancery itself writes to somebody; the context's key makes a repeat the same message."""
        dialog = dialog_id(SYSTEM, user_id)
        opened = OpenDialog(user_id=SYSTEM, with_user_id=user_id)
        await self._execute(DIALOG, dialog, opened, structs.replace(context, key=None), OWN, upsert=True)
        command = SendMessage(dialog_id=dialog, sender_id=SYSTEM, recipient_id=user_id, text=text)
        await self._execute(MESSAGE, self._new_id(), command, context, OWN, new=True)

    def _files(
        self, attachments: tuple[UUID, ...], owner_id: UUID
    ) -> Callable[[], Awaitable[Reliance]] | None:
        if not attachments:
            return None

        async def bindable() -> Reliance:
            return await self._attaching.binding(attachments, owner_id)

        return bindable


def _takes_part(caller: Caller, message: Sent) -> bool:
    return caller.actor.id in (message.sender_id, message.recipient_id)
