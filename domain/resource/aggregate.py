"""An information resource of an organisation: added, changed, retired; it stays with its owner."""

from collections.abc import Iterator
from datetime import date
from typing import ClassVar, assert_never
from uuid import UUID

from msgspec import UNSET, Struct, convert
from msgspec.structs import asdict, replace

from domain.resource.commands import AddResource, ChangeResource, ResourceCommand, RetireResource
from domain.resource.events import Details, ResourceAdded, ResourceChanged, ResourceEvent, ResourceRetired
from domain.shared import DomainError, FieldError, Kind, Rules


class Nothing(Struct, frozen=True):
    """No such resource, yet."""


class InUse(Struct, frozen=True, kw_only=True):
    organisation_id: UUID
    details: Details


class Retired(Struct, frozen=True, kw_only=True):
    organisation_id: UUID
    details: Details


Resource = Nothing | InUse | Retired


class ResourceUnknown(DomainError):
    """No information resource has this id, or it is not yours to know."""

    code: ClassVar[str] = "resource.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


class ResourceIsRetired(DomainError):
    """A retired resource cannot be changed."""

    code: ClassVar[str] = "resource.retired"
    kind: ClassVar[Kind] = Kind.CONFLICT


class ResourceInvalid(DomainError):
    """Its dates make no sense; `errors` says which."""

    code: ClassVar[str] = "resource.invalid"
    kind: ClassVar[Kind] = Kind.INVALID


def decide(resource: Resource, command: ResourceCommand) -> tuple[ResourceEvent, ...]:
    match command:
        case AddResource():
            return add(resource, command)
        case ChangeResource():
            return change(resource, command)
        case RetireResource():
            return retire(resource, command)
        case _:
            assert_never(command)


def add(resource: Resource, command: AddResource) -> tuple[ResourceEvent, ...]:
    if not isinstance(resource, Nothing):
        raise ResourceIsRetired("This id is taken.")
    _dated(command, command.latest)
    fields = asdict(command)
    del fields["latest"]
    return (ResourceAdded(**fields),)


def change(resource: Resource, command: ChangeResource) -> tuple[ResourceEvent, ...]:
    match resource:
        case Nothing():
            raise ResourceUnknown("There is no such resource.")
        case Retired():
            raise ResourceIsRetired("A retired resource cannot be changed.")
        case InUse(organisation_id=organisation_id, details=before):
            given = convert({**command.changes, "organisation_id": str(organisation_id)}, ResourceChanged)
            new = {
                name: value
                for name in command.changes
                if (value := getattr(given, name)) != getattr(before, name)
            }
            _dated(replace(before, **new), command.latest)
            return (ResourceChanged(organisation_id=organisation_id, **new),) if new else ()
        case _:
            assert_never(resource)


def retire(resource: Resource, command: RetireResource) -> tuple[ResourceEvent, ...]:
    match resource:
        case Nothing():
            raise ResourceUnknown("There is no such resource.")
        case Retired():
            return ()
        case InUse(organisation_id=organisation_id):
            return (ResourceRetired(organisation_id=organisation_id, reason=command.reason),)
        case _:
            assert_never(resource)


def _dated(details: Details, latest: date) -> None:
    if wrong := tuple(_wrong_dates(details, latest)):
        raise ResourceInvalid("The dates make no sense.", errors=wrong)


def _wrong_dates(details: Details, latest: date) -> Iterator[FieldError]:
    for name in ("fstec_added_on", "fstec_updated_on"):
        day: date | None = getattr(details, name)
        if day is not None and day > latest:
            yield FieldError(pointer=f"/{name}", code="future", detail="This day has not come yet.")
    added, updated = details.fstec_added_on, details.fstec_updated_on
    if added is not None and updated is not None and updated < added:
        yield FieldError(pointer="/fstec_updated_on", code="order", detail="It was added later than that.")


def evolve(resource: Resource, event: ResourceEvent) -> Resource:
    match event:
        case ResourceAdded():
            details = convert(event, Details, from_attributes=True)
            return InUse(organisation_id=event.organisation_id, details=details)
        case ResourceChanged():
            assert isinstance(resource, InUse)
            new = {name: value for name, value in asdict(event).items() if value is not UNSET}
            del new["organisation_id"]
            return replace(resource, details=replace(resource.details, **new))
        case ResourceRetired():
            assert isinstance(resource, InUse)
            return Retired(organisation_id=resource.organisation_id, details=resource.details)
        case _:
            assert_never(event)


RESOURCE: Rules[Resource, ResourceCommand, ResourceEvent] = Rules(
    initial=Nothing(), decide=decide, evolve=evolve, unknown=ResourceUnknown
)
