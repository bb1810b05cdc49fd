"""What stands outside the API proper: is it alive, is it ready, what is it, how is it doing."""

import asyncio
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any, Protocol

from litestar import get
from msgspec import Struct

from api import answers, metrics
from api.answers import Answer

VERSION = version("chancery")
STALE = 5.0
"""Seconds without a look at the database after which this process is not ready."""
BEHIND = 10_000
"""Events a read model may lag before this process calls itself not ready."""


class Positions(Protocol):
    @property
    def head(self) -> int: ...
    @property
    def known(self) -> Mapping[str, int]: ...
    @property
    def failures(self) -> Mapping[str, str]: ...
    @property
    def seen_at(self) -> float: ...


class Part(Struct, frozen=True, kw_only=True):
    """Without a part that is not `needed` commands and reads go on; what only it can do waits for it."""

    name: str
    ok: bool
    detail: str
    needed: bool = True


class Readiness(Struct, frozen=True, kw_only=True):
    ready: bool
    parts: list[Part]


class Health(Struct, frozen=True, kw_only=True):
    status: str


class Version(Struct, frozen=True, kw_only=True):
    name: str
    version: str


_ANSWERS = {True: "answers", False: "does not answer", None: "not set up: none is sent"}


def readiness(
    positions: Positions,
    expected: frozenset[str],
    failed: list[str],
    neighbours: Mapping[str, bool | None],
    alarms: Mapping[str, str],
) -> Readiness:
    """Which part is away or behind, or not set up, and why; and what somebody has found wrong."""
    seen = asyncio.get_running_loop().time() - positions.seen_at < STALE and positions.seen_at > 0
    parts = [Part(name="database", ok=seen, detail="answers" if seen else "does not answer")]
    parts += [Part(name=f"task {name}", ok=False, detail="has died") for name in failed]
    for name in sorted(expected):
        at = positions.known.get(name)
        lag = positions.head - (at or 0)
        failure = positions.failures.get(name)
        detail = (
            f"stopped: {failure}" if failure else "has not started" if at is None else f"{lag} events behind"
        )
        parts.append(
            Part(
                name=f"projection {name}",
                ok=at is not None and failure is None and lag < BEHIND,
                detail=detail,
            )
        )
    parts += [
        Part(name=name, ok=alive is not False, detail=_ANSWERS[alive], needed=False)
        for name, alive in neighbours.items()
    ]
    parts += [Part(name=name, ok=False, detail=detail, needed=False) for name, detail in alarms.items()]
    return Readiness(ready=all(part.ok or not part.needed for part in parts), parts=parts)


def routes(ready: Callable[[], Readiness], jwks: Callable[[], bytes]) -> list[Any]:
    @get("/healthz", include_in_schema=False)
    async def healthz() -> Answer[Health]:
        """The process answers."""
        return answers.json_answer(Health(status="ok"))

    @get("/readyz", include_in_schema=False)
    async def readyz() -> Answer[Readiness]:
        """Every part this process needs is there and up to date."""
        found = ready()
        return answers.json_answer(found, status=200 if found.ready else 503)

    @get("/version", include_in_schema=False)
    async def version_of() -> Answer[Version]:
        return answers.json_answer(Version(name="chancery", version=VERSION))

    @get("/metrics", include_in_schema=False)
    async def metrics_of() -> Answer[bytes]:
        body, media_type = metrics.exposition()
        return Answer(200, body, [(b"content-type", media_type.encode())])

    @get("/.well-known/jwks.json", include_in_schema=False)
    async def jwks_of() -> Answer[bytes]:
        """The public keys of access tokens (RFC 7517)."""
        return Answer(
            200, jwks(), [(b"content-type", b"application/json"), (b"cache-control", b"public, max-age=300")]
        )

    return [healthz, readyz, version_of, metrics_of, jwks_of]
