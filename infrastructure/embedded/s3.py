"""An S3 server, `rclone serve s3`, on a free loopback port: objects are plain files."""

import re
import socket
import sysconfig
from pathlib import Path

from infrastructure.embedded.children import Child
from infrastructure.embedded.folder import Folder

ACCESS_KEY = "chancery"
_LISTENING = re.compile(rb"http://127\.0\.0\.1:(\d+)/")


def objects(data_dir: Path, bucket: str) -> Path:
    """Where the server of that data directory keeps the bucket's objects, each a file."""
    return data_dir / "s3" / "objects" / bucket


def binary() -> Path:
    return Path(sysconfig.get_path("scripts")) / "rclone"


class S3:
    """A restart comes back on the port of the first start. Files are not synced by rclone: who must not lose
    an object syncs it before recording it."""

    def __init__(self, folder: Folder, bucket: str) -> None:
        self.log = folder.logs / "s3.log"
        self.child = Child("s3", folder.run, log=self.log)
        self._folder = folder
        self._home = folder.make_private("s3")
        self._bucket = bucket
        self._port = 0

    def start(self) -> None:
        """Raises StartError. The bucket is there when this returns."""
        objects = self._home / "objects"
        (objects / self._bucket).mkdir(parents=True, exist_ok=True)
        said_before = self.log.stat().st_size if self.log.exists() else 0
        # Auth by environment keeps it out of argv; without it anybody may read and write.
        env = {"RCLONE_AUTH_KEY": f'"{ACCESS_KEY},{self.secret_key}"', "HOME": str(self._home), "TZ": "UTC"}
        options: list[str | Path] = [
            "--config",
            "",
            "--addr",
            f"127.0.0.1:{self._port}",
            "--cache-dir",
            self._home / "cache",
        ]
        self.child.start([binary(), "serve", "s3", objects, *options], env, umask=0o077)
        self.child.wait_ready(lambda: self._answers(said_before))

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def secret_key(self) -> str:
        return self._folder.secret("s3_password")

    def _answers(self, said_before: int) -> bool:
        with self.log.open("rb") as log:
            size = log.seek(0, 2)
            log.seek(min(said_before, size) if size >= said_before else 0)
            listening = _LISTENING.search(log.read())
        if listening is None:
            return False
        self._port = int(listening[1])
        socket.create_connection(("127.0.0.1", self._port), 5).close()
        return True
