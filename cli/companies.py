"""The demo's companies: refused, changed, listed, and changed by many at once."""

import secrets
import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import httpx

from cli.story import API, Story

CLERKS, CHANGES, READS = 10, 40, 400
"""Callers at once in the busy step, commands of each, and reads of all together."""


def refuse(story: Story, ids: Mapping[str, str]) -> None:
    story.step("What must not happen does not")
    answer = story.call("POST", "/organisations", 400, json={"full_nam": "?", "is_gov": "yes"}).json()
    story.shows(f"a body with three mistakes: 400 naming {', '.join(e['pointer'] for e in answer['errors'])}")
    twin = {"full_name": "?", "identifiers": {"siren": "356000000", "nic": "00048"}}
    answer = story.call("POST", "/organisations", 409, json=twin).json()
    story.holds(
        answer["candidates"][0]["id"] == ids["LA POSTE"],
        f"another with the SIREN and NIC of one that is there: 409 {answer['code']}, with the one it repeats",
    )
    with httpx.Client(base_url=story.stack.url) as stranger:
        refused = stranger.get(f"{API}/organisations")
        story.holds(refused.status_code == 401, f"a stranger: 401 {refused.json()['code']}")
    key = {"Idempotency-Key": secrets.token_hex(8)}
    path, body = f"/organisations/{ids['ORANGE']}", {"short_name": "Orange"}
    once = story.call("PATCH", path, 200, json=body, headers=key)
    twice = story.call("PATCH", path, 200, json=body, headers=key)
    story.holds(
        once.content == twice.content and twice.headers.get("idempotent-replayed") == "true",
        f"one command sent twice under one Idempotency-Key: done once, as version {once.json()['version']},"
        " and answered alike",
    )


def change(story: Story, ids: Mapping[str, str]) -> str:
    story.step("One of them changes, and nothing is overwritten")
    ref = ids["LA POSTE"]
    path, newest = f"/organisations/{ref}", {"X-Min-Position": str(story.position)}
    seen = {"If-Match": story.call("GET", path, 200, headers=newest).headers["etag"]}
    story.call("PATCH", path, 200, json={"short_name": "La Poste"}, headers=seen)
    late = story.call("PATCH", path, 412, json={"short_name": "?"}, headers=seen)
    story.shows(f"a second editor who saw the old version: 412, current is v{late.json()['current']}")
    same = story.call("PATCH", path, 200, json={"short_name": "La Poste"}).json()
    story.shows(f"the same change again appends nothing: still version {same['version']}")
    for entry in story.read(f"{path}/history")["data"]:
        told = [f"{c['field']}: {_quoted(c['from'])} → {_quoted(c['to'])}" for c in entry["changes"]]
        picked = [each for each in told if each.startswith(("full_name", "short_name"))]
        story.shows(f"history: v{entry['version']} {entry['topic']}, {', '.join(picked)}")
    before = story.read(path, as_of="v1")
    story.holds(before["short_name"] is None, "as of v1 it still has no short name")
    return ref


def _quoted(value: object) -> str:
    return "nothing" if value is None else f'"{value}"'


def lists(story: Story) -> None:
    story.step("Lists are filtered as people type")
    for text in (
        'region=11 AND name:"france"',
        "activity_code=70.10Z ou activity_code=64.19Z",
        "started_on<01-01-2010",
        "NOT (headcount_band=53)",
    ):
        wanted = {"filter": text, "include_total": "true", "page_size": 3, "order_by": "full_name"}
        found = story.read("/organisations", **wanted)
        names = [row["full_name"] for row in found["data"]] + ["…"] * found["has_more"]
        story.holds(found["total"] > 0, f"{text}  →  {found['total']}: {', '.join(names)}")
    mixed = {"filter": "region=11 AND is_gov=false OR is_gov=true"}
    refused = story.call("GET", "/organisations", 400, params=mixed).json()
    story.shows(f"AND and OR mixed without parentheses: 400 {refused['code']}")


def be_busy(story: Story, ids: Mapping[str, str]) -> None:
    story.step(f"{CLERKS} clerks make {CHANGES} changes each at once; read models and audit log follow")
    before, refs = story.position, list(ids.values())
    with ThreadPoolExecutor(CLERKS) as clerks:
        started = time.perf_counter()
        given = [at for each in clerks.map(lambda ref: _keep_changing(story, ref), refs) for at in each]
        seconds = time.perf_counter() - started
        story.figure(f"commands, {CLERKS} callers in one process", f"{len(given) / seconds:,.0f}/s")
        paths = [f"/organisations/{ref}" for ref in refs] * (READS // len(refs))
        seconds = _timed(lambda: list(clerks.map(lambda path: story.call("GET", path, 200), paths)))
        story.figure(f"reads, {CLERKS} callers in one process", f"{len(paths) / seconds:,.0f}/s")
    story.holds(
        len(set(given)) == CLERKS * CHANGES and min(given) > before,
        f"{len(given)} receipts, each with a position of its own, from {min(given)} to {max(given)}",
    )
    behind = [_readable_after(story, ref) for ref in refs * 2]
    story.figure("from the receipt to the read model", f"{statistics.median(behind) * 1000:,.1f} ms (median)")
    entry = story.read(f"/audit/entries/{story.position}")
    story.shows(f"the audit log is at {entry['position']}: {entry['topic']} at {entry['recorded_at']}")
    story.shows(f"by {entry['actor']['kind']} {entry['actor']['id']}, allowed by {entry['allowed_by']}")


def _keep_changing(story: Story, ref: str) -> list[int]:
    """The positions of the changes."""
    change = [{"headcount_band": str(number % 2)} for number in range(CHANGES)]
    return [
        story.call("PATCH", f"/organisations/{ref}", 200, json=each).json()["position"] for each in change
    ]


def _readable_after(story: Story, ref: str) -> float:
    """Seconds from the receipt of a change to the answer of a read that has it, less those of a read."""
    path = f"/organisations/{ref}"
    story.call("PATCH", path, 200, json={"headcount_band": secrets.token_hex(1)})
    following = _timed(lambda: story.read(path))
    return max(0.0, following - _timed(lambda: story.read(path)))


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
