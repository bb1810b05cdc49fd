"""`chancery up` from outside: it starts whole, refuses a twin, outlives a kill, and ends clean."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from infrastructure.embedded.children import wait_until
from infrastructure.settings_sources import running_stack

CHANCERY = [sys.executable, "-m", "cli.main"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("CHANCERY_")}
PATIENCE = 90


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    place = Path(
        tempfile.mkdtemp(prefix="chancery-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    )
    place.chmod(0o711)
    yield place / "data"
    shutil.rmtree(place)


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match, text
    return match[1]


class Up:
    """A running `up`: what it printed, and what it said beside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out, self.err = (folder.parent / f"{name}-{time.monotonic_ns()}" for name in ("out", "err"))
        command = [*CHANCERY, "up", "--port", "0", "--data-dir", str(folder)]
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(command, env=ENVIRONMENT, stdout=out, stderr=err)
        wait_until(lambda: "Ctrl-C" in self.block or self.process.poll() is not None, PATIENCE)
        if "Ctrl-C" not in self.block:
            self.process.kill()
            self.process.wait()
            pytest.fail("up did not come up:\n" + self.said[-3000:])
        self.url = found(r"(http://127\.0\.0\.1:\d+)", self.block)

    @property
    def block(self) -> str:
        return self.out.read_text()

    @property
    def said(self) -> str:
        return self.err.read_text()

    @property
    def password(self) -> str:
        return found(r"Password\s+(\S+)", self.block)

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=10).status_code == 200
        except httpx.TransportError:
            return False

    def end(self, how: int) -> int:
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)


@contextmanager
def up(folder: Path) -> Generator[Up]:
    running = Up(folder)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.end(signal.SIGTERM)


def chancery(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [*CHANCERY, *words, "--data-dir", str(folder)]
    return subprocess.run(
        command, env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def living(folder: Path) -> list[str]:
    """Everything that has to do with the directory: servers by their arguments, our processes by their settings."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            said = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if os.fsencode(folder) in said and state != "Z" and int(process.name) != os.getpid():
            found.append((process / "cmdline").read_text(errors="replace") if process.exists() else "")
    return found


@contextmanager
def signed_in(running: Up) -> Generator[httpx.Client]:
    body = {"login": "admin@chancery.local", "password": running.password}
    with httpx.Client(base_url=f"{running.url}/api/v1", timeout=30) as client:
        answer = client.post("/auth/login", json=body).raise_for_status()
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield client


def refuses_a_twin(running: Up) -> None:
    twin = chancery(running.folder, "up", "--port", "0")
    assert twin.returncode == 1
    sentence = " ".join(twin.stderr.replace("│", " ").split())
    assert f"as process {running.process.pid}" in sentence
    assert running.url in sentence


def is_found_from_another_terminal(running: Up) -> None:
    doctor = chancery(running.folder, "doctor")
    assert doctor.returncode == 0, doctor.stdout
    shown = chancery(running.folder, "config", "show", "--json").stdout
    assert json.loads(shown)["database_url"]["source"] == "running stack"
    assert running.password not in shown + running.said


def test_up_is_alone_outlives_a_kill_with_its_data_and_ends_clean(folder: Path) -> None:
    with up(folder) as first:
        assert first.ready()
        refuses_a_twin(first)
        is_found_from_another_terminal(first)
        with signed_in(first) as admin:
            receipt = admin.post("/organisations", json={"full_name": "Still here"}).raise_for_status().json()
        first.end(signal.SIGKILL)
        with up(folder) as second:
            assert second.password == first.password
            with signed_in(second) as admin:
                newest = {"X-Min-Position": str(receipt["position"])}
                place = f"/organisations/{receipt['id']}"
                assert wait_until(lambda: admin.get(place, headers=newest).status_code == 200, 60)
                assert admin.get(place).json()["full_name"] == "Still here"
            assert second.end(signal.SIGINT) == 0
    assert living(folder) == []
    assert running_stack(folder) == {}


def test_a_start_that_is_stopped_halfway_leaves_nothing_running(folder: Path) -> None:
    place = folder.with_name("halfway")
    command = [*CHANCERY, "up", "--port", "0", "--data-dir", str(place)]
    with (folder.parent / "stopped").open("w+") as said:
        process = subprocess.Popen(command, env=ENVIRONMENT, stdout=said, stderr=said)
        assert wait_until((place / "postgres" / "data.part").exists, PATIENCE)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        said.seek(0)
        assert "Everything has ended." in said.read()
    assert living(place) == []
