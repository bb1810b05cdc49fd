"""Where it was measured: an embedded stack of its own on a disk, what the machine is, and what others took."""

import contextlib
import os
import platform
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Self

import psycopg
from msgspec import structs

from api.server import free_port
from infrastructure.embedded.children import Child
from infrastructure.embedded.postgres import APP, DATABASE, OWNER, Postgres
from infrastructure.embedded.stack import Stack
from infrastructure.migrations import migrate
from infrastructure.settings import Settings, environment

TICKS = os.sysconf("SC_CLK_TCK")
SHOWN = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers")


class Database(NamedTuple):
    """One database as the server's admin, its owner and the application reach it."""

    admin: str
    owner: str
    app: str


class Machine:
    """The embedded stack as `chancery up` starts it, durable settings and all, on a disk."""

    def __init__(self, stack: Stack, settings: Settings) -> None:
        self._stack, self.settings = stack, settings
        self.main = self._database(DATABASE)
        self.postgres = next(server for server in stack.servers if isinstance(server, Postgres))

    def database(self, name: str, *, migrated: bool = True) -> Database:
        """Another database, with Chancery's schema or empty."""
        with psycopg.connect(self.main.admin, autocommit=True) as admin:
            admin.execute(f"create database {name} owner {OWNER}".encode())
        found = self._database(name)
        if migrated:
            migrate(found.owner, APP)
        return found

    @contextlib.contextmanager
    def program(self, name: str, port: int | None = None) -> Generator[Child]:
        """`chancery <name>` as a process of its own, its lines in a file; with a `port`, beside the first."""
        settings, label = self.settings, name
        if port is not None:
            label = f"{name}-{port}"
            settings = structs.replace(settings, port=port, public_url=settings.base_url)
        command = [sys.executable, "-m", "cli.main", name]
        with self.beside(label, command, environment(settings)) as child:
            yield child

    @contextlib.contextmanager
    def beside(
        self, label: str, command: Sequence[str], environ: Mapping[str, str] = MappingProxyType({})
    ) -> Generator[Child]:
        """Any program, its lines in a file."""
        folder = self._stack.folder
        child = Child(label, folder.run, log=folder.logs / f"{label}.log")
        child.start(list(command), os.environ | environ)
        try:
            yield child
        finally:
            child.stop()

    def pids(self) -> dict[str, int]:
        """Of its servers, by name."""
        return {server.child.name: server.child.pid for server in self._stack.servers}

    def describe(self) -> str:
        with psycopg.connect(self.main.admin) as connection:
            told = [connection.execute(f"show {name}".encode()).fetchone() for name in SHOWN]
        settings = ", ".join(f"{name} {value[0]}" for name, value in zip(SHOWN, told, strict=True) if value)
        libraries = ", ".join(
            f"{name} {version(name)}" for name in ("psycopg", "eventsourcing", "litestar", "granian")
        )
        place = self._stack.folder.path
        return (
            f"{os.cpu_count()} cores ({_model()}), Python {platform.python_version()}, {libraries}\n"
            f"PostgreSQL {settings}; data on {_filesystem(place)}, fdatasync {_fdatasync(place) * 1e3:.2f} ms"
        )

    def _database(self, name: str) -> Database:
        role_url = next(server for server in self._stack.servers if isinstance(server, Postgres)).url
        return Database(
            *(role_url(role).replace(f"@/{DATABASE}?", f"@/{name}?") for role in ("postgres", OWNER, APP))
        )


@contextlib.contextmanager
def machine() -> Generator[Machine]:
    """Runs until the block ends; nothing of it is in shared memory, where fsync costs nothing."""
    with tempfile.TemporaryDirectory(prefix="chancery-bench-", dir=_disk()) as place:
        Path(place).chmod(0o711)
        settings = Settings(
            port=free_port("127.0.0.1", 0),
            log_format="json",  # as in production
            requests_per_minute=10_000_000,  # few callers ask as many would
            stranger_requests_per_minute=10_000_000,
        )
        stack = Stack(settings, Path(place) / "data")
        servers = stack.start()
        try:
            yield Machine(stack, stack.complete(servers))
        finally:
            stack.stop()


def _disk() -> Path:
    """What is kept over restarts by the filesystem hierarchy standard, so no shared memory."""
    kept = Path("/var/tmp")
    return kept if os.access(kept, os.W_OK) else Path(tempfile.gettempdir())


class Load:
    """How much of the machine others took while the block ran, in cores."""

    others = 0.0

    def __enter__(self) -> Self:
        self._before = (time.monotonic(), _busy(), cpu(os.getpid()))
        return self

    def __exit__(self, *_: object) -> None:
        then, busy, ours = self._before
        seconds = time.monotonic() - then
        self.others = max(0.0, (_busy() - busy - cpu(os.getpid()) + ours) / seconds)


class Meter:
    """What this process and others, each with all that stem from it, spend from now on."""

    def __init__(self, **pids: int) -> None:
        self._pids = pids
        self._before = self._now()

    def _now(self) -> dict[str, float]:
        return {"here": time.process_time()} | {name: cpu(pid) for name, pid in self._pids.items()}

    def spent(self) -> dict[str, float]:
        """Seconds of processor time."""
        return {name: seconds - self._before[name] for name, seconds in self._now().items()}


def cpu(root: int) -> float:
    """Seconds of processor time of a process and all that stem from it, ended ones included."""
    spent: dict[int, float] = {}
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            spent[int(entry.name)] = sum(map(int, fields[11:15])) / TICKS
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    total, waiting = 0.0, [root]
    while waiting:
        pid = waiting.pop()
        total += spent.get(pid, 0.0)
        waiting.extend(children.get(pid, []))
    return total


def _busy() -> float:
    user, nice, system, _idle, _wait, irq, softirq, *_ = map(
        int, Path("/proc/stat").read_text().split()[1:10]
    )
    return (user + nice + system + irq + softirq) / TICKS


def _model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(
        (line.partition(":")[2].strip() for line in lines if "model name" in line), platform.machine()
    )


def _filesystem(place: Path) -> str:
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    return max((len(mount), kind) for mount, kind in mounts if place.is_relative_to(mount))[1]


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
