"""Who follows the log and how far he is, what waits to be done, when it was last compared, and kept outside."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg

from cli.diagnosis.bus import connected
from cli.diagnosis.finding import Finding, judged, line, well, wrong
from infrastructure.postgres import connect
from infrastructure.redaction import redacted
from infrastructure.settings import Settings
from infrastructure.watch.survey import ROLES, Follower, Stream, Survey, idle, stream_of, survey
from projections.projection import discover

LATE = 60.0
"""Seconds the first event may wait for a follower, or an operation for a worker."""
BACKUP_AGE, KEYS_AGE = timedelta(days=2), timedelta(days=2)
WORK = "start `chancery work`, or look at its log"


def log(settings: Settings) -> Iterator[Finding]:
    """Nothing, while the database is away or not migrated: that is another finding."""
    if not settings.database_url:
        return
    try:
        found = asyncio.run(surveyed(settings))
    except psycopg.Error as error:
        yield wrong("the log", line(error), "mend what is said of PostgreSQL first")
        return
    yield from _followers(found)
    yield _roles(found, settings)
    yield from _epoch(found)
    yield from _jobs(found)
    yield from _alarms(found)
    if settings.check_hours:
        yield _check(found, settings.check_hours)
    yield _kept(found, "backup", BACKUP_AGE, "`chancery backup create FOLDER --keys-to APART`, every night")
    yield _kept(
        found, "subject keys", KEYS_AGE, "`chancery subject-keys backup FILE`, more often than the log"
    )


async def surveyed(settings: Settings) -> Survey:
    """Raises psycopg.Error."""
    async with await connect(settings.database_url, name="chancery doctor") as connection:
        return await survey(connection, await _stream(settings))


async def _stream(settings: Settings) -> Stream | None:
    if not settings.nats_url:
        return None
    try:
        async with connected(settings.nats_url) as source:
            return await stream_of(source)
    except TimeoutError:
        return None  # that is a finding of its own


def _followers(found: Survey) -> Iterator[Finding]:
    for name in sorted(discover()):
        follower = found.projections.get(name)
        if follower is None:
            yield wrong(f"projection {name}", "has not begun", WORK)
            continue
        yield _projection(name, follower, held=name in found.held)
        if follower.parked:
            fix = f"mend what stopped it, then `chancery projections unpark {name}`"
            yield wrong(f"parked {name}", f"{follower.parked} streams are set aside", fix)
    single = {"signer": found.signer, "reactor": found.reactor, "relay": found.relay}
    for name, each in single.items():
        if each is not None:
            yield _one(name, each)
    if found.reactor is None:
        yield wrong("reactor", "has not begun", WORK)


def _projection(name: str, follower: Follower, *, held: bool) -> Finding:
    what = f"projection {name}"
    if follower.failure is not None:
        fix = f"`chancery projections park {name}` sets that stream aside; with a release that mends it, unpark it"
        if "rebuild" in follower.failure:
            fix = f"`chancery projections rebuild {name}`"
        return wrong(what, f"stands still: {redacted(follower.failure)}", fix)
    said = f"{follower.lag} events behind" + (f", for {follower.waited:.0f} s" if follower.lag else "")
    if follower.waited < LATE:
        return well(what, said)
    return wrong(what, said, "wait: it catches up; look again in a minute" if held else WORK)


def _one(name: str, follower: Follower) -> Finding:
    if follower.failure is not None:
        fix = "look at the log of `work`: it tries that event again and again, and skips none"
        return wrong(name, f"stands still: {redacted(follower.failure)}", fix)
    return judged(
        name, f"{follower.lag} events behind, for {follower.waited:.0f} s", WORK, good=follower.waited < LATE
    )


def _roles(found: Survey, settings: Settings) -> Finding:
    wanted = set(ROLES)
    if not settings.redis_url:
        wanted.discard("sweeper")
    if not settings.s3_endpoint or settings.tile_copy == "off":
        wanted.discard("tile copy")
    without = idle(found, wanted)
    said = f"nobody is {', '.join(without)}" if without else "each has its holder"
    return judged("roles", said, WORK, good=not without)


def _epoch(found: Survey) -> Iterator[Finding]:
    fix = "`chancery epoch status`, then `chancery epoch begin --reason ...` if what is missing is truly lost"
    said = found.strange_stream or f"the stream is of this log, history {found.epochs}"
    if found.relay is not None:
        yield judged("epoch", said, fix, good=found.strange_stream is None)


def _jobs(found: Survey) -> Iterator[Finding]:
    waiting = found.of("queued")
    oldest = max((each.oldest for each in waiting), default=0.0)
    said = f"{sum(each.count for each in waiting)} wait, the oldest is due for {oldest:.0f} s"
    yield judged("jobs", said, "start `chancery jobs`, and Redis", good=oldest < LATE)
    for each in found.of("failed"):
        fix = (
            "`select kind, last_error from operations where state = 'failed' order by ended_at desc` says why"
        )
        if each.kind == "mail.send":
            fix += "; after InDoubt nobody knows whether it arrived"
        yield wrong(f"given up: {each.kind}", f"{each.count} in 24 hours", fix)


def _alarms(found: Survey) -> Iterator[Finding]:
    for name, detail in found.alarms.items():
        fix = "`chancery check run` looks again" if name == "check" else "look at the log of `work` for it"
        yield wrong(f"alarm {name}", redacted(detail), fix)


def _check(found: Survey, hours: int) -> Finding:
    fix = "`chancery check run`"
    if found.check is None:
        young = found.begun_at is None or datetime.now(UTC) - found.begun_at < timedelta(hours=2 * hours)
        return judged("check", "none was made yet", fix, good=young)
    age = datetime.now(UTC) - found.check.at
    said = f"{_hours(age)} ago, {found.check.differing} differences"
    if found.check.differing:
        fix = "`chancery projections rebuild NAME` mends a read model, `chancery guards rebuild` a guard; then check"
    return judged("check", said, fix, good=not found.check.differing and age < timedelta(hours=2 * hours))


def _kept(found: Survey, what: str, most: timedelta, fix: str) -> Finding:
    """A log younger than that has nothing to lose yet."""
    at, now = found.kept_outside.get(what), datetime.now(UTC)
    if at is None:
        young = found.begun_at is None or now - found.begun_at < most
        return judged(f"kept outside: {what}", "never", fix, good=young)
    return judged(f"kept outside: {what}", f"{_hours(now - at)} ago", fix, good=now - at < most)


def _hours(age: timedelta) -> str:
    return f"{age.total_seconds() / 3600:.1f} h"
