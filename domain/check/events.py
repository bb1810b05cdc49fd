"""What can happen in a check: guards, read models and log were compared, and here is what was found."""

from typing import ClassVar

from msgspec import Struct

from domain.shared import Event


class TableDigest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A read model's table: how many rows, and the sha256 over the sha256 of each row's text, in the order of these.

    `views` stands instead, of records: the sha256 over the sha256 of each one's id (16 bytes) and view, ordered by id.
    """

    table: str
    rows: int
    sha256: str = ""
    views: str | None = None


class ModelDigest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A read model, in its `model_version`, after the events up to `position`."""

    model: str
    model_version: int
    position: int
    tables: tuple[TableDigest, ...]


class CheckCompleted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Guards, read models and log were compared with each other; `differences` is for people, all of them are counted.

    `size` and `root`: the tree in which each leaf was compared with its event. `rebuilt`: the read model that was built
    again from the log and compared row by row.
    """

    TOPIC: ClassVar[str] = "check.completed.v1"

    size: int
    root: bytes
    models: tuple[ModelDigest, ...]
    rebuilt: tuple[str, ...] = ()
    differing: int = 0
    differences: tuple[str, ...] = ()
    seconds: int = 0


CheckEvent = CheckCompleted
