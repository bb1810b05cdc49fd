"""Who asks: clerks that send commands with keys, again and again until there is an answer, and keep their own books."""

import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Self

import httpx
import msgspec
from msgspec import Struct

from infrastructure.embedded.children import wait_until
from tests.rig.stage import Process
from tests.whole import ADMIN, PASSWORD

CLERKS = 6
PATIENCE = 180.0
AGAIN = 0.1
"""Seconds before a command that was not answered is sent again."""


class Intent(Struct, frozen=True, kw_only=True):
    """One thing somebody wants done once. `key` is its idempotency key and its request id."""

    key: str
    what: str
    path: str
    body: dict[str, Any] = {}
    method: str = "POST"
    file: bytes | None = None


class Answered(Struct, frozen=True, kw_only=True):
    intent: Intent
    status: int
    said: dict[str, Any]

    @property
    def position(self) -> int:
        position: int = self.said.get("position", 0)
        return position


class Ledger:
    """What was asked and what was answered, on disk before anything is done about it; kept outside of the system."""

    def __init__(self, path: Path, statuses: Counter[object] | None = None) -> None:
        self._file = path.open("ab")
        self._lock = threading.Lock()
        self.asked: dict[str, Intent] = {}
        self.answered: dict[str, Answered] = {}
        self.statuses: Counter[object] = Counter() if statuses is None else statuses
        self.strange: list[str] = []

    def asks(self, intent: Intent) -> None:
        with self._lock:
            self.asked[intent.key] = intent
            self._note({"asked": intent.key, "what": intent.what, "path": intent.path})

    def hears(self, intent: Intent, status: int, said: dict[str, Any]) -> None:
        with self._lock:
            self.answered[intent.key] = Answered(intent=intent, status=status, said=said)
            self._note({"answered": intent.key, "status": status, "position": said.get("position")})

    def counts(self, status: object) -> None:
        with self._lock:
            self.statuses[status] += 1

    def wonders(self, sentence: str) -> None:
        """Something was said that nobody should have heard."""
        with self._lock:
            self.strange.append(sentence)
            self._note({"strange": sentence})

    def _note(self, line: dict[str, Any]) -> None:
        self._file.write(msgspec.json.encode(line) + b"\n")
        self._file.flush()
        os.fdatasync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


class Office:
    """The way in that all clerks share: two servers, one administrator, whose token is fetched anew when it must be."""

    def __init__(self, apis: list[Process], ledger: Ledger) -> None:
        self.urls = [f"http://127.0.0.1:{api.port}/api/v1" for api in apis]
        self.ledger = ledger
        self.enough, self.lost, self.over = threading.Event(), threading.Event(), threading.Event()
        self._token, self._signing_in = "", threading.Lock()

    def token(self, client: httpx.Client, stale: str | None = None) -> str:
        """The one that all have, or another when that is the stale one."""
        with self._signing_in:
            while self._token in ("", stale) and not self.lost.is_set():
                for url in self.urls:
                    try:
                        login = {"login": ADMIN, "password": PASSWORD}
                        answer = client.post(f"{url}/auth/login", json=login)
                    except httpx.TransportError:
                        continue
                    if answer.status_code == 200:
                        self._token = answer.json()["access_token"]
                        break
                else:
                    self.enough.wait(AGAIN)
                    self.lost.wait(AGAIN)
            return self._token


Choose = Callable[["Clerk"], Intent | None]


class Clerk:
    """One thread. What it made itself is what it goes on with, so that nobody else changes it in between."""

    def __init__(self, number: int, seed: int, office: Office, choices: list[Choose]) -> None:
        self.dice = Random(f"{seed}-{number}")
        self.number, self.office, self.ledger = number, office, office.ledger
        self.made: dict[str, list[dict[str, Any]]] = {}
        self._choices = choices
        self.last: Intent | None = None
        self.heard: object = None
        self.keys = (f"{seed}-{number}-{count}" for count in range(1, 1_000_000))
        self.thread = threading.Thread(target=self._run, daemon=True)

    def one_of(self, what: str) -> dict[str, Any] | None:
        """Something this clerk has made, a later one rather than an early one."""
        known = self.made.get(what, [])
        return self.dice.choice(known[-20:]) if known else None

    def _run(self) -> None:
        with httpx.Client(timeout=12) as client:
            while not self.office.enough.is_set():
                intent = self.dice.choice(self._choices)(self)
                if intent is not None:
                    self.last = intent
                    self.ledger.asks(intent)
                    self._insist(client, intent, hasty=self.dice.random() < 0.05)

    def _insist(self, client: httpx.Client, intent: Intent, *, hasty: bool) -> None:
        """Until it is answered, with the same key; who is hasty gives up when he hears nothing."""
        token = self.office.token(client)
        while not self.office.lost.is_set():
            url = self.dice.choice(self.office.urls)
            try:
                answer = self._send(client, url, intent, token)
            except httpx.TransportError as error:
                self.heard = f"{type(error).__name__} {error}"
                self.ledger.counts(type(error).__name__)
                if hasty:
                    return
                self.office.lost.wait(AGAIN)
                continue
            self.heard = f"{answer.status_code} {answer.text[:200]}"
            self.ledger.counts(answer.status_code)
            if answer.status_code in (200, 201, 202):
                said = answer.json()
                self.ledger.hears(intent, answer.status_code, said)
                self.made.setdefault(intent.what, []).append({"key": intent.key, **said})
                self._look(client, intent, said, token)
                return
            if answer.status_code == 401:
                token = self.office.token(client, token)
            elif answer.status_code not in (429, 503) or "retry-after" not in answer.headers:
                self.ledger.wonders(
                    f"{intent.key} {intent.method} {intent.path}: {answer.status_code} {answer.text[:300]}"
                )
                return
            self.office.lost.wait(AGAIN)

    def _send(self, client: httpx.Client, url: str, intent: Intent, token: str) -> httpx.Response:
        headers = {
            "Authorization": f"Bearer {token}",
            "Idempotency-Key": intent.key,
            "X-Request-Id": intent.key,
        }
        if intent.file is None:
            return client.request(intent.method, url + intent.path, json=intent.body, headers=headers)
        parts = {"file": (f"{intent.key}.txt", intent.file, "text/plain")}
        return client.post(url + intent.path, files=parts, data=intent.body, headers=headers)

    def _look(self, client: httpx.Client, intent: Intent, said: dict[str, Any], token: str) -> None:
        """Now and then, on whichever server: who names the position that he was told sees what he wrote."""
        if intent.what not in ("organisation", "renamed") or self.dice.random() > 0.3:
            return
        headers = {"Authorization": f"Bearer {token}", "X-Min-Position": str(said["position"])}
        try:
            answer = client.get(
                f"{self.dice.choice(self.office.urls)}/organisations/{said['id']}", headers=headers
            )
        except httpx.TransportError as error:
            self.ledger.counts(f"look: {type(error).__name__}")
            return
        self.ledger.counts(f"look: {answer.status_code}")
        if answer.status_code == 200 and answer.json()["version"] < said["version"]:
            self.ledger.wonders(
                f"{intent.key}: a read at {said['position']} shows version {answer.json()['version']}"
            )
        elif answer.status_code not in (200, 401, 429, 503):
            self.ledger.wonders(f"{intent.key}: a read answers {answer.status_code} {answer.text[:300]}")


class Clerks:
    """All of them at work for as long as the block lasts, and their last commands answered at its end."""

    def __init__(self, office: Office, seed: int, choices: list[Choose]) -> None:
        self.office = office
        self.all = [Clerk(number, seed, office, choices) for number in range(CLERKS)]

    def __enter__(self) -> Self:
        for clerk in self.all:
            clerk.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.office.enough.set()
        wait_until(lambda: not any(clerk.thread.is_alive() for clerk in self.all), PATIENCE)
        for clerk in self.all:
            if clerk.thread.is_alive() and clerk.last is not None:
                self.office.ledger.wonders(
                    f"I9: nobody answers {clerk.last.key} {clerk.last.path}: {clerk.heard}"
                )
        self.office.lost.set()
        for clerk in self.all:
            clerk.thread.join(15)

    def goes_on(self, more: int = 1) -> bool:
        """Whether so many more were answered in time."""
        wanted = len(self.office.ledger.answered) + more
        return wait_until(lambda: len(self.office.ledger.answered) >= wanted, PATIENCE)
