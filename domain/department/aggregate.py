"""A department: people belong to it and have the rights it holds. It is archived when nobody is in it any more."""

from typing import ClassVar, assert_never

from msgspec import UNSET, Struct, convert, structs

from domain.department.commands import (
    AddDepartment,
    ArchiveDepartment,
    ChangeDepartment,
    DepartmentCommand,
)
from domain.department.events import (
    DepartmentAdded,
    DepartmentArchived,
    DepartmentChanged,
    DepartmentEvent,
)
from domain.shared import DomainError, Kind, Rules


class Nothing(Struct, frozen=True):
    """No such department, yet."""


class Details(Struct, frozen=True, kw_only=True):
    name: str
    custom_id: str | None = None
    description: str | None = None


class Open(Details, frozen=True, kw_only=True):
    pass


class Archived(Details, frozen=True, kw_only=True):
    pass


Department = Nothing | Open | Archived


class DepartmentUnknown(DomainError):
    """No department has this id, or it is not yours to know."""

    code: ClassVar[str] = "department.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


class DepartmentNameTaken(DomainError):
    """Another open department has this name; upper and lower case are the same."""

    code: ClassVar[str] = "department.name_taken"
    kind: ClassVar[Kind] = Kind.CONFLICT


class DepartmentCustomIdTaken(DomainError):
    """Another department has this custom id; upper and lower case are the same."""

    code: ClassVar[str] = "department.custom_id_taken"
    kind: ClassVar[Kind] = Kind.CONFLICT


class DepartmentIsArchived(DomainError):
    """An archived department cannot be changed."""

    code: ClassVar[str] = "department.archived"
    kind: ClassVar[Kind] = Kind.CONFLICT


class DepartmentHasMembers(DomainError):
    """Whoever belongs to it must be moved first, also who is blocked or deactivated."""

    code: ClassVar[str] = "department.has_members"
    kind: ClassVar[Kind] = Kind.CONFLICT


def decide(department: Department, command: DepartmentCommand) -> tuple[DepartmentEvent, ...]:
    match command:
        case AddDepartment():
            return add(department, command)
        case ChangeDepartment():
            return change(department, command)
        case ArchiveDepartment():
            return archive(department, command)
        case _:
            assert_never(command)


def add(department: Department, command: AddDepartment) -> tuple[DepartmentEvent, ...]:
    if not isinstance(department, Nothing):
        raise DepartmentCustomIdTaken("This department exists.")
    return (DepartmentAdded(**structs.asdict(command)),)


def change(department: Department, command: ChangeDepartment) -> tuple[DepartmentEvent, ...]:
    match department:
        case Nothing():
            raise DepartmentUnknown("There is no such department.")
        case Archived():
            raise DepartmentIsArchived("An archived department cannot be changed.")
        case Open():
            new = {n: v for n, v in command.changes.items() if v != getattr(department, n)}
            return (convert(new, DepartmentChanged),) if new else ()
        case _:
            assert_never(department)


def archive(department: Department, command: ArchiveDepartment) -> tuple[DepartmentEvent, ...]:
    match department:
        case Nothing():
            raise DepartmentUnknown("There is no such department.")
        case Archived():
            return ()
        case Open():
            return (DepartmentArchived(reason=command.reason),)
        case _:
            assert_never(department)


def evolve(department: Department, event: DepartmentEvent) -> Department:
    match event:
        case DepartmentAdded():
            return Open(name=event.name, custom_id=event.custom_id, description=event.description)
        case DepartmentChanged():
            assert isinstance(department, Open)
            new = {name: value for name, value in structs.asdict(event).items() if value is not UNSET}
            return structs.replace(department, **new)
        case DepartmentArchived():
            assert isinstance(department, Open)
            return Archived(**structs.asdict(department))
        case _:
            assert_never(event)


DEPARTMENT: Rules[Department, DepartmentCommand, DepartmentEvent] = Rules(
    initial=Nothing(), decide=decide, evolve=evolve, unknown=DepartmentUnknown
)
