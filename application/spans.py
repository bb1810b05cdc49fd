"""What took how long, and what came of what: spans of a trace, as OpenTelemetry has them, for whoever collects them.

Nothing is measured until `collect` is called, and nothing of a trace that is not sampled. Whether one is, is decided by
its id alone, so every process says the same of it without being told. Attributes name no person and no record.
"""

import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar, Token
from hashlib import sha256
from random import getrandbits
from types import TracebackType
from typing import Literal

from msgspec import Struct, field

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Sink = Callable[["Span"], None]

_NUMBER = re.compile(
    r"[0-9a-fA-F]{8}(-?)[0-9a-fA-F]{4}\1[0-9a-fA-F]{4}\1[0-9a-fA-F]{4}\1[0-9a-fA-F]{12}"
).fullmatch
_RANDOM = 1 << 56
"""The last 7 bytes of a trace id are random (W3C Trace Context, level 2, 3.2.2.3.1); of a UUID as well."""


class Place(Struct, frozen=True):
    """Where something stands: a span of a trace."""

    trace_id: int
    span_id: int

    def __str__(self) -> str:
        """As a traceparent, sampled (W3C Trace Context 3.2)."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-01"


class Span(Struct, kw_only=True):
    """Times in nanoseconds since 1970. `failed`: whoever operates this should look at it."""

    name: str
    trace_id: int
    parent_id: int = 0
    span_id: int = field(default_factory=lambda: getrandbits(64) or 1)
    kind: Kind = "internal"
    began: int = field(default_factory=time.time_ns)
    ended: int = 0
    attributes: dict[str, str | int] = {}
    links: list[Place] = []
    failed: bool = False

    @property
    def place(self) -> Place:
        return Place(self.trace_id, self.span_id)


_sink: Sink | None = None
_share = 1.0
_current: ContextVar[Span | None] = ContextVar("span", default=None)
NOTHING: AbstractContextManager[None] = nullcontext()
"""Around what is not measured."""


def collect(sink: Sink | None, share: float = 1.0) -> tuple[Sink | None, float]:
    """From now on every finished span goes to `sink`, of that share of the traces. Returns what was so before."""
    global _sink, _share
    before = _sink, _share
    _sink, _share = sink, share
    return before


def collected() -> bool:
    return _sink is not None


def sampled(trace_id: int) -> bool:
    """As OpenTelemetry's consistent probability sampling decides it."""
    return _sink is not None and trace_id % _RANDOM >= (1 - _share) * _RANDOM


def is_trace(request_id: str) -> bool:
    """Whether it is 128 bits in hexadecimal, as a trace's id is, or a UUID."""
    return _NUMBER(request_id) is not None


def trace_of(request_id: str) -> int:
    """A request id of 128 bits is the trace's id; another one is hashed to it."""
    number = int(request_id.replace("-", ""), 16) if is_trace(request_id) else 0
    return number or int.from_bytes(sha256(request_id.encode()).digest()[:16])


def place_of(traceparent: str | None) -> Place | None:
    """What a valid traceparent names. Its flag is not looked at: a trace is sampled whole or not at all."""
    return None if traceparent is None else Place(int(traceparent[3:35], 16), int(traceparent[36:52], 16))


def current() -> Span | None:
    """The innermost that is going on here, of a trace that is sampled."""
    span = _current.get()
    return None if span is None or span.ended else span


def part(name: str, kind: Kind = "internal") -> AbstractContextManager[Span | None]:
    """A part of what is going on here; None when nothing is, or its trace is not sampled."""
    if _sink is None or (above := current()) is None:
        return NOTHING
    return _Going(Span(name=name, trace_id=above.trace_id, parent_id=above.span_id, kind=kind))


def whole(
    name: str, trace_id: int, parent_id: int = 0, kind: Kind = "internal"
) -> AbstractContextManager[Span | None]:
    """What begins here, as a trace or as one process's share of it; None unless the trace is sampled."""
    if _sink is None:
        return NOTHING
    return _Going(
        Span(name=name, trace_id=trace_id, parent_id=parent_id, kind=kind) if sampled(trace_id) else None
    )


def finish(span: Span) -> None:
    """It is over, and collected."""
    span.ended = max(time.time_ns(), span.began)
    if _sink is not None:
        _sink(span)


class _Going:
    """A span as long as a block lasts. What is raised in it is named, never told: a message may hold anything."""

    __slots__ = ("_before", "_span")
    _before: Token[Span | None]

    def __init__(self, span: Span | None) -> None:
        self._span = span

    def __enter__(self) -> Span | None:
        self._before = _current.set(self._span)
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _current.reset(self._before)
        if self._span is not None:
            if kind is not None:
                self._span.attributes["error.type"] = kind.__name__
            finish(self._span)
