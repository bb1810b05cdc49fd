"""A whole Chancery of one's own for as long as a block lasts: `chancery up` in an empty folder, over real HTTP."""

import os
import secrets
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from infrastructure.embedded.children import Child, StartError
from infrastructure.settings import BARE
from infrastructure.settings_sources import PREFIX, running_stack

READY_WITHIN = 120.0
"""Seconds a fresh stack may take on a slow machine."""
END_WITHIN = 60.0


class Stack(Struct, frozen=True, kw_only=True):
    """A running one. `environ` is what another `chancery` command needs to find it, `folder` is its alone."""

    url: str
    admin_email: str
    admin_password: str
    environ: Mapping[str, str]
    folder: Path
    child: Child

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"


class NotReady(Exception):
    """The stack did not come up; the end of its log is part of the message."""


@contextmanager
def stack_of_ones_own() -> Generator[Stack]:
    """Starts it on a free loopback port, deaf to settings made for another; ends it, and its folder, at the end.

    Raises NotReady. Call it from the main thread.
    """
    with tempfile.TemporaryDirectory(prefix="chancery-") as place:
        folder = Path(place)
        folder.chmod(0o711)  # as root, PostgreSQL runs as somebody else
        environ = {name: value for name, value in os.environ.items() if not _a_setting(name)} | {
            f"{PREFIX}DATA_DIR": str(folder / "data"),
            f"{PREFIX}PORT": "0",
            f"{PREFIX}ADMIN_EMAIL": "admin@chancery.local",
            f"{PREFIX}ADMIN_PASSWORD": secrets.token_urlsafe(16),
        }
        child = Child("up", folder, log=folder / "up.log")
        try:
            child.start([sys.executable, "-m", "cli.main", "up"], environ, cwd=folder)
            try:
                child.wait_ready(lambda: bool(running_stack(folder / "data").get("url")), READY_WITHIN)
            except StartError as error:
                raise NotReady(str(error)) from None
            yield Stack(
                url=running_stack(folder / "data")["url"],
                admin_email=environ[f"{PREFIX}ADMIN_EMAIL"],
                admin_password=environ[f"{PREFIX}ADMIN_PASSWORD"],
                environ=environ,
                folder=folder,
                child=child,
            )
        finally:
            child.stop(END_WITHIN)


def _a_setting(name: str) -> bool:
    return name.startswith(PREFIX) or name.lower() in BARE
