"""Which part is away or behind, since when, and why: what `/readyz` answers, from memory."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from infrastructure.redaction import redacted
from infrastructure.watch.survey import ROLES, Follower, Survey, idle

STALE = 5.0
"""Seconds without a look at the database after which this process is not ready."""
BEHIND = 10_000
"""Events a read model may lag before this process calls itself not ready."""
LATE = 30.0
"""Seconds the first event may wait for a follower, or an operation for a worker, before that is said to be wrong."""


class Positions(Protocol):
    @property
    def head(self) -> int: ...
    @property
    def known(self) -> Mapping[str, int]: ...
    @property
    def failures(self) -> Mapping[str, str]: ...
    @property
    def seen_at(self) -> float: ...


class Sink(Protocol):
    """Where warnings go besides; `trouble` says what is wrong with it."""

    @property
    def trouble(self) -> str | None: ...


class Part(Struct, frozen=True, kw_only=True):
    """Without a part that is not `needed` commands and reads go on; what only it can do waits for it."""

    name: str
    ok: bool
    detail: str
    needed: bool = True


class Readiness(Struct, frozen=True, kw_only=True):
    ready: bool
    parts: list[Part]


_ANSWERS = {True: "answers", False: "does not answer", None: "not set up: none is sent"}


def readiness(
    positions: Positions,
    expected: Sequence[str],
    failed: list[str],
    neighbours: Mapping[str, bool | None],
    survey: Survey | None,
    sink: Sink | None = None,
) -> Readiness:
    """`expected`: the read models there should be. `survey`: None when nobody knows how all of it is now."""
    seen = asyncio.get_running_loop().time() - positions.seen_at < STALE and positions.seen_at > 0
    parts = [Part(name="database", ok=seen, detail="answers" if seen else "does not answer")]
    parts += [Part(name=f"task {name}", ok=False, detail="has died") for name in failed]
    parts += [_projection(name, positions, survey) for name in expected]
    parts += [
        Part(name=name, ok=alive is not False, detail=_ANSWERS[alive], needed=False)
        for name, alive in neighbours.items()
    ]
    if survey is not None:
        parts += _surveyed(survey, away=neighbours.get("nats") is False)
    if sink is not None:
        parts.append(
            Part(name="log sink", ok=sink.trouble is None, detail=sink.trouble or "takes lines", needed=False)
        )
    return Readiness(ready=all(part.ok or not part.needed for part in parts), parts=parts)


def _projection(name: str, positions: Positions, survey: Survey | None) -> Part:
    at, failure = positions.known.get(name), positions.failures.get(name)
    lag = positions.head - (at or 0)
    follower = survey.projections.get(name) if survey is not None else None
    detail = f"{lag} events behind"
    if failure:
        detail = f"stopped: {redacted(failure)}"
    elif at is None:
        detail = "has not started"
    elif lag and follower is not None and follower.lag:
        detail += f", for {follower.waited:.1f} s"
    if lag and survey is not None and name not in survey.held:
        detail += "; nobody has its role: start `chancery work`"
    return Part(
        name=f"projection {name}", ok=at is not None and failure is None and lag < BEHIND, detail=detail
    )


def _surveyed(survey: Survey, *, away: bool) -> Iterator[Part]:
    if survey.missing:
        missing = ", ".join(map(str, survey.missing))
        yield Part(name="migrations", ok=False, detail=f"{missing} missing: run `chancery migrate`")
    yield from _parked(survey.projections)
    yield _follower("relay", survey.relay, "NATS does not answer" if away else "the stream cannot be asked")
    yield _follower("signer", survey.signer, "")
    yield _follower("reactor", survey.reactor, "has not started")
    if survey.strange_stream is not None:
        detail = f"{survey.strange_stream}: look with `chancery epoch status`"
        yield Part(name="epoch", ok=False, detail=detail, needed=False)
    without = idle(survey, ROLES)
    if without:
        detail = f"nobody is {', '.join(without)}: start `chancery work`"
        yield Part(name="roles", ok=False, detail=detail, needed=False)
    yield _jobs(survey)
    for name, detail in survey.alarms.items():
        yield Part(name=name, ok=False, detail=redacted(detail), needed=False)


def _parked(projections: Mapping[str, Follower]) -> Iterator[Part]:
    for name, follower in projections.items():
        if follower.parked:
            detail = f"{follower.parked} streams are set aside: see `chancery projections status`"
            yield Part(name=f"parked {name}", ok=False, detail=detail, needed=False)


def _follower(name: str, follower: Follower | None, absent: str) -> Part:
    if follower is None:
        return Part(name=name, ok=False, detail=absent, needed=False)
    if follower.failure is not None:
        return Part(name=name, ok=False, detail=f"stopped: {redacted(follower.failure)}", needed=False)
    behind = f"{follower.lag} events behind"
    detail = f"{behind}, for {follower.waited:.1f} s" if follower.lag else behind
    return Part(name=name, ok=follower.waited < LATE, detail=detail, needed=False)


def _jobs(survey: Survey) -> Part:
    waiting, failed = survey.of("queued"), survey.of("failed")
    oldest = max((each.oldest for each in waiting), default=0.0)
    detail = f"{sum(each.count for each in waiting)} wait, the oldest is due for {oldest:.1f} s"
    if failed:
        told = ", ".join(f"{each.count} {each.kind}" for each in failed)
        detail += f"; given up in the last day: {told}"
    return Part(name="jobs", ok=oldest < LATE and not failed, detail=detail, needed=False)
