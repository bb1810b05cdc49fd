"""A message: sent whole or not at all, read once by its recipient."""

from typing import ClassVar, assert_never
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.message.commands import MessageCommand, ReadMessage, SendMessage
from domain.message.events import MessageEvent, MessageRead, MessageSent
from domain.shared import DomainError, Kind, Rules

MOST_ATTACHMENTS = 10


class Nothing(Struct, frozen=True):
    """Not sent."""


class Sent(Struct, frozen=True, kw_only=True):
    dialog_id: UUID
    sender_id: UUID
    recipient_id: UUID


class Read(Sent, frozen=True, kw_only=True):
    pass


Message = Nothing | Sent | Read


class MessageUnknown(DomainError):
    """No message of yours has this id."""

    code: ClassVar[str] = "message.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


class MessageEmpty(DomainError):
    """A message has a text, an attachment, or both."""

    code: ClassVar[str] = "message.empty"
    kind: ClassVar[Kind] = Kind.INVALID


class MessageNotToYou(DomainError):
    """Only the recipient reads a message; its sender has no say in that."""

    code: ClassVar[str] = "message.not_to_you"
    kind: ClassVar[Kind] = Kind.FORBIDDEN


def decide(message: Message, command: MessageCommand) -> tuple[MessageEvent, ...]:
    match command:
        case SendMessage():
            return send(message, command)
        case ReadMessage():
            return read(message, command)
        case _:
            assert_never(command)


def send(message: Message, command: SendMessage) -> tuple[MessageEvent, ...]:
    assert isinstance(message, Nothing), "a message's id is new"
    if not command.text and not command.attachments:
        raise MessageEmpty("A message has a text, an attachment, or both.")
    return (MessageSent(**msgspec.structs.asdict(command)),)


def read(message: Message, command: ReadMessage) -> tuple[MessageEvent, ...]:
    match message:
        case Nothing():
            raise MessageUnknown("There is no such message.")
        case Sent() if command.reader_id != message.recipient_id:
            raise MessageNotToYou("Only the recipient reads a message.")
        case Read():
            return ()
        case Sent() if command.read_before:
            return ()
        case Sent():
            event = MessageRead(dialog_id=message.dialog_id, reader_id=command.reader_id, read_at=command.now)
            return (event,)
        case _:
            assert_never(message)


def evolve(message: Message, event: MessageEvent) -> Message:
    match event:
        case MessageSent():
            return Sent(dialog_id=event.dialog_id, sender_id=event.sender_id, recipient_id=event.recipient_id)
        case MessageRead():
            assert not isinstance(message, Nothing)
            return Read(**msgspec.structs.asdict(message))
        case _:
            assert_never(event)


MESSAGE: Rules[Message, MessageCommand, MessageEvent] = Rules(
    initial=Nothing(), decide=decide, evolve=evolve, unknown=MessageUnknown
)
