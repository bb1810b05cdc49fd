"""An export: requested, then completed or failed; the first word on how it ended counts."""

from typing import ClassVar, assert_never

from msgspec import Struct
from msgspec.structs import asdict

from domain.export.commands import CompleteExport, ExportCommand, FailExport, RequestExport
from domain.export.events import ExportCompleted, ExportEvent, ExportFailed, ExportRequested
from domain.shared import DomainError, Kind, Rules


class Nothing(Struct, frozen=True):
    """No such export, yet."""


class Requested(Struct, frozen=True, kw_only=True):
    """A job is to make it."""

    about: ExportRequested


class Completed(Struct, frozen=True, kw_only=True):
    about: ExportRequested
    file: ExportCompleted


class Failed(Struct, frozen=True, kw_only=True):
    about: ExportRequested


Export = Nothing | Requested | Completed | Failed


class ExportUnknown(DomainError):
    """No export has this id, or it is not yours to know."""

    code: ClassVar[str] = "export.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


class ExportExists(DomainError):
    """This id is taken."""

    code: ClassVar[str] = "export.exists"
    kind: ClassVar[Kind] = Kind.CONFLICT


def decide(export: Export, command: ExportCommand) -> tuple[ExportEvent, ...]:
    match command:
        case RequestExport():
            if not isinstance(export, Nothing):
                raise ExportExists("This id is taken.")
            return (ExportRequested(**asdict(command)),)
        case CompleteExport():
            return (ExportCompleted(**asdict(command)),) if _pending(export) else ()
        case FailExport():
            return (ExportFailed(**asdict(command)),) if _pending(export) else ()
        case _:
            assert_never(command)


def _pending(export: Export) -> bool:
    if isinstance(export, Nothing):
        raise ExportUnknown("There is no such export.")
    return isinstance(export, Requested)


def evolve(export: Export, event: ExportEvent) -> Export:
    if isinstance(event, ExportRequested):
        return Requested(about=event)
    assert not isinstance(export, Nothing)
    match event:
        case ExportCompleted():
            return Completed(about=export.about, file=event)
        case ExportFailed():
            return Failed(about=export.about)
        case _:
            assert_never(event)


EXPORT: Rules[Export, ExportCommand, ExportEvent] = Rules(
    initial=Nothing(), decide=decide, evolve=evolve, unknown=ExportUnknown
)
