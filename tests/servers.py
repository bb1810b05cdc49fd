"""The real servers of a test run, from the product's own embedded stack; all of them end with the run."""

import contextlib
import fcntl
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import psycopg

from infrastructure.embedded.children import Child, end, wait_until
from infrastructure.embedded.folder import Folder
from infrastructure.embedded.nats import APP as SUBSCRIBER
from infrastructure.embedded.nats import RELAY
from infrastructure.embedded.nats import Nats as NatsServer
from infrastructure.embedded.postgres import APP, DATABASE, OWNER, Postgres
from infrastructure.embedded.redis import Redis
from infrastructure.embedded.s3 import ACCESS_KEY, S3, objects
from infrastructure.migrations import migrate

TEMPLATE = "chancery_template"
BUCKET = "chancery"
PREFIX, FOLDER = "chancery-tests-", "TESTS_FOLDER"
ROOM = 1 << 30
"""Bytes that must be free in shared memory for the data to live there, where fsync costs nothing and so stays on."""


def run_folder() -> Path:
    """A new folder of this run, held by a lock until we end, however we end; folders of dead runs are swept first."""
    shared = Path("/dev/shm")
    roomy = shared.is_dir() and os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > ROOM
    place = shared if roomy else Path(tempfile.gettempdir())
    for old in place.glob(f"{PREFIX}*"):
        with contextlib.suppress(FileNotFoundError, BlockingIOError, PermissionError):
            handle = os.open(old, os.O_RDONLY)
            try:
                if time.time() - old.stat().st_ctime > 60:  # a younger one may not be locked yet
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(old, ignore_errors=True)
            finally:
                os.close(handle)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_EX)
    folder.chmod(0o711)  # PostgreSQL runs as somebody else when we are root
    os.environ[FOLDER] = str(folder)
    return folder


def place(name: str) -> Path:
    """Where a server may keep its data: in the folder of the run, which goes away as a whole."""
    return Path(os.environ[FOLDER]) / f"{name}-{uuid4().hex[:8]}"


class Cluster:
    """The PostgreSQL of the run, with the migrated database that every test gets a copy of."""

    def __init__(self, place: Path) -> None:
        with (folder := Folder(place)).held():
            self._server = Postgres(folder, folder.sockets(), fast=True)
            self._server.start()
        self.addresses = Addresses(*map(self._server.url, ("postgres", OWNER, APP)))
        with psycopg.connect(self.addresses.admin, autocommit=True) as admin:
            admin.execute(f"create database {TEMPLATE} owner {OWNER}")
            migrate(at(self.addresses.owner, TEMPLATE), APP)
            admin.execute(f"alter database {TEMPLATE} is_template true allow_connections false")

    def stop(self) -> None:
        self._server.child.stop()


class Addresses(NamedTuple):
    """One database as three roles reach it: the server's admin, the database's owner, the application."""

    admin: str
    owner: str
    app: str


def at(url: str, database: str) -> str:
    return url.replace(f"@/{DATABASE}?", f"@/{database}?")


@contextlib.contextmanager
def database(cluster: Addresses) -> Iterator[Addresses]:
    """A copy of the template; it goes away at the end, with whoever is still connected."""
    name = f"t{uuid4().hex}"
    with psycopg.connect(cluster.admin, autocommit=True) as admin:
        admin.execute(f"create database {name} template {TEMPLATE} strategy file_copy owner {OWNER}")
    try:
        yield Addresses(*(at(url, name) for url in cluster))
    finally:
        with psycopg.connect(cluster.admin, autocommit=True) as admin:
            admin.execute(f"drop database {name} with (force)")


class Nats:
    """A JetStream server that a test may kill, wipe and start again at the same address."""

    def __init__(self, place: Path) -> None:
        self._folder = opened(place)
        self._server = NatsServer(self._folder)
        self._server.start()

    @property
    def url(self) -> str:
        """As the API and workers connect."""
        return self._server.url(SUBSCRIBER)

    @property
    def child(self) -> Child:
        return self._server.child

    @property
    def relay_url(self) -> str:
        """As the one who may publish events."""
        return self._server.url(RELAY)

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.child.stop()

    def kill(self) -> None:
        """As a crash does it: nobody is told."""
        child = self._server.child
        end(child.pid, signal.SIGKILL)
        assert wait_until(child.died, 10)
        child.stop()

    def restart(self) -> None:
        """Crash and come back with what was kept."""
        self.kill()
        self.start()

    def wipe(self) -> None:
        """Crash, lose everything that was kept, and come back empty."""
        self.kill()
        shutil.rmtree(self._folder.path / "nats" / "jetstream")
        self.start()


@contextlib.contextmanager
def redis(place: Path) -> Iterator[str]:
    """The URL of a Redis server."""
    folder = opened(place)
    server = Redis(folder, folder.sockets())
    server.start()
    try:
        yield server.url
    finally:
        server.child.stop()


class ObjectStore:
    """An S3 server with one bucket, that a test may kill, freeze and start again at the same address."""

    bucket, access_key = BUCKET, ACCESS_KEY

    def __init__(self, place: Path) -> None:
        self._server = S3(opened(place), BUCKET)
        self._server.start()
        self.data_dir = place

    @property
    def child(self) -> Child:
        return self._server.child

    @property
    def endpoint(self) -> str:
        return self._server.endpoint

    @property
    def secret_key(self) -> str:
        return self._server.secret_key

    @property
    def settings(self) -> dict[str, object]:
        """What a Chancery is told of it."""
        return {
            "s3_endpoint": self.endpoint,
            "s3_access_key": self.access_key,
            "s3_secret_key": self.secret_key,
            "s3_bucket": self.bucket,
            "data_dir": self.data_dir,
        }

    @property
    def names(self) -> set[str]:
        """Of the objects there are, and of parts of such."""
        return {path.name for path in objects(self.data_dir, self.bucket).rglob("*") if path.is_file()}

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.child.stop()

    def kill(self) -> None:
        """As a crash does it: nobody is told."""
        child = self._server.child
        end(child.pid, signal.SIGKILL)
        assert wait_until(child.died, 10)
        child.stop()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes connections, and answers nobody."""
        pid = self._server.child.pid
        end(pid, signal.SIGSTOP)
        while not all(
            map(_stopped, Path(f"/proc/{pid}/task").iterdir())
        ):  # each thread stops in its own time
            os.sched_yield()
        try:
            yield
        finally:
            end(pid, signal.SIGCONT)


def _stopped(task: Path) -> bool:
    return (task / "stat").read_text().rpartition(")")[2].split()[0] == "T"


def opened(place: Path) -> Folder:
    """A data directory that only this test knows, so nobody need hold it."""
    folder = Folder(place)
    with folder.held():
        return folder
