"""The data directory: who holds it, its secrets, a short place for sockets."""

import contextlib
import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import IO

from infrastructure.embedded.children import wait_until
from infrastructure.settings_sources import running_stack

_SOCKET_PATH = 100
"""Longest path of a Unix socket that is safe everywhere (sun_path holds 108 bytes on Linux, 104 on macOS)."""


class Busy(Exception):
    """Another `up` holds the data directory."""


class Folder:
    """One data directory. `run` is made anew at each start, the rest stays."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.run = self.path / "run"
        self.logs = self.path / "log"
        self._secrets = self.path / "secrets"

    @property
    def reachable(self) -> bool:
        """Whether an unprivileged user, whom root must run PostgreSQL as, can get here."""
        return os.geteuid() != 0 or all(parent.stat().st_mode & 0o001 for parent in self.path.parents)

    @contextlib.contextmanager
    def held(self) -> Generator[None]:
        """Hold the directory alone; two servers on the same files would lose data. Raises Busy."""
        self.path.mkdir(parents=True, exist_ok=True)
        for private in (self.run, self.logs, self._secrets):
            private.mkdir(mode=0o700, exist_ok=True)
        with (self.path / "lock").open("a+") as lock:
            if not wait_until(
                lambda: _locked(lock), 0.3
            ):  # those who ask whether a stack runs hold it for a blink
                lock.seek(0)
                raise Busy(self._busy(lock.read().strip()))
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    def _busy(self, pid: str) -> str:
        url = running_stack(self.path).get("url")
        where = f"It serves {url}." if url else "It is still starting."
        return f"Chancery runs on {self.path} already, as process {pid or 'unknown'}. {where}"

    def secret(self, name: str, make: Callable[[], str] = lambda: secrets.token_urlsafe(24)) -> str:
        """The secret of this name, made at the first call; a file only we can read."""
        file = self._secrets / name
        if not file.exists():
            write_private(file, make())
        return file.read_text()

    def has_secret(self, name: str) -> bool:
        return (self._secrets / name).exists()

    def make_private(self, name: str) -> Path:
        path = self.path / name
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def sockets(self) -> Path:
        """An empty directory for sockets: in `run`, or a temporary one when that is too deep or out of reach."""
        self.remove_sockets()
        link = self.run / "sockets"
        if self.reachable and len(os.fsencode(link)) + len("/postgres/.s.PGSQL.5432") <= _SOCKET_PATH:
            link.mkdir(mode=0o700)
            return link
        short = Path(tempfile.mkdtemp(prefix="chancery-"))
        link.symlink_to(short)
        return short

    def remove_sockets(self) -> None:
        link = self.run / "sockets"
        shutil.rmtree(link.resolve(), ignore_errors=True)
        if link.is_symlink():
            link.unlink()


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_private(file: Path, text: str) -> None:
    """Write a file that only we can read, whole or not at all, on disk when this returns."""
    part = file.with_name(file.name + ".part")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:  # noqa: PTH123
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    part.replace(file)
