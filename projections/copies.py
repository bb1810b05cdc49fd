"""Copies of somebody's personal fields in records that are not himself: they go when he is forgotten."""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar
from uuid import UUID

from msgspec import Struct

from domain.shared import Stored
from domain.user.events import UserErased

V = TypeVar("V")

_ERASED = UserErased.TOPIC.rpartition(".")[0]


class Copies(Struct, Generic[V], frozen=True, kw_only=True):
    """`column` names the person, or several, and finds the records; `without` is the record as it stands without him.

    What is built again after his key was destroyed never had them, so `without` must leave exactly the same.
    """

    column: str
    without: Callable[[V, UUID], V]


def tells_of_erasure(stored: Stored) -> bool:
    """In whatever version of its topic."""
    return stored.topic.rpartition(".")[0] == _ERASED


def tells_of_forgetting(topic: str) -> bool:
    """Whether it says that the person its stream is was forgotten: `<noun>.erased.v<n>`, whoever he was."""
    return topic.rpartition(".")[0].endswith(".erased")


def erased(batch: Iterable[Stored]) -> list[UUID]:
    """Who was forgotten, by these events."""
    return [stored.stream_id for stored in batch if tells_of_erasure(stored)]
