"""An import: read, previewed, applied on demand; canceled or failed at any moment before that is done."""

from typing import ClassVar, assert_never

import msgspec
from msgspec import Struct

from domain.imports.commands import (
    ApplyImport,
    CancelImport,
    FailImport,
    FinishImport,
    ImportCommand,
    PreviewImport,
    StartImport,
)
from domain.imports.events import (
    ImportApplied,
    ImportApplyBegan,
    ImportCanceled,
    ImportEvent,
    ImportFailed,
    ImportPreviewed,
    ImportStarted,
)
from domain.shared import Actor, DomainError, Kind, Rules


class Nothing(Struct, frozen=True):
    """No such import, yet."""


class Reading(Struct, frozen=True, kw_only=True):
    """The file is here and has not been read to its end."""

    about: ImportStarted


class Previewed(Struct, frozen=True, kw_only=True):
    """It is known what would become of its rows."""

    about: ImportStarted


class Applying(Struct, frozen=True, kw_only=True):
    about: ImportStarted
    applied_by: Actor


class Applied(Struct, frozen=True, kw_only=True):
    about: ImportStarted


class Canceled(Struct, frozen=True, kw_only=True):
    about: ImportStarted


class Failed(Struct, frozen=True, kw_only=True):
    about: ImportStarted


Import = Nothing | Reading | Previewed | Applying | Applied | Canceled | Failed


class ImportUnknown(DomainError):
    """No import has this id, or it is not yours to know."""

    code: ClassVar[str] = "import.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


class ImportExists(DomainError):
    """This id is taken."""

    code: ClassVar[str] = "import.exists"
    kind: ClassVar[Kind] = Kind.CONFLICT


class ImportNotPreviewed(DomainError):
    """The file is still being read: wait for the preview, look at it, then apply."""

    code: ClassVar[str] = "import.not_previewed"
    kind: ClassVar[Kind] = Kind.CONFLICT


class ImportIsApplied(DomainError):
    """The import is done; what it wrote stays."""

    code: ClassVar[str] = "import.applied"
    kind: ClassVar[Kind] = Kind.CONFLICT


class ImportIsCanceled(DomainError):
    """The import was canceled; send the file again."""

    code: ClassVar[str] = "import.canceled"
    kind: ClassVar[Kind] = Kind.CONFLICT


class ImportHasFailed(DomainError):
    """The import failed; `problems` says why. Send a better file."""

    code: ClassVar[str] = "import.failed"
    kind: ClassVar[Kind] = Kind.CONFLICT


def decide(state: Import, command: ImportCommand) -> tuple[ImportEvent, ...]:
    match command:
        case StartImport():
            return _start(state, command)
        case PreviewImport():
            return (_told(ImportPreviewed, command),) if isinstance(state, Reading) else ()
        case ApplyImport():
            return apply(state, command)
        case FinishImport():
            return (ImportApplied(counts=command.counts),) if isinstance(state, Applying) else ()
        case CancelImport():
            return cancel(state)
        case FailImport():
            return (_told(ImportFailed, command),) if isinstance(state, Reading | Applying) else ()
        case _:
            assert_never(command)


def _start(state: Import, command: StartImport) -> tuple[ImportEvent, ...]:
    if not isinstance(state, Nothing):
        raise ImportExists("This id is taken.")
    return (_told(ImportStarted, command),)


def _told(event: type[ImportEvent], command: ImportCommand) -> ImportEvent:
    return event(**msgspec.structs.asdict(command))


def apply(state: Import, command: ApplyImport) -> tuple[ImportEvent, ...]:
    match state:
        case Nothing():
            raise ImportUnknown("There is no such import.")
        case Reading():
            raise ImportNotPreviewed("The file is still being read.")
        case Previewed(about=about):
            return (ImportApplyBegan(kind=about.kind, applied_by=command.applied_by),)
        case Applying() | Applied():
            return ()
        case Canceled():
            raise ImportIsCanceled("The import was canceled.")
        case Failed():
            raise ImportHasFailed("The import failed.")
        case _:
            assert_never(state)


def cancel(state: Import) -> tuple[ImportEvent, ...]:
    match state:
        case Nothing():
            raise ImportUnknown("There is no such import.")
        case Reading() | Previewed() | Applying():
            return (ImportCanceled(),)
        case Applied():
            raise ImportIsApplied("The import is done.")
        case Canceled():
            return ()
        case Failed():
            raise ImportHasFailed("The import failed.")
        case _:
            assert_never(state)


def evolve(state: Import, event: ImportEvent) -> Import:
    if isinstance(event, ImportStarted):
        return Reading(about=event)
    assert not isinstance(state, Nothing)
    match event:
        case ImportPreviewed():
            return Previewed(about=state.about)
        case ImportApplyBegan():
            return Applying(about=state.about, applied_by=event.applied_by)
        case ImportApplied():
            return Applied(about=state.about)
        case ImportCanceled():
            return Canceled(about=state.about)
        case ImportFailed():
            return Failed(about=state.about)
        case _:
            assert_never(event)


IMPORT: Rules[Import, ImportCommand, ImportEvent] = Rules(
    initial=Nothing(), decide=decide, evolve=evolve, unknown=ImportUnknown
)
