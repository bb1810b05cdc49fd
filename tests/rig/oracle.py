"""Whether everything still holds, once the faults are over: each invariant as what is wrong with it.

I7 is judged by the clerks as they read. I3, that nobody meets an earlier position later, is not judged by itself: who
had would differ from a rebuild (I4).
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
from msgspec import Struct

from infrastructure.embedded.children import wait_until
from infrastructure.embedded.s3 import objects
from tests.rig.driver import Ledger
from tests.rig.stage import Stage

SETTLED = 60.0
"""Seconds in which everything has caught up after the last fault."""
JOBS = 150.0
"""Seconds in which every operation has ended: a dead attempt's lease is 60 of them."""


class Event(Struct, frozen=True, kw_only=True):
    position: int
    stream: str
    version: int
    topic: str
    data: dict[str, Any]
    request: str
    follows: bool


def verdict(stage: Stage, ledger: Ledger) -> list[str]:
    """Every sentence is a promise that was broken."""
    wrong = [f"strange: {each}" for each in ledger.strange]
    wrong += caught_up(stage)
    events = read_log(stage)
    for check in (each_intent_once, dense, numbered_without_gaps):
        wrong += check(events, ledger)
    wrong += objects_are_there(stage, events)
    wrong += jobs_ended(stage, events)
    wrong += models_equal_the_log(stage)
    return wrong


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


def each_intent_once(events: list[Event], ledger: Ledger) -> Iterator[str]:
    """I1: what was answered stands in the log once, where the answer said; what was given up, once at most."""
    of = defaultdict[str, list[Event]](list)
    for event in events:
        if not event.follows and event.request in ledger.asked:
            of[event.request].append(event)
    for key, answer in list(ledger.answered.items()):
        last = of[key][-1].position if of[key] else None
        if last != answer.position:
            yield f"I1: {key} was answered {answer.position}, the log has it at {last}"
    for key, found in of.items():
        if len({each.stream for each in found}) > 1 or len(found) > len({each.topic for each in found}):
            yield f"I1: {key} is in the log more than once: {[(each.position, each.topic) for each in found]}"


def dense(events: list[Event], _: Ledger) -> Iterator[str]:
    """I2: positions 1 to n, and each stream's versions as well."""
    versions = Counter[str]()
    for expected, event in enumerate(events, 1):
        versions[event.stream] += 1
        if event.position != expected:
            yield f"I2: position {event.position} stands where {expected} should"
            return
        if event.version != versions[event.stream]:
            yield f"I2: {event.stream} has version {event.version} at {event.position}, not {versions[event.stream]}"


def numbered_without_gaps(events: list[Event], _: Ledger) -> Iterator[str]:
    numbers = sorted(event.data["number"] for event in events if event.topic.startswith("letter.registered."))
    given = [int(number.rpartition("-")[2]) for number in numbers]
    if given != list(range(1, len(given) + 1)):
        yield f"numbers of letters have gaps or doubles: {given}"


def caught_up(stage: Stage) -> Iterator[str]:
    """I9: nothing lags, and every part says that it is well."""
    if not wait_until(lambda: not list(_behind(stage)), SETTLED):
        yield from _behind(stage)


def _behind(stage: Stage) -> Iterator[str]:
    for api in stage.apis:
        try:
            answer = httpx.get(f"http://127.0.0.1:{api.port}/readyz", timeout=10)
        except httpx.TransportError as error:
            yield f"I9: {api.name} says nothing ({error})"
            continue
        for part in answer.json().get("parts", []):
            if not part["ok"]:
                yield f"I9: {api.name}: {part}"
    for name, state in json.loads(stage.chancery("projections", "status", "--json")).items():
        if state["lag"] or state["failure"]:
            yield f"I9: {name} lags by {state['lag']}, {state['failure']}"


def jobs_ended(stage: Stage, events: list[Event]) -> Iterator[str]:
    """I6: every operation is over, and each export was completed once."""
    with stage.superuser() as database:

        def left() -> list[Any]:
            rows = (
                "select kind, state, attempt, last_error from operations where state in ('queued', 'running')"
            )
            return database.execute(rows + " and run_at < now() + interval '1 hour'").fetchall()

        if not wait_until(lambda: not left(), JOBS):
            yield from (f"I6: an operation never ends: {each}" for each in left())
        failed = database.execute("select kind, last_error from operations where state = 'failed'").fetchall()
    yield from (f"I6: an operation failed: {each}" for each in failed)
    asked = {event.stream for event in events if event.topic.startswith("export.requested.")}
    made = Counter(event.stream for event in read_log(stage) if event.topic.startswith("export.completed."))
    yield from (f"I6: export {each} was made {made[each]} times" for each in asked if made[each] != 1)


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


def models_equal_the_log(stage: Stage) -> Iterator[str]:
    """I4, I5: read models equal what the log makes of them, guards too; the audit log verifies, live and taken away."""
    export = stage.place / "export.ndjson"
    checks: list[tuple[str, Callable[[], str | None]]] = [
        ("projections verify", lambda: _failure(stage, "projections", "verify")),
        ("projections rebuild --all", lambda: _different(stage)),
        ("guards verify", lambda: _failure(stage, "guards", "verify")),
        ("ledger verify", lambda: _failure(stage, "ledger", "verify")),
        ("audit verify --live", lambda: _failure(stage, "audit", "verify", "--live")),
        ("audit export", lambda: _failure(stage, "audit", "export", str(export))),
        ("audit verify", lambda: _failure(stage, "audit", "verify", str(export))),
    ]
    for name, check in checks:
        if (problem := check()) is not None:
            yield f"{name}: {problem}"


def _failure(stage: Stage, *words: str) -> str | None:
    done = stage.attempt(*words)
    return None if done.returncode == 0 else (done.stdout + done.stderr)[-1500:]


def _different(stage: Stage) -> str | None:
    done = stage.attempt("projections", "rebuild", "--all")
    said = done.stdout + done.stderr
    return said[-1500:] if done.returncode or "DIFFERENT" in said else None
