"""A dialog: one per pair of people, opened by either, never closed."""

from typing import ClassVar, assert_never
from uuid import UUID, uuid5

from msgspec import Struct
from msgspec.structs import replace

from domain.dialog.commands import DialogCommand, OpenDialog, ReadUpTo
from domain.dialog.events import DialogEvent, DialogOpened, DialogRead
from domain.shared import DomainError, Kind, Rules

NAMESPACE = UUID("9b1f6a52-2f0e-5c0e-9a0f-7d3c1f6f4e21")


class Nothing(Struct, frozen=True):
    """These two have not spoken yet."""


class Open(Struct, frozen=True, kw_only=True):
    """`read_up_to`: as far as which position each of `user_ids`, in their order, has read what was sent to him."""

    user_ids: tuple[UUID, UUID]
    read_up_to: tuple[int, int] = (0, 0)

    def other(self, user_id: UUID) -> UUID:
        """Whom `user_id` speaks with."""
        first, second = self.user_ids
        return second if user_id == first else first

    def read_by(self, user_id: UUID) -> int:
        return self.read_up_to[self.user_ids.index(user_id)]


Dialog = Nothing | Open


class DialogUnknown(DomainError):
    """No dialog of yours has this id."""

    code: ClassVar[str] = "dialog.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


class DialogWithOneself(DomainError):
    """A dialog has two sides."""

    code: ClassVar[str] = "dialog.with_oneself"
    kind: ClassVar[Kind] = Kind.INVALID


def dialog_id(one: UUID, other: UUID) -> UUID:
    """The one dialog of an unordered pair."""
    return uuid5(NAMESPACE, "|".join(sorted((str(one), str(other)))))


def decide(dialog: Dialog, command: DialogCommand) -> tuple[DialogEvent, ...]:
    match command:
        case OpenDialog():
            return opened(dialog, command)
        case ReadUpTo():
            return read(dialog, command)
        case _:
            assert_never(command)


def opened(dialog: Dialog, command: OpenDialog) -> tuple[DialogEvent, ...]:
    if command.user_id == command.with_user_id:
        raise DialogWithOneself("A dialog has two sides.")
    if isinstance(dialog, Open):
        return ()
    return (DialogOpened(user_ids=(command.user_id, command.with_user_id)),)


def read(dialog: Dialog, command: ReadUpTo) -> tuple[DialogEvent, ...]:
    """What is read stays read: a mark never goes back."""
    if isinstance(dialog, Nothing) or command.reader_id not in dialog.user_ids:
        raise DialogUnknown("There is no such dialog.")
    if command.up_to <= dialog.read_by(command.reader_id):
        return ()
    event = DialogRead(
        reader_id=command.reader_id, message_id=command.message_id, up_to=command.up_to, read_at=command.now
    )
    return (event,)


def evolve(dialog: Dialog, event: DialogEvent) -> Dialog:
    match event:
        case DialogOpened():
            return Open(user_ids=event.user_ids)
        case DialogRead():
            assert isinstance(dialog, Open)
            one, other = dialog.read_up_to
            first = event.reader_id == dialog.user_ids[0]
            return replace(dialog, read_up_to=(event.up_to, other) if first else (one, event.up_to))
        case _:
            assert_never(event)


DIALOG: Rules[Dialog, DialogCommand, DialogEvent] = Rules(
    initial=Nothing(), decide=decide, evolve=evolve, unknown=DialogUnknown
)
