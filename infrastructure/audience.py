"""What a caller may view of a list: which records, and which of their members."""

import re
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from application.access import ANYTHING, Caller, Resource, Right, in_force, may
from projections.audience import Audience
from projections.columns import ColumnType
from projections.conditions import Condition, every, some, where
from projections.lists import Listing

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def visible(caller: Caller, listing: Listing, now: datetime) -> Condition | None:
    """The records that he may view; None: all of them. Who may see nothing gets an empty list."""
    audience = audience_of(listing)
    if audience.right is None or may(caller, audience.right, ANYTHING, now) is not None:
        return None
    held = _held(caller, audience.right, now)
    ways: list[Condition] = []
    for scope_type, column in audience.by.items():
        scoped = {each.scope_id for each in held if each.scope_type == scope_type}
        if scoped and scope_type == "own":
            ways.append(where("{column} = %s", column, caller.actor.id))
        elif scoped and _holds_many(listing, column):
            ways.append(where("{column} && %s::text[]", column, sorted(scoped)))
        elif scoped:
            ways.append(where("{column} = any(%s::uuid[])", column, _records(scoped)))
    if audience.within is not None:
        places = sorted({(each.scope_type, each.scope_id) for each in held if each.scope_type != "own"})
        ways += [_both(audience.within, place) for place in places]
    return some(ways)


def _holds_many(listing: Listing, name: str) -> bool:
    column = listing.columns.get(name)
    return column is not None and column.type is ColumnType.TEXT_ARRAY


def _both(columns: tuple[str, str], place: tuple[str, str]) -> Condition:
    return every(where("{column} = %s", name, value) for name, value in zip(columns, place, strict=True))


def hidden(caller: Caller, listing: Listing, now: datetime) -> frozenset[str]:
    """The members that are not his to see in any record, nor to ask by."""
    kept = (
        members
        for right, members in audience_of(listing).reserved.items()
        if may(caller, right, ANYTHING, now) is None
    )
    return frozenset[str]().union(*kept)


def viewable(caller: Caller, listing: Listing, now: datetime) -> Resource:
    """Everything he may view of it taken together: who holds the right anywhere in the list holds it on this."""
    audience = audience_of(listing)
    held = () if audience.right is None else _held(caller, audience.right, now)
    own = "own" in audience.by
    return Resource(
        scopes=frozenset(
            (each.scope_type, each.scope_id)
            for each in held
            if audience.within is not None or each.scope_type in audience.by
        ),
        responsible_ids=frozenset({caller.actor.id}) if own else frozenset(),
    )


def audience_of(listing: Listing) -> Audience:
    assert listing.audience is not None, f"the route of {listing.name} says who views it"
    return listing.audience


def _held(caller: Caller, right: str, now: datetime) -> list[Right]:
    return [each for each in caller.rights if f"{each.module}:{each.action}" == right and in_force(each, now)]


def _records(scope_ids: Iterable[str]) -> list[UUID]:
    """A scope id that is no UUID names no record."""
    return [UUID(each) for each in sorted(scope_ids) if _UUID.fullmatch(each)]
