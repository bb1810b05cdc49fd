"""nats-server with JetStream on a free loopback port; its user `relay` alone publishes events and keeps streams."""

import json
import socket
import sysconfig
from pathlib import Path
from urllib.parse import urlsplit

from infrastructure.embedded.children import Child
from infrastructure.embedded.folder import Folder, write_private

FORBIDDEN = (
    "events.>",
    "$JS.API.STREAM.CREATE.>",
    "$JS.API.STREAM.UPDATE.>",
    "$JS.API.STREAM.DELETE.>",
    "$JS.API.STREAM.PURGE.>",
    "$JS.API.STREAM.MSG.DELETE.>",
)
"""Subjects the application may not publish to: it reads the stream that the relay keeps."""
RELAY, APP = "relay", "app"
_CONFIG = """\
server_name: chancery
listen: "127.0.0.1:{port}"
ports_file_dir: {run}
max_payload: 8MB
jetstream {{ store_dir: {store} }}
authorization {{
  users: [
    {{ user: {relay}, password: {relay_password} }}
    {{ user: {app}, password: {app_password}, permissions: {{ publish: {{ deny: {forbidden} }} }} }}
  ]
}}
"""


def binary() -> Path:
    return Path(sysconfig.get_path("scripts")) / "nats-server"


class Nats:
    """A restart comes back on the port of the first start: clients only know how to reconnect to that."""

    def __init__(self, folder: Folder) -> None:
        self.child = Child("nats", folder.run, log=folder.logs / "nats.log")
        self._folder = folder
        self._home = folder.make_private("nats")
        self._port = -1

    def start(self) -> None:
        """Raises StartError."""
        for leftover in self._folder.run.glob("*.ports"):
            leftover.unlink()
        config = self._home / "nats.conf"
        text = _CONFIG.format(
            port=self._port,
            run=json.dumps(str(self._folder.run)),
            store=json.dumps(str(self._home)),
            relay=RELAY,
            relay_password=json.dumps(self._password(RELAY)),
            app=APP,
            app_password=json.dumps(self._password(APP)),
            forbidden=json.dumps(FORBIDDEN),
        )
        write_private(config, text)
        command: list[str | Path] = [binary(), "-c", config]
        self.child.start(command, {"TZ": "UTC"}, umask=0o077)
        self.child.wait_ready(self._answers)

    def url(self, user: str) -> str:
        return f"nats://{user}:{self._password(user)}@127.0.0.1:{self._port}"

    def _password(self, user: str) -> str:
        return self._folder.secret(f"nats_{user}_password")

    def _answers(self) -> bool:
        ports = next(self._folder.run.glob(f"*_{self.child.pid}.ports"), None)
        if ports is None or not (text := ports.read_text()).endswith("}"):
            return False
        self._port = urlsplit(json.loads(text)["nats"][0]).port or -1
        with socket.create_connection(("127.0.0.1", self._port), 5) as connection:
            return connection.recv(4) == b"INFO"
