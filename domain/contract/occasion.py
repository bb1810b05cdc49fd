"""Occasions of a signed contract: added, changed, assigned to somebody, withdrawn; each begins before it ends."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, assert_never
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from domain.contract.amounts import wrong
from domain.contract.commands import (
    AddOccasion,
    AssignOccasion,
    ChangeOccasion,
    OccasionCommand,
    WithdrawOccasion,
)
from domain.contract.events import (
    Arrangement,
    OccasionAdded,
    OccasionAssigned,
    OccasionChanged,
    OccasionEvent,
    OccasionWithdrawn,
)
from domain.contract.refusals import (
    OccasionAttached,
    OccasionIsWithdrawn,
    OccasionTimesWrong,
    OccasionUnknown,
)
from domain.shared import Event

YEARS = range(1900, 9999)
"""In which an occasion begins and ends, wherever one is."""


class Occasion(Struct, frozen=True, kw_only=True):
    """`version`: the contract's, when this occasion last changed."""

    version: int
    arrangement: Arrangement
    assigned_to: UUID | None = None
    withdrawn: bool = False


Occasions = Mapping[UUID, Occasion]


def on_occasion(
    occasions: Occasions, organisation_id: UUID, command: OccasionCommand
) -> tuple[OccasionEvent, ...]:
    if isinstance(command, AddOccasion):
        arrangement = judged(msgspec.convert(command, Arrangement, from_attributes=True))
        added = OccasionAdded(
            **msgspec.structs.asdict(arrangement),
            occasion_id=command.occasion_id,
            organisation_id=organisation_id,
        )
        return (added,)
    occasion = occasions.get(command.occasion_id)
    if occasion is None:
        raise OccasionUnknown("There is no such occasion.")
    if occasion.withdrawn:
        if isinstance(command, WithdrawOccasion):
            return ()
        raise OccasionIsWithdrawn("A withdrawn occasion cannot be changed.")
    match command:
        case ChangeOccasion():
            return change(occasion, command)
        case AssignOccasion():
            return assign(occasion, command)
        case WithdrawOccasion():
            return (OccasionWithdrawn(occasion_id=command.occasion_id, reason=command.reason),)
        case _:
            assert_never(command)


def change(occasion: Occasion, command: ChangeOccasion) -> tuple[OccasionEvent, ...]:
    """Who is assigned stands in the event when the times do: it tells by itself when he is taken."""
    before = occasion.arrangement
    given = msgspec.convert({"occasion_id": command.occasion_id, **command.changes}, OccasionChanged)
    after = judged(replace(before, **{name: getattr(given, name) for name in command.changes}))
    new: dict[str, Any] = {
        name: getattr(after, name)
        for name in command.changes
        if getattr(after, name) != getattr(before, name)
    }
    if not new:
        return ()
    if not new.keys().isdisjoint({"starts_at", "ends_at"}):
        new |= {"starts_at": after.starts_at, "ends_at": after.ends_at, "assigned_to": occasion.assigned_to}
    return (OccasionChanged(occasion_id=command.occasion_id, **new),)


def assign(occasion: Occasion, command: AssignOccasion) -> tuple[OccasionEvent, ...]:
    if occasion.assigned_to == command.user_id:
        return ()
    arrangement = occasion.arrangement
    assigned = OccasionAssigned(
        occasion_id=command.occasion_id,
        user_id=command.user_id,
        title=arrangement.title,
        starts_at=arrangement.starts_at,
        ends_at=arrangement.ends_at,
    )
    return (assigned,)


def judged(arrangement: Arrangement) -> Arrangement:
    """With its times in UTC. Raises OccasionTimesWrong."""
    for name in ("starts_at", "ends_at"):
        if getattr(arrangement, name).year not in YEARS:
            detail = f"A year from {YEARS[0]} to {YEARS[-1]}, please."
            raise wrong(OccasionTimesWrong, "out_of_range", detail, at=f"/{name}")
    starts_at, ends_at = arrangement.starts_at.astimezone(UTC), arrangement.ends_at.astimezone(UTC)
    if ends_at <= starts_at:
        raise wrong(OccasionTimesWrong, "reversed", "An occasion begins before it ends.", at="/ends_at")
    return replace(arrangement, starts_at=starts_at, ends_at=ends_at)


def refuse_attached(occasions: Occasions, *, after: datetime | None = None) -> None:
    """None may stand; or none that is not over then. Raises OccasionAttached, naming each."""
    attached = {
        occasion_id: each.arrangement.title
        for occasion_id, each in occasions.items()
        if not each.withdrawn and (after is None or each.arrangement.ends_at > after)
    }
    if attached:
        named = ", ".join(f"{title} ({occasion_id})" for occasion_id, title in attached.items())
        raise OccasionAttached(f"Withdraw first: {named}.", occasions=[str(each) for each in attached])


def tells_of(occasion_id: UUID, event: Event) -> bool:
    """Whether the event, of any noun, is about this occasion."""
    return isinstance(event, OccasionEvent) and event.occasion_id == occasion_id


def arranged(occasions: Occasions, event: OccasionEvent, version: int) -> Occasions:
    """After the event, which is of that version of the contract."""
    if isinstance(event, OccasionAdded):
        arrangement = msgspec.convert(event, Arrangement, from_attributes=True)
        return {**occasions, event.occasion_id: Occasion(version=version, arrangement=arrangement)}
    before = replace(occasions[event.occasion_id], version=version)
    match event:
        case OccasionChanged():
            given = {name: getattr(event, name) for name in Arrangement.__struct_fields__}
            new = {name: value for name, value in given.items() if value is not UNSET}
            after = replace(before, arrangement=replace(before.arrangement, **new))
        case OccasionAssigned():
            after = replace(before, assigned_to=event.user_id)
        case OccasionWithdrawn():
            after = replace(before, withdrawn=True)
        case _:
            assert_never(event)
    return {**occasions, event.occasion_id: after}
