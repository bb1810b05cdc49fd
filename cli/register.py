"""The demo's register: companies are imported by a worker that is killed midway, and none of them is there twice."""

import signal
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg

from cli.running import Stack
from cli.story import Story
from infrastructure.embedded.children import end
from infrastructure.settings_sources import running_stack

FRENCH = Path(__file__).parent.parent / "data" / "french_companies.csv"
SLOWLY = 60.0
"""Seconds a new worker may take to come up and go on."""


def register(story: Story) -> dict[str, str]:
    """The organisations' ids by their names."""
    story.step("The 100 rows of the French register are imported, and the worker that writes them is killed")
    path, seen = _preview(story)
    told = f"{seen['format']}, {seen['encoding']}, {len(seen['columns'])} columns known by their names"
    story.shows(f"{seen['name']}: {told}")
    planned = seen["counts"]["added"]
    story.holds(
        story.read("/organisations")["data"] == [], f"the preview: {_counts(seen)}; nothing is written"
    )
    began = _killed_midway(story, path)
    done = story.soon(lambda: _left(story, path, "applying"), "another worker ends it", within=SLOWLY)
    story.holds(done["state"] == "applied", f"another worker goes on with it: {_counts(done)}")
    added = Counter(each["stream_id"] for each in _added(story, began))
    listed = story.read("/organisations", page_size=100, include_total="true")
    numbers = {(row["identifiers"]["siren"], row["identifiers"]["nic"]) for row in listed["data"]}
    story.holds(
        listed["total"] == len(numbers) == added.total() == len(added) == planned,
        f"{planned} organisations registered, as many establishments as the file names, none of them twice",
    )
    again, seen = _preview(story)
    story.holds(seen["counts"]["unchanged"] == 100, f"the same file once more, its preview: {_counts(seen)}")
    story.call("POST", f"{again}/cancel", 200)
    return {row["full_name"]: row["id"] for row in listed["data"]}


def _preview(story: Story) -> tuple[str, dict[str, Any]]:
    """The path of an import that has been read, and what it shows."""
    with FRENCH.open("rb") as content:
        parts = {"file": (FRENCH.name, content, "text/csv")}
        sent = story.call(
            "POST", "/imports", 202, data={"kind": "organisations", "mode": "both"}, files=parts
        )
    path = f"/imports/{sent.json()['id']}"
    seen = story.soon(lambda: _left(story, path, "reading"), "the file has been read")
    story.holds(seen["state"] == "previewed", f"read by a job, as {path}")
    return path, seen


def _killed_midway(story: Story, path: str) -> int:
    """Where the log was when it began."""
    key = {"Idempotency-Key": path}
    began: int = story.call("POST", f"{path}/apply", 202, headers=key).json()["position"]
    worker = _worker(story.stack)
    written = story.soon(lambda: _stopped_after_some(story, worker, began), "the first rows are written")
    seen = story.read(path)
    story.holds(
        seen["state"] == "applying",
        f"its worker is killed (SIGKILL, {worker}): {len(written)} are written, the import is {seen['state']} still",
    )
    end(worker, signal.SIGKILL)
    with psycopg.connect(running_stack(story.stack.data_dir)["database_url"]) as database:
        database.execute(
            "update operations set leased_until = clock_timestamp(), offered_at = null"
            " where kind = 'import.apply' and state = 'running'"
        )
    story.shows("its lease would run out within a minute: nobody waits for that here, it is ended")
    return began


def _stopped_after_some(story: Story, worker: int, began: int) -> list[dict[str, Any]] | None:
    """What it has written; None, and it goes on, when that is nothing yet. It stands still while one looks."""
    end(worker, signal.SIGSTOP)
    written = _added(story, began)
    if not written:
        end(worker, signal.SIGCONT)
    return written or None


def _worker(stack: Stack) -> int:
    """The process that does jobs, by the note of its supervisor."""
    return int((stack.data_dir / "run" / "jobs.pid").read_text().split()[0])


def _left(story: Story, path: str, state: str) -> dict[str, Any] | None:
    """What the import says, once it has left this state."""
    seen: dict[str, Any] = story.read(path)
    return None if seen["state"] == state else seen


def _added(story: Story, after: int) -> list[dict[str, Any]]:
    """The events by which organisations came in."""
    page = story.call("GET", "/events", 200, params={"after": after, "limit": 1000}).json()["data"]
    return [each for each in page if each["topic"] == "organisation.added.v1"]


def _counts(seen: dict[str, Any]) -> str:
    return ", ".join(f"{count} {what}" for what, count in seen["counts"].items())
