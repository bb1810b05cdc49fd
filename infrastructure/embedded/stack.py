"""The embedded stack: starts the servers nobody has named, in order, and ends them in the other."""

import base64
import contextlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from infrastructure.embedded import nats, postgres
from infrastructure.embedded.children import Child, StartError, end_orphans
from infrastructure.embedded.folder import Busy, Folder, write_private
from infrastructure.embedded.nats import Nats
from infrastructure.embedded.postgres import Postgres
from infrastructure.embedded.redis import Redis
from infrastructure.embedded.s3 import ACCESS_KEY, S3
from infrastructure.settings import GENERATED, SERVERS, Settings
from infrastructure.settings_parts import Servers

StackError = (Busy, StartError)
_ROOM = 2_000_000_000
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108


_MAKE = {
    "key_encryption_key": lambda: base64.b64encode(secrets.token_bytes(32)).decode(),
    "admin_password": lambda: secrets.token_urlsafe(15),
}


class Server(Protocol):
    @property
    def child(self) -> Child: ...

    def start(self) -> None:
        """Start it, or start it again after it died. Raises StartError."""


S = TypeVar("S", bound=Server)


class Stack:  # bounded: by the servers there are
    """The servers whose addresses the settings do not give, in one data directory.

    Call it from the main thread. `fast` makes small servers to throw away, yet with fsync on.
    """

    def __init__(self, settings: Settings, data_dir: Path | None = None, *, fast: bool = False) -> None:
        self.folder = Folder(data_dir or settings.data_dir)
        self.servers: list[Server] = []
        self.orphans: list[str] = []
        self._settings, self._fast = settings, fast
        self._held = ExitStack()

    def start(self, meanwhile: Callable[[Servers], None] = lambda _: None) -> Servers:
        """Where the servers are, ours and others. Raises Busy, or StartError with everything ended again.

        `meanwhile` is told as soon as that is known: PostgreSQL, which takes longest, has yet to start.
        """
        with ExitStack() as held:
            held.enter_context(self.folder.held())
            held.callback(self._end)
            self.orphans = end_orphans(self.folder.run)
            found = self._start_servers(meanwhile)
            self.publish(found)
            self._held = held.pop_all()
        return found

    def stop(self) -> None:
        """End the servers, last one first, and let go of the directory."""
        self._held.close()

    def complete(self, servers: Servers) -> Settings:
        """The settings with the servers, and in development with the secrets that nobody has set."""
        more = {name: getattr(servers, name) for name in SERVERS}
        if self._settings.mode == "development":
            more |= {
                name: self.folder.secret(name, _MAKE[name])
                for name in GENERATED
                if not getattr(self._settings, name)
            }
        sources = self._settings.sources | dict.fromkeys(more, "embedded")
        return msgspec.structs.replace(self._settings, **more, sources=sources)

    def publish(self, servers: Servers, url: str = "") -> None:
        """Tell commands in other terminals where the servers and the API are."""
        said = {name: getattr(servers, name) for name in SERVERS} | {"pid": os.getpid(), "url": url}
        write_private(self.folder.run / "servers.json", json.dumps(said))

    def _start_servers(self, meanwhile: Callable[[Servers], None]) -> Servers:
        given = {name: self._given(name) for name in SERVERS}
        sockets = self.folder.sockets()
        if not given["nats_url"]:
            bus = self._started(Nats(self.folder))
            given |= {"nats_url": bus.url(nats.APP), "nats_relay_url": bus.url(nats.RELAY)}
        if not given["redis_url"]:
            given["redis_url"] = self._started(Redis(self.folder, sockets)).url
        if not given["s3_endpoint"]:
            s3 = self._started(S3(self.folder, self._settings.s3_bucket))
            given |= {"s3_endpoint": s3.endpoint, "s3_access_key": ACCESS_KEY, "s3_secret_key": s3.secret_key}
        if given["database_url"]:
            meanwhile(servers := Servers(**given))
            return servers
        database = Postgres(self.folder, sockets, fast=self._fast)
        given |= {
            "database_url": database.url(postgres.APP),
            "database_owner_url": database.url(postgres.OWNER),
        }
        meanwhile(servers := Servers(**given))
        self._started(database)
        return servers

    def _given(self, name: str) -> str:
        """What the settings say, unless they have it from the stack that ran here before."""
        value: str = getattr(self._settings, name)
        return "" if self._settings.sources.get(name) == "running stack" else value

    def _started(self, server: S) -> S:
        self.servers.append(server)
        server.start()
        return server

    def _end(self) -> None:
        while self.servers:
            self.servers.pop().child.stop()
        self.folder.remove_sockets()
        (self.folder.run / "servers.json").unlink(missing_ok=True)


@contextlib.contextmanager
def temporary_stack(settings: Settings | None = None) -> Generator[Settings]:
    """A stack to throw away, in shared memory when there is room: yields the complete settings."""
    roomy = _SHARED_MEMORY.is_dir() and shutil.disk_usage(_SHARED_MEMORY).free > _ROOM
    with tempfile.TemporaryDirectory(prefix="chancery-", dir=_SHARED_MEMORY if roomy else None) as place:
        Path(place).chmod(0o711)
        stack = Stack(settings or Settings(), Path(place) / "data", fast=True)
        servers = stack.start()
        try:
            yield msgspec.structs.replace(stack.complete(servers), data_dir=stack.folder.path)
        finally:
            stack.stop()
