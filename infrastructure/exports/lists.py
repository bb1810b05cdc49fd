"""The lists that can be exported: those whose read models say who views them, each as its route shows it."""

import pkgutil
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import cache
from hashlib import blake2b
from importlib import import_module

from msgspec import Struct

import projections
from application.access import Caller, Forbidden, Resource, may
from application.export import Offer, Wanted, list_unknown
from infrastructure.audience import audience_of, hidden, viewable, visible
from projections.conditions import Condition
from projections.lists import Listing, ListQuery, members_of, whole


@cache  # bounded: by the lists there are
def listings() -> Mapping[str, Listing]:
    """By the name of the list, which is the last part of its path."""
    return {audience_of(found).path: found for found in _found()}


def _found() -> Iterator[Listing]:
    for module in pkgutil.iter_modules(projections.__path__):
        for value in vars(import_module(f"projections.{module.name}")).values():
            for each in value.values() if isinstance(value, dict) else (value,):
                if isinstance(each, Listing) and each.audience is not None:
                    yield each


class Reading(Struct, frozen=True, kw_only=True):
    """How a list is read for somebody. `members`: those of each record, None: all that there are.

    `sight` stands for which records, and which of their members, he may view at all.
    """

    listing: Listing
    rows: Condition
    members: tuple[str, ...] | None
    right: str | None
    viewable: Resource
    sight: str


class ExportedLists:
    """Implements application.export.Offers. `own`: lists as this Chancery has them, by its time zone say."""

    def __init__(self, clock: Callable[[], datetime], *own: Listing) -> None:
        self._clock = clock
        self._listings = {**listings(), **{audience_of(each).path: each for each in own}}

    def __call__(self, wanted: Wanted, caller: Caller) -> Offer:
        """Raises ExportListUnknown, ListRefused."""
        reading = self.reading(wanted, caller)
        return Offer(right=reading.right, viewable=reading.viewable)

    def reading(self, wanted: Wanted, caller: Caller) -> Reading:
        """Raises ExportListUnknown, ListRefused."""
        listing = self._listing(wanted.list)
        now = self._clock()
        scope, kept = visible(caller, listing, now), hidden(caller, listing, now)
        query = ListQuery(
            filter=wanted.filter or "",
            order_by=wanted.order_by or "",
            fields=",".join(wanted.fields),
            show_archived=wanted.show_archived,
        )
        return Reading(
            listing=listing,
            rows=whole(listing, query, scope=scope, hidden=kept),
            members=members_of(listing, query.fields, kept),
            right=audience_of(listing).right,
            viewable=viewable(caller, listing, now),
            sight=_sight(scope, kept),
        )

    def require(self, reading: Reading, caller: Caller) -> None:
        """Raises Forbidden when he may view nothing of it."""
        right = reading.right
        if right is not None and may(caller, right, reading.viewable, self._clock()) is None:
            raise Forbidden(f"This needs the right {right}.", required=right)

    def require_same(self, name: str, sight: str, caller: Caller) -> None:
        """Whoever saw that much when the file was made sees it still. Raises Forbidden, ExportListUnknown."""
        listing, now = self._listing(name), self._clock()
        scope, kept = visible(caller, listing, now), hidden(caller, listing, now)
        if (scope is not None or kept) and _sight(scope, kept) != sight:
            raise Forbidden(
                "What you may view of this list is not what it was. Export it again.",
                required=audience_of(listing).right,
            )

    def _listing(self, name: str) -> Listing:
        found = self._listings.get(name)
        if found is None:
            raise list_unknown(name, sorted(self._listings))
        return found


def _sight(scope: Condition | None, kept: frozenset[str]) -> str:
    told = None if scope is None else (scope.sql.as_string(None), scope.parameters)
    return blake2b(repr((told, sorted(kept))).encode(), digest_size=16).hexdigest()
