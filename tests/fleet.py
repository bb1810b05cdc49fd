"""Two API processes below a root path and two workers, on servers of others: each can be ended and started again."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import httpx
import psycopg

from infrastructure.embedded.children import Child, end, wait_until
from infrastructure.settings_sources import PREFIX
from projections.projection import discover
from tests.outside import CHANCERY, Outside, free_port, said
from tests.proxies import HOST
from tests.whole import ADMIN, PASSWORD

PATIENCE = 180.0
"""Seconds that anything may take on two busy cores."""
ROOT = "/chancery"
ROLES = frozenset({"relay", "signer", "tile copy", "keys", "reactor", "sweeper", *discover()})


class Fleet:
    def __init__(self, outside: Outside, redis_url: str) -> None:
        self.outside, self.ports = outside, [free_port(), free_port()]
        self.environment = outside.environment(redis_url) | {
            f"{PREFIX}PUBLIC_URL": f"https://{HOST}{ROOT}",
            f"{PREFIX}ROOT_PATH": ROOT,
            f"{PREFIX}TRUSTED_PROXIES": "127.0.0.1/32",
            f"{PREFIX}DRAIN_SECONDS": "300",  # a second signal ends it
            f"{PREFIX}CHECK_HOURS": "0",
            f"{PREFIX}HEALTH_DIR": str(outside.place / "health"),
            **{
                f"{PREFIX}{each}_SECONDS": "300" for each in ("COMMAND", "HEADER", "BODY")
            },  # of a busy machine
        }
        owner = {f"{PREFIX}DATABASE_OWNER_URL": outside.owner_url}
        command = [*CHANCERY, "migrate"]
        done = subprocess.run(
            command, env=self.environment | owner, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        self.api = [self._serve(port) for port in self.ports]
        self.workers = [outside.start(self.environment, "work") for _ in self.ports]
        assert wait_until(lambda: all(map(self.ready, self.ports)), PATIENCE), self.last_words()

    def _serve(self, port: int) -> Child:
        return self.outside.start(self.environment | {f"{PREFIX}PORT": str(port)}, "serve")

    def url(self, number: int) -> str:
        return f"http://127.0.0.1:{self.ports[number]}{ROOT}"

    def ready(self, port: int) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}{ROOT}/readyz", timeout=30).status_code == 200
        except httpx.TransportError:
            return False

    @contextmanager
    def signed_in(self, url: str = "", **how: object) -> Iterator[httpx.Client]:
        """The administrator, at the first of the two or at a proxy's address."""
        address = f"{url or self.url(0)}/api/v1"
        with httpx.Client(base_url=address, timeout=60, **how) as client:  # type: ignore[arg-type]
            answer = client.post("/auth/login", json={"login": ADMIN, "password": PASSWORD})
            client.headers["Authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"
            yield client

    def told_to_stop(self, number: int) -> httpx.Response:
        """What `/readyz` of that API process then says."""
        end(self.api[number].pid, signal.SIGTERM)
        assert wait_until(lambda: not self.ready(self.ports[number]), PATIENCE)
        return httpx.get(f"{self.url(number)}/readyz", timeout=30)

    def stopped(self, number: int) -> None:
        """Told a second time, it waits for no proxy."""
        end(self.api[number].pid, signal.SIGTERM)
        self.over(self.api[number])

    def over(self, child: Child) -> None:
        assert wait_until(child.died, PATIENCE), said(child)[-2000:]
        assert child.stop() == 0, said(child)[-2000:]

    def served_again(self, number: int) -> None:
        self.api[number] = self._serve(self.ports[number])
        assert wait_until(lambda: self.ready(self.ports[number]), PATIENCE), said(self.api[number])[-2000:]

    def worker_replaced(self, number: int) -> dict[str, float]:
        """Ends a worker and starts another; seconds until the one that stood by had taken each role that was free."""
        assert wait_until(self.stands_by, PATIENCE)
        other, worker = self.workers[1 - number], self.workers[number]
        held = roles(other).keys()
        asked = datetime.now().astimezone()
        end(worker.pid, signal.SIGTERM)
        assert wait_until(lambda: roles(other).keys() >= ROLES, PATIENCE), roles(other)
        self.over(worker)
        self.workers[number] = self.outside.start(self.environment, "work")
        taken = roles(other)
        return {name: (taken[name] - asked).total_seconds() for name in ROLES - held}

    def stands_by(self) -> bool:
        """Whether somebody asks for every role again and again."""
        names = [f"chancery {role}" for role in ROLES]
        query = (
            "select count(distinct name) from unnest(%s::text[]) as name join pg_stat_activity"
            " on starts_with(application_name, name || ' ') and query like 'select pg_try_advisory_lock%%'"
        )
        with psycopg.connect(self.outside.database_url) as app:
            return app.execute(query, (names,)).fetchone() == (len(names),)

    def hurried(self) -> None:
        """The API processes are told to end; told again, with all the others, they wait for nobody."""
        for child in self.api:
            end(child.pid, signal.SIGTERM)

    def last_words(self) -> list[str]:
        return [said(child)[-2000:] for child in self.outside.began]


def roles(worker: Child) -> dict[str, datetime]:
    """Which roles it took, and when it took the latest."""
    lines = [json.loads(line) for line in said(worker).splitlines() if line.startswith("{")]
    return {
        line["role"]: datetime.fromisoformat(line["timestamp"])
        for line in lines
        if line["event"] == "role.taken"
    }
