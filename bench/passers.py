"""People who come and go beside a steady load: each round some of what callers do, right and wrong, few at a time."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import count

import httpx

from bench.http import token

PAUSE = 0.5
LISTENS = 2.0
"""Seconds that somebody listens before he leaves without a word."""
PAPER = b"%PDF-1.7\n" + bytes(64 << 10)
SPREADSHEET_EVERY = 60
"""Rounds between two exports: each is a job, and a file."""


class Passers(threading.Thread):
    """`rounds`, and what was answered, by what was done."""

    def __init__(self, base_url: str, login: str, password: str) -> None:
        super().__init__(name="passers", daemon=True)
        self._base_url, self._login, self._password = base_url, login, password
        self._over = threading.Event()
        self.rounds = 0
        self.answers: Counter[str] = Counter()

    def run(self) -> None:
        for number in count():
            if self._over.wait(PAUSE):
                return
            self.rounds = number
            with suppress(httpx.HTTPError), httpx.Client(base_url=self._base_url, timeout=30) as client:
                self._note("sign in", 200)
                client.headers["authorization"] = f"Bearer {token(client, self._login, self._password)}"
                for what, act in self._acts(client, number).items():
                    self._note(what, act().status_code)

    def stop(self) -> None:
        self._over.set()
        self.join(60)

    def _acts(self, client: httpx.Client, number: int) -> dict[str, Callable[[], httpx.Response]]:
        api = "/api/v1"
        acts: dict[str, Callable[[], httpx.Response]] = {
            "bad token": lambda: client.get(f"{api}/me", headers={"authorization": f"Bearer {number}.x.y"}),
            "no such record": lambda: client.get(f"{api}/organisations/{number:032x}"),
            "no such address": lambda: client.get(f"/nothing/{number}"),
            "bad body": lambda: client.post(f"{api}/organisations", json={"full_nam": number}),
            "search": lambda: client.get(f"{api}/search", params={"q": f"menuiserie {number}"}),
            "filter": lambda: client.get(
                f"{api}/organisations", params={"filter": f'full_name = "Number {number}"'}
            ),
            "upload": lambda: client.post(
                f"{api}/files", files={"file": (f"{number}.pdf", PAPER, "application/pdf")}
            ),
            "listen": lambda: _listen(client, f"{api}/me/stream", 0.0),
            "follow": lambda: _listen(client, f"{api}/events/stream", LISTENS),
            "figures": lambda: client.get("/metrics"),
            "sign out": lambda: client.post(f"{api}/auth/logout"),
        }
        if number % SPREADSHEET_EVERY == 0:
            body = {"list": "organisations", "format": "csv", "filter": f'full_name = "Number {number}"'}
            acts = {"export": lambda: client.post(f"{api}/exports", json=body), **acts}
        return acts

    def _note(self, what: str, status: int) -> None:
        self.answers[f"{what} {status}"] += 1


def _listen(client: httpx.Client, path: str, seconds: float) -> httpx.Response:
    with client.stream("GET", path) as answer:
        until = time.monotonic() + seconds
        for _ in answer.iter_raw():
            if time.monotonic() >= until:
                break
        return answer
