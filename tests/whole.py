"""A whole Chancery, as its operator starts it: `chancery up` on a directory of its own, met over HTTP only."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from infrastructure.embedded.children import Child, end, wait_until
from infrastructure.settings_sources import running_stack

ADMIN, PASSWORD = "admin@example.org", "correct horse battery staple"
START, END = 90.0, 60.0
"""Seconds a start and an end may take on two busy cores."""


@dataclass
class Chancery:
    """`url` is where it answers; `log` what it printed."""

    url: str
    data_dir: Path
    log: Path
    child: Child

    def client(self) -> httpx.Client:
        """Of somebody who has not signed in."""
        return httpx.Client(base_url=f"{self.url}/api/v1", timeout=30)

    @contextmanager
    def signed_in(self) -> Iterator[httpx.Client]:
        """A client of the administrator."""
        with self.client() as client:
            answer = client.post("/auth/login", json={"login": ADMIN, "password": PASSWORD})
            client.headers["Authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"
            yield client

    def pid(self, name: str) -> int:
        """Of `chancery <name>`: serve, work or jobs; 0 while it is not there."""
        note = self.data_dir / "run" / f"{name}.pid"
        try:
            return int(note.read_text().split()[0])
        except (FileNotFoundError, IndexError):
            return 0

    def kill(self, name: str) -> None:
        """kill -9 of one of its processes; returns when another one has taken its place."""
        old = self.pid(name)
        end(old, signal.SIGKILL)
        assert wait_until(lambda: self.pid(name) not in (0, old), START)


@contextmanager
def up(folder: Path, **environment: str) -> Iterator[Chancery]:
    """Starts on `folder` (again on the same one: with the same data); yields when it is ready."""
    folder.mkdir(exist_ok=True)
    child, log, data_dir = Child("up", folder, log=folder / "up.log"), folder / "up.log", folder / "data"
    set_here = {
        "CHANCERY_PORT": "0",
        "CHANCERY_DATA_DIR": str(data_dir),
        "CHANCERY_ADMIN_EMAIL": ADMIN,
        "CHANCERY_ADMIN_PASSWORD": PASSWORD,
    }
    ours = {name: value for name, value in os.environ.items() if not name.startswith("CHANCERY_")}
    child.start([sys.executable, "-m", "cli.main", "up"], ours | set_here | environment)
    try:
        child.wait_ready(lambda: bool(running_stack(data_dir).get("url")), START)
        yield Chancery(running_stack(data_dir)["url"], data_dir, log, child)
    finally:
        child.stop(END)
