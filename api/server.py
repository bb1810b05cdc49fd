"""granian in front of the app: a port of our own, workers that end with us, streams that end first."""

import gc
import os
import resource
import signal
import socket
import time
from importlib import import_module
from typing import Any

import structlog
from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from infrastructure.embedded.children import die_with_parent
from infrastructure.settings import Settings, for_child

_OPEN_FILES, _OTHER_FILES = 65_536, 256
"""What is asked for, and what a process opens besides connections."""
BACKLOG = 4_096
"""Connections the kernel keeps for us until they are accepted; one more is not answered, and tries again."""

LOGGING = {
    "formatters": {},
    "handlers": {},
    "loggers": {name: {"handlers": [], "propagate": True} for name in ("_granian", "granian.access")},
}
"""What granian says goes the way of everybody's lines."""

_log = structlog.get_logger("api.server")
_LOOK_SECONDS = 0.02


class PortTaken(Exception):
    """Somebody else listens there; granian would share the port, and each would get half of the calls."""


class _Server(MPServer):
    drain_seconds = 0.0
    _hurry = False

    def _stop_workers(self) -> None:
        """First they begin nothing new, and streams end (SIGUSR1): an open one would hold its worker for ever.

        They close only after `drain_seconds`, in which a proxy sees `/readyz` say so; a second signal ends the wait.
        """
        for worker in self.wrks:
            if worker.inner.is_alive():
                os.kill(worker.inner.pid, signal.SIGUSR1)
        since = time.monotonic()
        while not self._hurry and time.monotonic() - since < self.drain_seconds:
            if not any(worker.inner.is_alive() for worker in self.wrks):
                break
            time.sleep(_LOOK_SECONDS)
        super()._stop_workers()  # type: ignore[no-untyped-call]

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        self._hurry = self.interrupt_signal
        super().signal_handler_interrupt(*args, **kwargs)  # type: ignore[no-untyped-call]


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM: what is in flight is answered, then the app's lifespan ends. Raises PortTaken.

    A worker's lifespan takes SIGUSR1 as the sign to begin nothing new.
    """
    port = free_port(settings.host, settings.port)
    # Workers read the settings anew, in their own process.
    given = for_child(settings, os.environ)
    os.environ.clear()
    os.environ.update(given)
    _raise_open_files(settings.connections_at_once)
    _load()
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # it would end a worker that still starts
    server = _Server(
        "api.server:build",
        factory=True,
        address=settings.host,
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,  # `auto` never times a silent connection out
        http1_settings=HTTP1Settings(
            header_read_timeout=settings.header_seconds * 1000, max_buffer_size=65_536
        ),
        loop=Loops.uvloop,
        runtime_mode=RuntimeModes.mt,  # bodies and answers travel beside the loop
        workers=settings.http_workers,
        backpressure=settings.connections_at_once,  # idle ones count, too: by default no one is served behind 1,024
        backlog=BACKLOG,
        respawn_failed_workers=True,
        workers_kill_timeout=20,
        log_level=LogLevels.warning,
        log_dictconfig=LOGGING,
    )
    server.drain_seconds = settings.drain_seconds
    server.serve()


def build() -> Any:
    """What a worker runs: it ends with the main process, however that ends, and at any signal until it serves."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    die_with_parent(signal.SIGTERM, os.getppid())
    from api.app import build_app  # noqa: PLC0415 (loaded by `_load`; `chancery up` needs none of it)

    return build_app()


def _load() -> None:
    """Load the code before the fork, and make nothing: workers share its memory, and one that died is soon replaced."""
    import_module("api.app")
    gc.freeze()


def free_port(host: str, port: int) -> int:
    """The port, or a free one for 0. Raises PortTaken."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # never SO_REUSEPORT: it would hide a neighbour
        try:
            probe.bind(address)
        except OSError as error:
            raise PortTaken(
                f"Cannot listen on {host}:{port}: {error.strerror}. Choose another --port."
            ) from None
        return int(probe.getsockname()[1])


def _raise_open_files(connections: int) -> None:
    """A connection is a file. Where the system allows too few of them, somebody should know before they run out."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = max(_OPEN_FILES, connections + _OTHER_FILES)
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < connections + _OTHER_FILES:
        _log.warning("too few open files are allowed", allowed=hard, connections_at_once=connections)
