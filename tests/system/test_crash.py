"""kill -9 of one process after another while orders come in: nothing answered is lost, and nothing is there twice."""

import itertools
import os
import subprocess
import sys
import threading
from uuid import uuid4

import httpx
import pytest

from infrastructure.embedded.children import wait_until
from tests import servers, whole

UNANSWERED = (httpx.TransportError, httpx.HTTPStatusError)
PATIENCE = 60
CHECKS = [("projections", "verify"), ("guards", "verify"), ("audit", "verify", "--live")]


@pytest.fixture(scope="module")
def chancery():
    with whole.up(servers.place("crash")) as running:
        yield running


class Orders:
    """A caller who asks for one organisation after another, each until it is answered, always under the same key."""

    def __init__(self, client: httpx.Client) -> None:
        self.client, self.ids, self.asked_again = client, [], 0
        self.position = 0
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._enough.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def _ask(self) -> None:
        for number in itertools.count():
            key = {"Idempotency-Key": uuid4().hex}
            while not self._answered({"full_name": f"Society {number}"}, key):
                self.asked_again += 1
            if self._enough.is_set():
                return

    def _answered(self, body, headers) -> bool:
        try:
            answer = self.client.post("/organisations", json=body, headers=headers).raise_for_status().json()
        except UNANSWERED:
            return False
        self.ids.append(answer["id"])
        self.position = answer["position"]
        return True

    def go_on(self, more: int = 20) -> None:
        wanted = len(self.ids) + more
        assert wait_until(lambda: len(self.ids) >= wanted, PATIENCE)


def run(chancery, *words) -> str:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("CHANCERY_")}
    command = [sys.executable, "-m", "cli.main", *words, "--data-dir", str(chancery.data_dir)]
    done = subprocess.run(command, env=ours, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def shown(client, position) -> list:
    """Every organisation as the list shows it, once the read model has come as far as `position`."""
    found, more = [], {}
    while more is not None:
        asked = {"page_size": 100, **more}
        answer = client.get("/organisations", params=asked, headers={"X-Min-Position": str(position)})
        page = answer.raise_for_status().json()
        found += page["data"]
        more = {"page_token": page["next_page_token"]} if page["has_more"] else None
    return found


def arrived(client, position) -> bool:
    try:
        return bool(shown(client, position))
    except UNANSWERED:
        return False


def test_a_chancery_killed_piece_by_piece_loses_nothing_and_doubles_nothing(chancery):
    with chancery.signed_in() as client:
        with Orders(client) as orders:
            orders.go_on()
            for name in ("work", "serve", "jobs", "serve", "work"):
                chancery.kill(name)
                orders.go_on()
        assert orders.asked_again > 0, "somebody must have been cut off"
        assert wait_until(lambda: arrived(client, orders.position), PATIENCE)
        before = shown(client, orders.position)
        assert sorted(each["id"] for each in before) == sorted(orders.ids)

        for check in CHECKS:
            run(chancery, *check)
        run(chancery, "projections", "rebuild", "--all")
        assert shown(client, orders.position) == before, "built again from the events, it is the same"
