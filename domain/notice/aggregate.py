"""A notice: an article that is read, or a banner that is looked at; published, changed, withdrawn, never deleted."""

from collections.abc import Iterator
from typing import ClassVar, assert_never
from uuid import UUID

from msgspec import UNSET, Struct, convert
from msgspec.structs import asdict, replace

from domain.notice.commands import ChangeNotice, NoticeCommand, PublishNotice, WithdrawNotice
from domain.notice.events import (
    ARTICLE,
    Details,
    NoticeChanged,
    NoticeEvent,
    NoticePublished,
    NoticeWithdrawn,
)
from domain.shared import DomainError, FieldError, Kind, Rules


class Nothing(Struct, frozen=True):
    """No such notice, yet."""


class Published(Struct, frozen=True, kw_only=True):
    """It is shown. `bound`: the images that it has ever had."""

    kind: str
    details: Details
    bound: tuple[UUID, ...]


class Withdrawn(Struct, frozen=True, kw_only=True):
    """It is shown no more."""


Notice = Nothing | Published | Withdrawn


class NoticeUnknown(DomainError):
    """No notice has this id."""

    code: ClassVar[str] = "notice.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


class NoticeIsWithdrawn(DomainError):
    """A withdrawn notice is not changed any more; publish another one."""

    code: ClassVar[str] = "notice.withdrawn"
    kind: ClassVar[Kind] = Kind.CONFLICT


class NoticeInvalid(DomainError):
    """An article has a title and a text, a banner has an image; `errors` says what is missing."""

    code: ClassVar[str] = "notice.invalid"
    kind: ClassVar[Kind] = Kind.INVALID


def decide(notice: Notice, command: NoticeCommand) -> tuple[NoticeEvent, ...]:
    match command:
        case PublishNotice():
            return publish(notice, command)
        case ChangeNotice():
            return change(notice, command)
        case WithdrawNotice():
            return withdraw(notice, command)
        case _:
            assert_never(command)


def publish(notice: Notice, command: PublishNotice) -> tuple[NoticeEvent, ...]:
    if not isinstance(notice, Nothing):
        return ()
    _whole(command.kind, command)
    return (NoticePublished(**asdict(command)),)


def change(notice: Notice, command: ChangeNotice) -> tuple[NoticeEvent, ...]:
    match notice:
        case Nothing():
            raise NoticeUnknown("There is no such notice.")
        case Withdrawn():
            raise NoticeIsWithdrawn("A withdrawn notice cannot be changed.")
        case Published(kind=kind, details=before, bound=bound):
            given = convert(command.changes, NoticeChanged)
            asked = {name: getattr(given, name) for name in command.changes}
            new = {name: value for name, value in asked.items() if value != getattr(before, name)}
            _whole(kind, replace(before, **new))
            if new.get("file_id") is not None and new["file_id"] not in bound:
                new["bound"] = (*bound, new["file_id"])
            return (NoticeChanged(**new),) if new else ()
        case _:
            assert_never(notice)


def withdraw(notice: Notice, command: WithdrawNotice) -> tuple[NoticeEvent, ...]:
    match notice:
        case Nothing():
            raise NoticeUnknown("There is no such notice.")
        case Withdrawn():
            return ()
        case Published():
            return (NoticeWithdrawn(reason=command.reason),)
        case _:
            assert_never(notice)


def _whole(kind: str, details: Details) -> None:
    if missing := tuple(_missing(kind, details)):
        raise NoticeInvalid("Something of it is missing.", errors=missing)


def _missing(kind: str, details: Details) -> Iterator[FieldError]:
    for name in ("title", "text") if kind == ARTICLE else ("file_id",):
        if getattr(details, name) is None:
            yield FieldError(pointer=f"/{name}", code="missing", detail=f"Nothing is a {kind} without it.")


def evolve(notice: Notice, event: NoticeEvent) -> Notice:
    match event:
        case NoticePublished():
            details = convert(event, Details, from_attributes=True)
            bound = () if event.file_id is None else (event.file_id,)
            return Published(kind=event.kind, details=details, bound=bound)
        case NoticeChanged():
            assert isinstance(notice, Published)
            new = {name: value for name, value in asdict(event).items() if value is not UNSET}
            bound = new.pop("bound", notice.bound)
            return replace(notice, details=replace(notice.details, **new), bound=bound)
        case NoticeWithdrawn():
            return Withdrawn()
        case _:
            assert_never(event)


NOTICE: Rules[Notice, NoticeCommand, NoticeEvent] = Rules(
    initial=Nothing(), decide=decide, evolve=evolve, unknown=NoticeUnknown
)
