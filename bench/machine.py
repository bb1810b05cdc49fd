"""Where it was measured: a PostgreSQL of our own on a disk, what the machine is, and how much of it others took."""

import contextlib
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import psycopg

from infrastructure.embedded.folder import Folder
from infrastructure.embedded.postgres import APP, DATABASE, OWNER, Postgres
from infrastructure.migrations import migrate

_TICKS = os.sysconf("SC_CLK_TCK")


class Database(NamedTuple):
    """One database as the server's admin, its owner and the application reach it."""

    admin: str
    owner: str
    app: str


class Server:
    """The embedded stack's PostgreSQL with its durable settings: what the contenders share."""

    def __init__(self, server: Postgres, place: Path) -> None:
        self._server, self.place = server, place

    def database(self, name: str, *, migrated: bool = True) -> Database:
        """A new database, with Chancery's schema or empty."""
        with psycopg.connect(self._server.url("postgres"), autocommit=True) as admin:
            admin.execute(f"create database {name} owner {OWNER}".encode())
        urls = [self._server.url(role).replace(f"@/{DATABASE}?", f"@/{name}?") for role in ("postgres", OWNER, APP)]
        found = Database(*urls)
        if migrated:
            migrate(found.owner, APP)
        return found

    def describe(self) -> str:
        with psycopg.connect(self._server.url("postgres")) as connection:
            told = [connection.execute(f"show {name}".encode()).fetchone() for name in _SHOWN]
        settings = ", ".join(f"{name} {value[0]}" for name, value in zip(_SHOWN, told, strict=True) if value)
        libraries = ", ".join(f"{name} {version(name)}" for name in ("psycopg", "eventsourcing"))
        return (
            f"{os.cpu_count()} cores ({_model()}), Python {platform.python_version()}, {libraries}; PostgreSQL {settings};"
            f" data on {_filesystem(self.place)}, fdatasync {_fdatasync(self.place) * 1e3:.2f} ms"
        )


_SHOWN = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers")


@contextlib.contextmanager
def postgres() -> Iterator[Server]:
    """Runs until the block ends; its files are on a disk, not in shared memory."""
    with tempfile.TemporaryDirectory(prefix="chancery-bench-", dir=_disk()) as place:
        Path(place).chmod(0o711)
        with (folder := Folder(Path(place) / "data")).held():
            server = Postgres(folder, folder.sockets(), fast=False)
            server.start()
            try:
                yield Server(server, Path(place))
            finally:
                server.child.stop()


def _disk() -> Path:
    """Kept over restarts by the filesystem hierarchy standard, so no shared memory."""
    kept = Path("/var/tmp")
    return kept if os.access(kept, os.W_OK) else Path(tempfile.gettempdir())



class Load:
    """How much of the machine others took while the block ran, in cores."""

    others = 0.0

    def __enter__(self) -> "Load":
        self._before = (time.monotonic(), _busy(), cpu(os.getpid()))
        return self

    def __exit__(self, *_: object) -> None:
        then, busy, ours = self._before
        seconds = time.monotonic() - then
        self.others = max(0.0, (_busy() - busy - cpu(os.getpid()) + ours) / seconds)


def cpu(root: int) -> float:
    """Seconds of processor time of a process and all that stem from it, ended ones included."""
    spent: dict[int, float] = {}
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            spent[int(entry.name)] = sum(map(int, fields[11:15])) / _TICKS
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    total, waiting = 0.0, [root]
    while waiting:
        pid = waiting.pop()
        total += spent.get(pid, 0.0)
        waiting.extend(children.get(pid, []))
    return total


def _busy() -> float:
    user, nice, system, _idle, _wait, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().split()[1:10])
    return (user + nice + system + irq + softirq) / _TICKS


def _model() -> str:
    names = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    return names[0] if names else platform.machine()


def _filesystem(place: Path) -> str:
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    under = [(len(mount), kind) for mount, kind in mounts if place.is_relative_to(mount)]
    return max(under)[1]


def _fdatasync(place: Path) -> float:
    """Median seconds to have 8 KiB on the disk."""
    took = []
    with (place / "sync").open("wb", buffering=0) as file:
        for _ in range(200):
            file.write(bytes(8192))
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    return sorted(took)[len(took) // 2]
