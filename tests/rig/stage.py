"""Where it plays: two of each process that may be two, on real servers, with a proxy on every edge between them."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import httpx
import psycopg
import redis

from infrastructure.embedded.children import Child, end, wait_until
from infrastructure.embedded.folder import Folder
from infrastructure.embedded.postgres import APP, OWNER, Postgres
from infrastructure.embedded.redis import Redis
from tests import mailbox, servers
from tests.rig.disk import SmallDisk
from tests.rig.edge import Edge, Edges
from tests.whole import ADMIN, ENVIRONMENT, PASSWORD

CHANCERY = [sys.executable, "-m", "cli.main"]
PATCHES = Path(__file__).parent / "patches"
ROOT = Path(__file__).parent.parent.parent
START = 240.0
LEASE = 6.0
"""Seconds an attempt at an operation may be silent here; 60 where nobody waits for the verdict."""
PROCESSES = {
    "serve-1": "serve",
    "serve-2": "serve",
    "work-1": "work",
    "work-2": "work",
    "jobs-1": "jobs",
    "jobs-2": "jobs",
}


class Process:
    """One of ours, that may be killed, frozen, and started again with the same words."""

    def __init__(self, name: str, folder: Path, environment: dict[str, str], edges: dict[str, Edge]) -> None:
        folder.mkdir(exist_ok=True)
        self.name, self.kind, self.edges, self.clock = name, PROCESSES[name], edges, folder / "clock"
        self.environment = environment | {"RIG_CLOCK": str(self.clock)}
        self.log = folder / f"{name}.log"
        self.child = Child(name, folder, log=self.log)

    @property
    def port(self) -> int:
        return int(self.environment.get("CHANCERY_PORT", 0))

    def start(self) -> None:
        """From the main thread."""
        self.child.start([*CHANCERY, self.kind], self.environment)

    def kill(self) -> None:
        """As a crash takes it, whoever it has started included."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.stop(5)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """It holds what it holds, and does nothing."""
        with _stopped(*_family(self.child.pid)):
            yield

    def ready(self) -> bool:
        if not self.port:
            return not self.child.died()
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def tell_time(self, off: float) -> None:
        """Its wall clock is so many seconds off from now on."""
        self.clock.write_text(str(off))


class Stage:
    """`mutant` is a deliberate fault of our own code, by its name in `tests/rig/mutants.py`."""

    def __init__(
        self, place: Path, mutant: str = "", *, small: str = "", processes: Iterable[str] = PROCESSES
    ) -> None:
        """`small`: PostgreSQL's files are on a disk of this size, to be filled (`disk.mounts_of_our_own` first)."""
        place.mkdir(mode=0o711)
        self.place, self.mutant = place, mutant
        self.pause = threading.Event()
        self.edges = Edges()
        self.disk = SmallDisk(place / "pg", small) if small else None
        folder = servers.opened(place / "pg")
        self.postgres = Postgres(folder, folder.sockets(), fast=True)
        self.nats = servers.Nats(place / "nats")
        self.redis_folder: Folder = servers.opened(place / "redis")
        self.redis = Redis(self.redis_folder, self.redis_folder.sockets())
        self.s3 = servers.ObjectStore(place / "s3")
        self._post = mailbox.opened()
        self.post: Any = self.edges.run(self._post.__aenter__())
        self.postgres.start()
        self.redis.start()
        self._secret = b64encode(os.urandom(32)).decode()
        self._names = tuple(processes)
        self.crashes = 0
        self.answers: Counter[object] = Counter()
        self.noticed: Counter[str] = Counter()
        self.tried: Counter[str] = Counter()
        self.processes: dict[str, Process] = {}

    @property
    def apis(self) -> list[Process]:
        return [each for each in self.processes.values() if each.port]

    def start(self) -> None:
        """Migrate, then start every process; returns when all are ready."""
        owner = self._environment() | {"CHANCERY_DATABASE_OWNER_URL": self.postgres.url(OWNER)}
        done = subprocess.run([*CHANCERY, "migrate"], env=owner, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        for name in self._names:
            self.processes[name] = self._process(name)
            self.processes[name].start()
        self.all_ready()

    def all_ready(self) -> None:
        assert wait_until(lambda: all(each.ready() for each in self.processes.values()), START), [
            each.child.last_words() for each in self.processes.values() if not each.ready()
        ]

    def mend(self) -> list[str]:
        """Start again whatever has ended; the names of what was ours."""
        if self.postgres.child.pid == 0 or self.postgres.child.died():
            self.postgres.child.stop()
            self.postgres.start()
        ended = [each for each in self.processes.values() if each.child.pid == 0 or each.child.died()]
        for each in ended:
            each.child.stop(1)
            each.start()
        return [each.name for each in ended]

    def wait(self, seconds: float) -> None:
        """For as long as a fault is to last; processes that end meanwhile are started again."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.pause.wait(min(left, 0.2))
            self.mend()

    @contextlib.contextmanager
    def superuser(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(self.postgres.url("postgres"), autocommit=True) as admin:
            yield admin

    def crash_postgres(self, how: int = signal.SIGQUIT) -> None:
        end(self.postgres.child.pid, how)
        assert wait_until(self.postgres.child.died, 30)
        self.postgres.child.stop()

    def postgres_log(self) -> str:
        return "".join(log.read_text(errors="replace") for log in (self.place / "pg" / "log").glob("*.log"))

    def kill_redis(self) -> None:
        end(self.redis.child.pid, signal.SIGKILL)
        assert wait_until(self.redis.child.died, 10)
        self.redis.child.stop()

    def flush_redis(self) -> None:
        client = redis.Redis.from_url(self.redis.url)
        client.flushall()
        client.close()

    @contextlib.contextmanager
    def crashing(self) -> Iterator[None]:
        """What PostgreSQL has not synced may be lost meanwhile: the newest of read models, nothing of the log."""
        self.crashes += 1
        try:
            yield
        finally:
            self.crashes += 1

    @contextlib.contextmanager
    def server_frozen(self, name: str) -> Iterator[None]:
        children = {
            "postgres": self.postgres.child,
            "nats": self.nats.child,
            "redis": self.redis.child,
            "s3": self.s3.child,
        }
        with _stopped(*_family(children[name].pid)):
            yield

    def roles(self, database: psycopg.Connection) -> dict[int, int]:
        """Which are held, and by which back-end."""
        held = (
            "select objid::int8, pid from pg_locks where locktype = 'advisory' and granted and objsubid = 2"
        )
        return dict(database.execute(held).fetchall())

    def notices(self, what: str, come: int) -> None:
        """Whether what a fault is for has come about."""
        self.noticed[what] += come
        self.tried[what] += 1

    def roll_nats_back(self, copy: Path) -> None:
        """Its files as they were when `copy` was made."""
        self.nats.kill()
        files = self.place / "nats" / "nats" / "jetstream"
        shutil.rmtree(files, ignore_errors=True)
        shutil.copytree(copy, files)
        self.nats.start()

    def copy_nats(self) -> Path:
        """Its files as they are, taken while it is down."""
        copy = self.place / f"nats-{time.monotonic_ns()}"
        self.nats.kill()
        shutil.copytree(self.place / "nats" / "nats" / "jetstream", copy)
        self.nats.start()
        return copy

    def chancery(self, *words: str) -> str:
        """Another `chancery` command, past all proxies; what it printed."""
        owner = self._environment() | {"CHANCERY_DATABASE_OWNER_URL": self.postgres.url(OWNER)}
        done = subprocess.run(
            [*CHANCERY, *words], env=owner, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def commands(self, every: Sequence[Sequence[str]]) -> list[tuple[int, str]]:
        """Several in one process: how each ended, and what it said."""
        owner = self._environment() | {"CHANCERY_DATABASE_OWNER_URL": self.postgres.url(OWNER)}
        done = subprocess.run(
            [sys.executable, "-m", "tests.rig.commands", json.dumps(every)],
            env=owner,
            capture_output=True,
            text=True,
            timeout=1800,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [(status, said) for status, said in json.loads(done.stdout)]

    def stop(self) -> None:
        self.edges.heal()
        for each in self.processes.values():
            each.child.stop(5)
        self.edges.run(self._post.__aexit__(None, None, None))
        self.s3.stop()
        self.nats.stop()
        self.redis.child.stop()
        self.postgres.child.stop()
        self.edges.close()

    def _process(self, name: str) -> Process:
        folder = self.place / name
        folder.mkdir(mode=0o711)
        here = self._environment()
        edges = {
            "postgres": self._to_socket(name, "postgres", _path(here["DATABASE_URL"]), ".s.PGSQL.5432"),
            "redis": self._to_socket(name, "redis", _path(here["REDIS_URL"]), "redis"),
            "nats": self._to_port(name, "nats", _port(here["NATS_URL"])),
            "s3": self._to_port(name, "s3", _port(here["S3_ENDPOINT"])),
            "post": self._to_port(name, "post", self.post.port),
        }
        here["DATABASE_URL"] = _with_path(here["DATABASE_URL"], edges["postgres"])
        here["REDIS_URL"] = _with_path(here["REDIS_URL"], edges["redis"])
        for url in ("NATS_URL", "CHANCERY_NATS_RELAY_URL"):
            here[url] = _with_port(here[url], edges["nats"])
        here["S3_ENDPOINT"] = _with_port(here["S3_ENDPOINT"], edges["s3"])
        here["CHANCERY_SMTP_URL"] = _with_port(here["CHANCERY_SMTP_URL"], edges["post"])
        if PROCESSES[name] == "serve":
            here["CHANCERY_PORT"] = str(_free_port())
        return Process(name, folder, here, edges)

    def _to_socket(self, name: str, server: str, upstream: Path, listen: str) -> Edge:
        folder = self.place / "e" / f"{name}-{server}"
        folder.mkdir(parents=True)
        return self.edges.add(f"{name} to {server}", folder / listen, upstream)

    def _to_port(self, name: str, server: str, upstream: int) -> Edge:
        return self.edges.add(f"{name} to {server}", 0, upstream)

    def _environment(self) -> dict[str, str]:
        patched = {
            "RIG_MUTANT": self.mutant,
            "RIG_LEASE": str(LEASE),
            "PYTHONPATH": f"{PATCHES}{os.pathsep}{ROOT}",
        }
        return (
            ENVIRONMENT
            | patched
            | {
                "CHANCERY_MODE": "production",
                "CHANCERY_DATA_DIR": str(self.place / "nothing"),
                "CHANCERY_PUBLIC_URL": "http://chancery.example",
                "CHANCERY_ADMIN_EMAIL": ADMIN,
                "CHANCERY_ADMIN_PASSWORD": PASSWORD,
                "CHANCERY_KEY_ENCRYPTION_KEY": self._secret,
                "CHANCERY_HTTP_WORKERS": "1",
                "CHANCERY_LOG_FORMAT": "json",
                "CHANCERY_CHECK_HOURS": "0",  # an operation of its own, at midnight
                "CHANCERY_SMTP_URL": self.post.url,
                "DATABASE_URL": self.postgres.url(APP),
                "NATS_URL": self.nats.url,
                "CHANCERY_NATS_RELAY_URL": self.nats.relay_url,
                "REDIS_URL": self.redis.url,
                "S3_ENDPOINT": self.s3.endpoint,
                "S3_ACCESS_KEY": self.s3.access_key,
                "S3_SECRET_KEY": self.s3.secret_key,
                "S3_BUCKET": self.s3.bucket,
            }
        )


def _family(pid: int) -> list[int]:
    """A process and all that descend from it, which may lead groups of their own."""
    found = [pid] if pid else []
    for parent in found:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


@contextlib.contextmanager
def _stopped(*pids: int) -> Iterator[None]:
    for pid in pids:
        end(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            end(pid, signal.SIGCONT)


def _path(url: str) -> Path:
    """Of the socket that a URL of PostgreSQL or Redis names."""
    if url.startswith("postgresql:"):
        return Path(unquote(url.partition("?host=")[2])) / ".s.PGSQL.5432"
    return Path(unquote(url.partition("@")[2].partition("?")[0]))


def _with_path(url: str, edge: Edge) -> str:
    assert isinstance(edge.listen, Path)
    if url.startswith("postgresql:"):
        return url.partition("?")[0] + "?host=" + quote(str(edge.listen.parent), safe="")
    return url.partition("@")[0] + "@" + quote(str(edge.listen)) + "?db=0"


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])


def _with_port(url: str, edge: Edge) -> str:
    return re.sub(r":\d+$", f":{edge.port}", url)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
