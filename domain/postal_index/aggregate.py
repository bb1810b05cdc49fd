"""The postal index, batch by batch of the imports that load it; a batch is loaded once."""

from typing import ClassVar, assert_never

from msgspec import Struct
from msgspec.structs import asdict

from domain.postal_index.commands import PostalIndexCommand
from domain.postal_index.events import PostalIndexEvent, PostalIndexLoaded
from domain.shared import DomainError, Kind, Rules


class Awaited(Struct, frozen=True):
    """Not loaded yet."""


class Loaded(Struct, frozen=True):
    """A repeat changes nothing."""


Lot = Awaited | Loaded


class PostalIndexUnknown(DomainError):
    """No such batch has been loaded."""

    code: ClassVar[str] = "postal_index.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


def decide(lot: Lot, command: PostalIndexCommand) -> tuple[PostalIndexEvent, ...]:
    match lot:
        case Awaited():
            return (PostalIndexLoaded(**asdict(command)),) if command.codes or command.vanished else ()
        case Loaded():
            return ()
        case _:
            assert_never(lot)


def evolve(lot: Lot, event: PostalIndexEvent) -> Lot:  # noqa: ARG001 - there is one event, and then no other
    return Loaded()


POSTAL_INDEX: Rules[Lot, PostalIndexCommand, PostalIndexEvent] = Rules(
    initial=Awaited(), decide=decide, evolve=evolve, unknown=PostalIndexUnknown
)
