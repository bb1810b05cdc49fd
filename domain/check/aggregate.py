"""A check: one word on what it found, however often the job that made it is repeated."""

from typing import ClassVar

from msgspec import Struct
from msgspec.structs import asdict

from domain.check.commands import CheckCommand
from domain.check.events import CheckCompleted, CheckEvent
from domain.shared import DomainError, Kind, Rules


class Check(Struct, frozen=True, kw_only=True):
    completed: bool = False


class CheckUnknown(DomainError):
    """No check has this id."""

    code: ClassVar[str] = "check.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


def decide(check: Check, command: CheckCommand) -> tuple[CheckEvent, ...]:
    return () if check.completed else (CheckCompleted(**asdict(command)),)


def evolve(_: Check, __: CheckEvent) -> Check:
    return Check(completed=True)


CHECK: Rules[Check, CheckCommand, CheckEvent] = Rules(
    initial=Check(), decide=decide, evolve=evolve, unknown=CheckUnknown
)
