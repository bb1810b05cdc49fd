"""A whole Chancery of one's own for as long as a block lasts: `chancery up` in an empty folder, over real HTTP."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
from msgspec import Struct

READY_WITHIN = 120.0
"""Seconds a fresh stack may take on a slow machine."""


class Stack(Struct, frozen=True, kw_only=True):
    """A running one. `environ` is what another `chancery` command needs to find it."""

    url: str
    admin_email: str
    admin_password: str
    environ: Mapping[str, str]
    process: subprocess.Popen[bytes]

    def wait(self) -> None:
        """Until it ends, or Ctrl-C."""
        try:
            self.process.wait()
        except KeyboardInterrupt:
            return


class NotReady(Exception):
    """The stack did not come up; its log is part of the message."""


@contextmanager
def running_stack(**settings: str) -> Iterator[Stack]:
    """Starts it on a free loopback port; ends it, and its folder, at the end. Raises NotReady."""
    with tempfile.TemporaryDirectory(prefix="chancery-") as folder:
        Path(folder).chmod(0o711)  # as root, PostgreSQL runs as somebody else
        port = _free_port()
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CHANCERY_")},
            "CHANCERY_DATA_DIR": str(Path(folder) / "data"),
            "CHANCERY_PORT": str(port),
            "CHANCERY_ADMIN_PASSWORD": secrets.token_urlsafe(16),
            **{f"CHANCERY_{name.upper()}": value for name, value in settings.items()},
        }
        with (Path(folder) / "up.log").open("w+b") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "cli.main", "up"],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                url = f"http://127.0.0.1:{port}"
                _wait_until_ready(process, url, Path(log.name))
                yield Stack(
                    url=url,
                    admin_email=environ.get("CHANCERY_ADMIN_EMAIL", "admin@chancery.local"),
                    admin_password=environ["CHANCERY_ADMIN_PASSWORD"],
                    environ=environ,
                    process=process,
                )
            finally:
                _end(process)


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise NotReady(log.read_text(errors="replace")[-4000:])
        try:
            if httpx.get(f"{url}/readyz", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise NotReady(log.read_text(errors="replace")[-4000:])


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
