"""Whether everything still holds, once the faults are over: each invariant as what is wrong with it.

I3 is judged by the readers and I7 by the clerks, as they read; they have written it into the ledger.
"""

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
from msgspec import Struct

from infrastructure.embedded.children import wait_until
from infrastructure.embedded.s3 import objects
from tests.rig.driver import Ledger
from tests.rig.stage import Stage

SETTLED = 180.0
"""Seconds in which everything has caught up after the last fault, whatever else keeps the machine busy."""
JOBS = 400.0
"""Seconds in which every operation has ended: one that failed seven times is tried again after two minutes."""


class Event(Struct, frozen=True, kw_only=True):
    position: int
    stream: str
    version: int
    topic: str
    data: dict[str, Any]
    request: str
    follows: bool


Words = tuple[str, ...]
"""Of a `chancery` command."""
Ended = tuple[int, str]
"""Its exit code, and what it said."""
MODELS: list[Words] = [
    ("projections", "verify"),
    ("projections", "rebuild", "--all"),
    ("guards", "verify"),
    ("ledger", "verify"),
]


class Job(Struct, frozen=True, kw_only=True):
    id: str
    kind: str
    state: str
    attempt: int
    error: str | None


class Verdict(Struct, frozen=True, kw_only=True):
    """`wrong`: every sentence is a promise that was broken. `audited`: events the audit log vouches for.

    `given_up`: what ended visibly, and not well: mails in doubt, exports whose attempts all met a fault.
    """

    events: int
    lost: int
    doubled: int
    equal: bool
    audited: int
    mails: int
    given_up: int
    wrong: list[str]


def verdict(stage: Stage, ledger: Ledger, checkpoints: Sequence[str]) -> Verdict:
    """For a mutant nobody waits as long as for us."""
    late = list(caught_up(stage, SETTLED / 4 if stage.mutant else SETTLED))
    late += jobs_ended(stage, JOBS / 8 if stage.mutant else JOBS)
    events, jobs = read_log(stage), read_jobs(stage)
    words = [*MODELS, *audits(stage.place / "export.ndjson", _kept(stage, checkpoints))]
    ended = dict(zip(words, stage.commands(words), strict=True))
    missing, twice = list(lost(events, ledger)), list(doubled(events, ledger))
    models = list(models_equal(ended))
    wrong = [
        *(f"strange: {each}" for each in ledger.strange),
        *late,
        *connections_ran_out(stage),
        *missing,
        *twice,
        *dense(events),
        *numbered_without_gaps(events),
        *objects_are_there(stage, events),
        *exports_once(events),
        *mailed_once(jobs, [mail["Message-ID"] for mail in stage.post.mails]),
        *models,
        *audited(ended, len(events)),
    ]
    return Verdict(
        events=len(events),
        lost=len(missing),
        doubled=len(twice),
        equal=not models,
        audited=vouched_for(ended),
        mails=len(stage.post.mails),
        given_up=sum(job.state == "failed" for job in jobs),
        wrong=wrong,
    )


def read_log(stage: Stage) -> list[Event]:
    with stage.superuser() as database:
        rows = database.execute(
            "select notification_id, originator_id::text, originator_version, topic, state, metadata"
            " from stored_events order by notification_id"
        ).fetchall()
    return [_event(*row) for row in rows]


def _event(position: int, stream: str, version: int, topic: str, state: bytes, meta: bytes) -> Event:
    metadata, data = msgspec.json.decode(meta), msgspec.json.decode(state)
    return Event(
        position=position,
        stream=stream,
        version=version,
        topic=topic,
        data=data,
        request=metadata["request_id"],
        follows=metadata.get("cause") is not None,
    )


def lost(events: list[Event], ledger: Ledger) -> Iterator[str]:
    """I1: what was answered stands in the log where the answer said."""
    last = {event.request: event.position for event in events if not event.follows}
    for key, answer in list(ledger.answered.items()):
        if last.get(key) != answer.position:
            yield f"I1: {key} was answered {answer.position}, the log has it at {last.get(key)}"


def doubled(events: list[Event], ledger: Ledger) -> Iterator[str]:
    """I1: no intent is there twice, whether it was answered or given up."""
    of = defaultdict[str, list[Event]](list)
    for event in events:
        if not event.follows and event.request in ledger.asked:
            of[event.request].append(event)
    for key, found in of.items():
        if len({each.stream for each in found}) > 1 or len(found) > len({each.topic for each in found}):
            yield f"I1: {key} is in the log more than once: {[(each.position, each.topic) for each in found]}"


def dense(events: list[Event]) -> Iterator[str]:
    """I2: positions 1 to n, and each stream's versions as well."""
    versions = Counter[str]()
    for expected, event in enumerate(events, 1):
        versions[event.stream] += 1
        if event.position != expected:
            yield f"I2: position {event.position} stands where {expected} should"
            return
        if event.version != versions[event.stream]:
            yield f"I2: {event.stream} has version {event.version} at {event.position}, not {versions[event.stream]}"


def numbered_without_gaps(events: list[Event]) -> Iterator[str]:
    numbers = sorted(event.data["number"] for event in events if event.topic.startswith("letter.registered."))
    given = [int(number.rpartition("-")[2]) for number in numbers]
    if given != list(range(1, len(given) + 1)):
        yield f"numbers of letters have gaps or doubles: {given}"


def caught_up(stage: Stage, patience: float) -> Iterator[str]:
    """I9: nothing lags, and every part says that it is well."""
    if not wait_until(lambda: not list(_behind(stage)), patience):
        yield from _behind(stage)


def _behind(stage: Stage) -> Iterator[str]:
    """Jobs are judged by themselves: a mail in doubt is given up, and `/readyz` says so for a day."""
    late = False
    for api in stage.apis:
        try:
            answer = httpx.get(f"http://127.0.0.1:{api.port}/readyz", timeout=10)
        except httpx.TransportError as error:
            late = True
            yield f"I9: {api.name} says nothing ({error})"
            continue
        for part in answer.json().get("parts", []):
            if not part["ok"] and part["name"] != "jobs":
                late = True
                yield f"I9: {api.name}: {part}"
    if late:
        return
    for name, state in json.loads(stage.chancery("projections", "status", "--json")).items():
        if state["lag"] or state["failure"]:
            yield f"I9: {name} lags by {state['lag']}, {state['failure']}"


def connections_ran_out(stage: Stage) -> Iterator[str]:
    """I9: whoever is refused for others' idle connections may wait for ten minutes, until those are given back."""
    refused = stage.postgres_log().count("remaining connection slots are reserved")
    if refused:
        yield f"I9: PostgreSQL had no connection left, {refused} times"


def jobs_ended(stage: Stage, patience: float) -> Iterator[str]:
    """I6: every operation that is due is over."""

    def left() -> list[Job]:
        return [job for job in read_jobs(stage) if job.state in ("queued", "running")]

    if not wait_until(lambda: not left(), patience):
        yield from (f"I6: an operation never ends: {each}" for each in left())


def read_jobs(stage: Stage) -> list[Job]:
    with stage.superuser() as database:
        rows = database.execute(
            "select id::text, kind, state, attempt, last_error from operations"
            " where run_at < now() + interval '1 hour'"
        ).fetchall()
    return [Job(id=row[0], kind=row[1], state=row[2], attempt=row[3], error=row[4]) for row in rows]


def exports_once(events: list[Event]) -> Iterator[str]:
    """I6: each that was asked for was made once, or given up once, for all to see."""
    asked = {event.stream for event in events if event.topic.startswith("export.requested.")}
    ended = ("export.completed.", "export.failed.")
    made = Counter(event.stream for event in events if event.topic.startswith(ended))
    yield from (f"I6: export {each} was made {made[each]} times" for each in asked if made[each] != 1)


def mailed_once(jobs: list[Job], received: list[str]) -> Iterator[str]:
    """I6: what counts as sent has arrived once, what is in doubt once at most; nothing else ends otherwise."""
    arrived = Counter(each.strip("<>").partition("@")[0] for each in received)
    for job in jobs:
        if job.kind != "mail.send":
            if job.state == "failed" and job.kind != "export.run":
                yield f"I6: an operation failed: {job}"
        elif job.state == "done" and arrived[job.id] != 1:
            yield f"I6: {job} arrived {arrived[job.id]} times"
        elif arrived[job.id] > 1 or (job.state == "failed" and "InDoubt" not in (job.error or "")):
            yield f"I6: {job} arrived {arrived[job.id]} times, and is {job.state}"
    if unknown := arrived.keys() - {job.id for job in jobs}:
        yield f"I6: mails that no operation asked for: {unknown}"


def objects_are_there(stage: Stage, events: list[Event]) -> Iterator[str]:
    """I8: an event that names a content has it in the object store, with that sha256."""
    contents = {
        path.name: path for path in objects(stage.s3.data_dir, stage.s3.bucket).rglob("*") if path.is_file()
    }
    for event in events:
        if event.topic.startswith("file.uploaded."):
            content = contents.get(event.data["object_id"])
            if content is None:
                yield f"I8: file {event.stream} has no content"
            elif hashlib.sha256(content.read_bytes()).hexdigest() != event.data["sha256"]:
                yield f"I8: file {event.stream} has another content"


def models_equal(ended: Mapping[Words, Ended]) -> Iterator[str]:
    """I4: read models equal what the log makes of them, guards and the ledger of money too."""
    for words in MODELS:
        status, said = ended[words]
        if status or "DIFFERENT" in said:
            yield f"I4: {' '.join(words)}: {said[-1500:]}"


def audits(export: Path, kept: Sequence[Path]) -> list[Words]:
    """I5: the audit log verifies in the database and taken away, and continues the checkpoints kept meanwhile."""
    again = [("audit", "verify", str(export), "--checkpoint", str(each)) for each in kept]
    return [("audit", "verify", "--live"), ("audit", "export", str(export)), *again]


def audited(ended: Mapping[Words, Ended], events: int) -> Iterator[str]:
    for words, (status, said) in ended.items():
        if words[0] == "audit" and status:
            yield f"I5: {' '.join(words)}: {said[-1500:]}"
    if (found := vouched_for(ended)) != events:
        yield f"I5: the audit log vouches for {found} events of {events}"


def vouched_for(ended: Mapping[Words, Ended]) -> int:
    """How many events the export says it has."""
    said = next(said for words, (_, said) in ended.items() if words[:2] == ("audit", "export"))
    found = re.search(r"^(\d+) entries in ", said, re.MULTILINE)
    return int(found[1]) if found else 0


def _kept(stage: Stage, checkpoints: Sequence[str]) -> list[Path]:
    """The oldest and the newest."""
    files = []
    for number, checkpoint in enumerate(dict.fromkeys([*checkpoints[:1], *checkpoints[-1:]])):
        files.append(stage.place / f"kept-{number}")
        files[-1].write_text(checkpoint)
    return files
