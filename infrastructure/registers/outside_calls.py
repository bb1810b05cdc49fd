"""Questions to services outside: an answer in time and of the shape agreed on, and a circuit breaker."""

import asyncio
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Literal, TypeVar
from urllib.parse import urlencode

from msgspec import MsgspecError
from msgspec.json import Decoder
from prometheus_client import Counter, Gauge

from application.spans import part
from infrastructure.outbound import Unreachable, client, fetched

T = TypeVar("T")

LARGEST = 1 << 20
"""Bytes of an answer."""
FAILURES, REST_SECONDS = 5, 10.0
"""After so many failures in a row nobody asks for so long."""

_CALLS = Counter(
    "chancery_outside_calls_total", "Calls to outside services by how they ended", ("service", "ended")
)
_OPEN = Gauge(
    "chancery_outside_breaker_open",
    "1 while a service is not asked because it failed too often",
    ("service",),
    multiprocess_mode="livemax",
)


class OutsideFailed(Exception):
    """The service did not answer, or not as agreed. Asking again makes sense after `retry_after` seconds."""

    def __init__(self, service: str, reason: str, retry_after: int = 1) -> None:
        super().__init__(f"{service}: {reason}")
        self.service, self.reason, self.retry_after = service, reason, retry_after


State = Literal["closed", "open", "trying"]


class Breaker:
    """Lets calls through until `failures` in a row have failed, then none for `rest` seconds, then one that decides."""

    def __init__(
        self,
        *,
        failures: int = FAILURES,
        rest: float = REST_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most, self._rest, self._clock = failures, rest, clock
        self._failed, self._opened_at, self._trying = 0, 0.0, False

    @property
    def state(self) -> State:
        if self._failed < self._most:
            return "closed"
        return "trying" if self._trying else "open"

    @property
    def rests(self) -> float:
        """Seconds until the next call is let through; 0: now."""
        if self.state == "closed":
            return 0.0
        left = max(0.0, self._opened_at + self._rest - self._clock())
        return max(left, 1.0) if self._trying else left

    @contextmanager
    def call(self, service: str) -> Generator[None]:
        """Around one call. Raises OutsideFailed when it is not let through; a cancelled call says nothing."""
        if (rests := self.rests) > 0:
            raise OutsideFailed(service, "failed too often and is left alone for a moment", int(rests) + 1)
        trial = self._trying = self.state == "open"
        try:
            with part(f"call {service}", "client"):
                yield
        except OutsideFailed:
            self._failed += 1
            self._opened_at = self._clock()
            raise
        else:
            self._failed = 0
        finally:
            if trial:
                self._trying = False


class OutsideService:
    """One service outside, asked by GET at one address, over connections of its own."""

    def __init__(self, name: str, url: str, *, breaker: Breaker | None = None) -> None:
        self.name, self.breaker = name, breaker or Breaker()
        self._url, self._client = url.rstrip("/"), client()
        self._open = _OPEN.labels(name)

    async def get(
        self, path: str, params: Mapping[str, str], shape: Decoder[T], *, until: float | None = None
    ) -> T | None:
        """What it says, decoded strictly; None: it knows no such thing (404). `until`: by the loop's clock, at the
        latest, for a second call that shares the limit of the first. Raises OutsideFailed.
        """
        url = f"{self._url}{path}{'?' if params else ''}{urlencode(params)}"
        ended = "failed"
        try:
            with self.breaker.call(self.name):
                body = await self._body(url, until)
                said = None if body is None else self._decoded(body, shape)
            ended = "answered"
            return said
        finally:
            _CALLS.labels(self.name, ended).inc()
            self._open.set(self.breaker.state != "closed")

    async def try_get(self, path: str, params: Mapping[str, str], shape: Decoder[T]) -> T | None:
        """The same where it may be missing: None, too, when the service fails."""
        try:
            return await self.get(path, params, shape)
        except OutsideFailed:
            return None

    async def close(self) -> None:
        await self._client.aclose()

    async def _body(self, url: str, until: float | None) -> bytes | None:
        try:
            async with asyncio.timeout_at(until):
                return await fetched(self._client, url, LARGEST)
        except TimeoutError:
            raise OutsideFailed(self.name, "took too long") from None
        except Unreachable as problem:
            if problem.status == 404:
                return None
            raise OutsideFailed(self.name, _told(problem)) from None

    def _decoded(self, body: bytes, shape: Decoder[T]) -> T:
        if b"\\u0000" in body:  # no text of ours holds it
            raise OutsideFailed(self.name, "answered text with NUL in it")
        try:
            return shape.decode(body)
        except (MsgspecError, UnicodeDecodeError, RecursionError):
            raise OutsideFailed(self.name, "answered something of another shape") from None


def _told(problem: Unreachable) -> str:
    """Without the address: what somebody looks for is nobody else's business."""
    if problem.status is not None:
        return f"answered {problem.status}"
    return "answered more than was bargained for" if problem.answered else "did not answer"
