"""Commands on their way to a fleet: one whose body is half sent, and many from callers who do not give up."""

import json
import socket
import threading
from itertools import count
from uuid import uuid4

import httpx

from infrastructure.embedded.children import wait_until
from tests.fleet import PATIENCE, Fleet
from tests.proxies import HOST

BREATH = 0.02
"""Seconds between two commands of one caller: it is not their number that matters."""


class HalfSent:
    """A command whose body is still on its way."""

    def __init__(self, fleet: Fleet, number: int, credential: str) -> None:
        self.body = json.dumps({"full_name": f"In flight {uuid4()}"}).encode()
        self.wire = socket.create_connection(("127.0.0.1", fleet.ports[number]), PATIENCE)
        lines = (
            "POST /chancery/api/v1/organisations HTTP/1.1",
            f"Host: {HOST}",
            f"Authorization: {credential}",
            "Content-Type: application/json",
            f"Content-Length: {len(self.body)}",
        )
        self.wire.sendall("\r\n".join([*lines, "", ""]).encode() + self.body[:9])

    def finished(self) -> bytes:
        """The whole answer, to its connection's end."""
        self.wire.sendall(self.body[9:])
        with self.wire, self.wire.makefile("rb") as said:
            return said.read()


class Traffic:
    """Callers who send commands, each with a key, to one API process or the other until it is acknowledged."""

    def __init__(self, fleet: Fleet, credential: str) -> None:
        self._fleet, self._credential = fleet, credential
        self._over = threading.Event()
        self.said: dict[str, set[int]] = {}
        self.strange: list[str] = []
        self._threads = [threading.Thread(target=self._call, args=(number,)) for number in range(2)]
        for thread in self._threads:
            thread.start()

    def _call(self, caller: int) -> None:
        with httpx.Client(timeout=PATIENCE) as client:
            for number in count():
                if self._over.wait(BREATH):
                    return
                self._send(client, f"Rolling {caller} {number} {uuid4()}", number)

    def _send(self, client: httpx.Client, name: str, first: int) -> None:
        headers = {"Authorization": self._credential, "Idempotency-Key": uuid4().hex}
        for attempt in count(first):
            url = f"{self._fleet.url(attempt % 2)}/api/v1/organisations"
            try:
                answer = client.post(url, headers=headers, json={"full_name": name})
            except httpx.TransportError:
                continue
            if answer.status_code == 201:
                self.said.setdefault(name, set()).add(answer.json()["position"])
                return
            if answer.status_code != 503 or "retry-after" not in answer.headers:
                self.strange.append(answer.text)
                return

    def goes_on(self) -> None:
        """Returns when more has been acknowledged than was."""
        before = len(self.said)
        assert wait_until(lambda: len(self.said) > before, PATIENCE)

    def end(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
