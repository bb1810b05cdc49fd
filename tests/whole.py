"""A whole Chancery, as its operator starts it: `chancery up` on a directory of its own, and what may befall it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg

from infrastructure.embedded.children import Child, end, wait_until
from infrastructure.settings_sources import running_stack

ADMIN, PASSWORD = "admin@example.org", "correct horse battery staple"
START, END = 90.0, 60.0
"""Seconds a start and an end may take on two busy cores."""
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("CHANCERY_")}


class Patient(httpx.HTTPTransport):
    """Asks again where it is told to come back: a read that names a position waits for it, 2 s at a time."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        until = time.monotonic() + END
        while True:
            answer = super().handle_request(request)
            if answer.status_code != 503 or "retry-after" not in answer.headers or time.monotonic() > until:
                return answer
            answer.close()


@dataclass
class Chancery:
    """`url` is where it answers; `log` what it printed."""

    url: str
    data_dir: Path
    log: Path
    child: Child

    def client(self, *, patient: bool = False) -> httpx.Client:
        """Of somebody who has not signed in."""
        transport = Patient() if patient else None
        return httpx.Client(base_url=f"{self.url}/api/v1", timeout=30, transport=transport)

    @contextmanager
    def signed_in(self, *, patient: bool = False) -> Iterator[httpx.Client]:
        """A client of the administrator."""
        with self.client(patient=patient) as client:
            answer = client.post("/auth/login", json={"login": ADMIN, "password": PASSWORD})
            client.headers["Authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"
            yield client

    def run(self, *words: str) -> str:
        """Another `chancery` command, as typed in another terminal; what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", *words, "--data-dir", str(self.data_dir)],
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=END,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def pid(self, name: str) -> int:
        """Of serve, work, jobs, postgres, nats, redis or s3; 0 while it is not there."""
        note = self.data_dir / "run" / f"{name}.pid"
        try:
            return int(note.read_text().split()[0])
        except (FileNotFoundError, IndexError):
            return 0

    def http_workers(self) -> list[int]:
        """Pids of those that answer, which `serve` only watches."""
        children = Path(f"/proc/{self.pid('serve')}/task/{self.pid('serve')}/children")
        try:
            return [int(pid) for pid in children.read_text().split()]
        except FileNotFoundError:
            return []

    def kill(self, name: str, how: int = signal.SIGKILL) -> None:
        """Returns when another one has taken its place."""
        old = self.pid(name)
        end(old, how)
        assert wait_until(lambda: self.pid(name) not in (0, old), START)

    @contextmanager
    def frozen(self, *names: str) -> Iterator[None]:
        """They live, hold their connections, and answer nothing."""
        pids = [self.child.pid if name == "up" else self.pid(name) for name in names]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                end(pid, signal.SIGCONT)

    @contextmanager
    def superuser(self) -> Iterator[psycopg.Connection]:
        """In the database, as one who may do anything."""
        where = psycopg.conninfo.conninfo_to_dict(running_stack(self.data_dir)["database_url"])
        password = (self.data_dir / "secrets" / "postgres_password").read_text()
        with psycopg.connect(**{**where, "user": "postgres", "password": password}, autocommit=True) as admin:
            yield admin

    def ready(self) -> httpx.Response:
        return httpx.get(f"{self.url}/readyz", timeout=10)


@contextmanager
def up(folder: Path, **environment: str) -> Iterator[Chancery]:
    """Starts on `folder` (again on the same one: with the same data); yields when it is ready; must end with 0."""
    folder.mkdir(exist_ok=True)
    child, log, data_dir = Child("up", folder, log=folder / "up.log"), folder / "up.log", folder / "data"
    set_here = {
        "CHANCERY_PORT": "0",
        "CHANCERY_DATA_DIR": str(data_dir),
        "CHANCERY_ADMIN_EMAIL": ADMIN,
        "CHANCERY_ADMIN_PASSWORD": PASSWORD,
        "CHANCERY_CHECK_HOURS": "0",  # an event of its own, at midnight
    }
    child.start([sys.executable, "-m", "cli.main", "up"], ENVIRONMENT | set_here | environment)
    try:
        child.wait_ready(lambda: bool(running_stack(data_dir).get("url")), START)
        yield Chancery(running_stack(data_dir)["url"], data_dir, log, child)
    finally:
        status = child.stop(END)
    assert status == 0, log.read_text()[-3000:]


@contextmanager
def servers_only(folder: Path) -> Iterator[Chancery]:
    """`chancery up --servers-only`, and commands in another terminal."""
    folder.mkdir(exist_ok=True)
    child, log, data_dir = (
        Child("servers", folder, log=folder / "servers.log"),
        folder / "servers.log",
        folder / "data",
    )
    child.start(
        [sys.executable, "-m", "cli.main", "up", "--servers-only"],
        ENVIRONMENT | {"CHANCERY_DATA_DIR": str(data_dir)},
    )
    try:
        child.wait_ready(lambda: bool(running_stack(data_dir).get("database_url")), START)
        yield Chancery("", data_dir, log, child)
    finally:
        status = child.stop(END)
    assert status == 0, log.read_text()[-3000:]
