"""The pure half of a read model that is a fold: what it makes of events, without any table."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar, get_args, get_type_hints
from uuid import UUID

from domain.shared import E, Event, Recorded
from projections.columns import Column
from projections.copies import Copies, tells_of_erasure


class View(Protocol):
    """What a fold makes of a record; `version` and `position` are those of the last event it took in."""

    @property
    def id(self) -> UUID: ...
    @property
    def version(self) -> int: ...
    @property
    def position(self) -> int: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def updated_at(self) -> datetime: ...
    @property
    def archived(self) -> bool: ...


V = TypeVar("V", bound=View)


def stream_of(recorded: Recorded[Any]) -> UUID:
    return recorded.stream_id


class Folding(Generic[V]):
    """Views by a fold, `view = fold(view, recorded)`. `key` tells which record an event is about."""

    columns: Mapping[str, Column]

    def __init__(
        self,
        *,
        fold: Callable[[V | None, Recorded[E]], V | None],
        key: Callable[[Recorded[E]], UUID],
        copies: Copies[V] | None,
    ) -> None:
        self.copies = copies
        self._fold: Callable[[V | None, Recorded[Any]], V | None] = fold
        self._key: Callable[[Recorded[Any]], UUID] = key
        self._takes = _events_of(fold)

    def replay(self, events: Iterable[Recorded[Any]]) -> V | None:
        """The view after these events of one record: time travel, without the table."""
        return self._after(None, [each for each in events if isinstance(each.event, self._takes)])

    def steps(self, events: Iterable[Recorded[Any]]) -> Iterator[V | None]:
        """The view after each of these events of one record."""
        view: V | None = None
        for recorded in events:
            view = self._after(view, [recorded] if isinstance(recorded.event, self._takes) else ())
            yield view

    def rebuilt(self, events: Iterable[Recorded[Any]], only: UUID | None = None) -> Iterable[V]:
        """Every record after these events, or one, in memory: of a pure fold the rows that `apply` writes."""
        views: dict[UUID, V | None] = {}
        for recorded in events:
            if isinstance(recorded.event, self._takes):
                key = self._key(recorded)
                if only in (None, key):
                    views[key] = self._fold(views.get(key), recorded)
            if self.copies is not None and tells_of_erasure(recorded):
                for key, view in views.items():
                    if view is not None and self._names(self.copies, view, recorded.stream_id):
                        views[key] = self.copies.without(view, recorded.stream_id)
        return (view for view in views.values() if view is not None)

    def _names(self, copies: Copies[V], view: V, person: UUID) -> bool:
        named = self.columns[copies.column].get(view)
        return named == person or (isinstance(named, list) and str(person) in named)

    def _after(self, view: V | None, events: Iterable[Recorded[Any]]) -> V | None:
        for recorded in events:
            view = self._fold(view, recorded)
        return view


def _events_of(fold: Callable[..., Any]) -> tuple[type[Event], ...]:
    """The event classes named by the annotation of the parameter that takes the recorded event."""
    hints = get_type_hints(fold)
    hints.pop("return", None)
    named = [argument for hint in hints.values() for argument in get_args(hint)]
    unions = [get_args(argument) or (argument,) for argument in named]
    events = tuple(c for union in unions for c in union if isinstance(c, type) and issubclass(c, Event))
    if not events:
        raise TypeError(
            f"{fold.__name__} names no event: annotate its second parameter, Recorded[Added | Changed]"
        )
    return events
