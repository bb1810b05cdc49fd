"""Who reads meanwhile, through both servers by turns, and remembers the furthest he has seen of everything (I3).

The log never steps back. A read model does when PostgreSQL crashes: its newest batches are not synced, and are applied
again. Until then a record that was seen is seen, in the version it had or a later one.
"""

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import httpx

from tests.rig.driver import AGAIN, Office
from tests.rig.stage import Stage

LISTS = ("organisations", "contracts", "users", "letters")
SLOWLY = 0.4
"""Seconds for which a slow reader leaves what was sent to him where it is."""
CHECKPOINT = "/audit/checkpoint"
CHECKPOINTS = 50


class Readers:
    """`checkpoints`: some of those that were signed in the course of time, each as it was given out."""

    def __init__(self, stage: Stage, office: Office, seed: int) -> None:
        self._stage, self.office, self.dice = stage, office, Random(f"readers-{seed}")
        self.checkpoints: deque[str] = deque(maxlen=CHECKPOINTS)
        self.read = 0
        work: list[Callable[[httpx.Client], None]] = [
            _Feed(self).page,
            _Models(self).look,
            *(_Stream(self, url).follow for url in office.urls),
            self._keep_checkpoint,
        ]
        self._threads = [threading.Thread(target=self._again, args=[each], daemon=True) for each in work]

    @contextmanager
    def reading(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self.office.over.set()
            for thread in self._threads:
                thread.join(20)

    def wrong(self, sentence: str) -> None:
        self.office.ledger.wonders(f"I3: {sentence}")

    @property
    def over(self) -> bool:
        return self.office.over.is_set()

    @property
    def crashes(self) -> int:
        return self._stage.crashes

    def pause(self, most: float) -> None:
        self.office.over.wait(self.dice.uniform(0, most))

    def get(self, client: httpx.Client, path: str, **headers: str) -> httpx.Response | None:
        """Asks one of the servers once; None when it has no answer."""
        token = self.office.token(client)
        try:
            answer = client.get(
                self.dice.choice(self.office.urls) + path,
                headers={"Authorization": f"Bearer {token}", **headers},
            )
        except httpx.TransportError:
            return None
        return self.understood(client, answer, token)

    def understood(self, client: httpx.Client, answer: httpx.Response, token: str) -> httpx.Response | None:
        if answer.status_code == 401:
            self.office.token(client, token)
        elif (
            answer.status_code == 404
            and answer.request.url.path.endswith(CHECKPOINT)
            and not self.checkpoints
        ):
            return None  # none is signed yet
        elif answer.status_code not in (200, 429, 503):
            self.wrong(f"{answer.request.url} answers {answer.status_code}")
        return answer if answer.status_code == 200 else None

    def _again(self, work: Callable[[httpx.Client], None]) -> None:
        with httpx.Client(timeout=12) as client:
            while not self.over:
                work(client)
                self.read += 1
                self.office.over.wait(AGAIN)

    def _keep_checkpoint(self, client: httpx.Client) -> None:
        if (answer := self.get(client, CHECKPOINT)) is not None:
            self.checkpoints.append(answer.text)
        self.pause(3)


class _Feed:
    """Pages of the feed: each goes on where the last one ended, and what was there once is there again."""

    def __init__(self, readers: Readers) -> None:
        self._readers, self._after = readers, 0
        self._known: dict[int, str] = {}

    def page(self, client: httpx.Client) -> None:
        after = max(0, self._after - self._readers.dice.choice((0, 0, 0, 5, 50)))
        if (answer := self._readers.get(client, f"/events?after={after}&limit=200")) is None:
            return
        events = answer.json()["data"]
        for expected, event in enumerate(events, after + 1):
            if event["position"] != expected:
                self._readers.wrong(f"the feed has {event['position']} where {expected} should come")
            if self._known.setdefault(expected, event["event_id"]) != event["event_id"]:
                self._readers.wrong(f"the feed has another event at {expected} than before")
        if (ends := after + len(events)) < self._after and len(events) < 200:
            self._readers.wrong(f"the feed ends at {ends} and went to {self._after} before")
        self._after = max(self._after, ends)


class _Stream:
    """The event stream of one server: cut off, it goes on after the last that came. Now and then it is read slowly."""

    def __init__(self, readers: Readers, url: str) -> None:
        self._readers, self._url, self._last = readers, url, 0

    def follow(self, client: httpx.Client) -> None:
        readers = self._readers
        token = readers.office.token(client)
        headers = {"Authorization": f"Bearer {token}", "Last-Event-ID": str(self._last)}
        try:
            with client.stream("GET", f"{self._url}/events/stream", headers=headers) as answer:
                if readers.understood(client, answer, token) is None:
                    return
                for line in answer.iter_lines():
                    self._takes(line)
                    if readers.over:
                        return
        except httpx.TransportError:
            return

    def _takes(self, line: str) -> None:
        name, _, value = line.partition(": ")
        if name != "data":
            return
        position = json.loads(value)["position"]
        if position != self._last + 1:
            self._readers.wrong(f"the stream has {position} after {self._last}")
        self._last = position
        if position % 100 == 0:
            self._readers.pause(SLOWLY)


class _Models:
    """Lists of several read models. `_seen` is empty again after a crash of PostgreSQL."""

    def __init__(self, readers: Readers) -> None:
        self._readers, self._crashes = readers, readers.crashes
        self._seen: dict[str, int] = {}
        self._named: dict[str, int] = {}

    def look(self, client: httpx.Client) -> None:
        name, before = self._readers.dice.choice(LISTS), self._readers.crashes
        if before != self._crashes:
            self._crashes = before
            self._seen.clear()
            self._named.clear()
        names_it = name in self._named and self._readers.dice.random() < 0.3
        named = {"X-Min-Position": str(self._named[name])} if names_it else {}
        answer = self._readers.get(client, f"/{name}?page_size=100", **named)
        if answer is None or self._readers.crashes != before:
            return
        at = int(answer.headers["X-Projection-Position"])
        if named and at < self._named[name]:
            self._readers.wrong(f"{name} is at {at}, asked for {self._named[name]}")
        self._named[name] = max(at, self._named.get(name, 0))
        for record in answer.json()["data"]:
            self._remembers(name, record)

    def _remembers(self, name: str, record: dict[str, Any]) -> None:
        seen = self._seen.get(record["id"], 0)
        if record["version"] < seen:
            self._readers.wrong(f"{name} {record['id']} has version {record['version']}, and had {seen}")
        self._seen[record["id"]] = max(seen, record["version"])
