"""A dialog: one per pair of people, opened by either, never closed."""

from typing import ClassVar
from uuid import UUID, uuid5

from msgspec import Struct

from domain.dialog.commands import DialogCommand
from domain.dialog.events import DialogEvent, DialogOpened
from domain.shared import DomainError, Kind, Rules

NAMESPACE = UUID("9b1f6a52-2f0e-5c0e-9a0f-7d3c1f6f4e21")


class Nothing(Struct, frozen=True):
    """These two have not spoken yet."""


class Open(Struct, frozen=True, kw_only=True):
    user_ids: tuple[UUID, UUID]

    def other(self, user_id: UUID) -> UUID:
        """Whom `user_id` speaks with."""
        first, second = self.user_ids
        return second if user_id == first else first


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
    if command.user_id == command.with_user_id:
        raise DialogWithOneself("A dialog has two sides.")
    if isinstance(dialog, Open):
        return ()
    return (DialogOpened(user_ids=(command.user_id, command.with_user_id)),)


def evolve(dialog: Dialog, event: DialogEvent) -> Dialog:  # noqa: ARG001 - the first event says it all
    return Open(user_ids=event.user_ids)


DIALOG: Rules[Dialog, DialogCommand, DialogEvent] = Rules(
    initial=Nothing(), decide=decide, evolve=evolve, unknown=DialogUnknown
)
