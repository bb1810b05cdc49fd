"""The machine: the program itself, the servers from wheels, the data directory, files of secrets, the port."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import msgspec

from api.server import PortTaken, free_port
from cli.diagnosis.finding import Finding, judged, line, well, wrong
from infrastructure.embedded import nats, postgres, s3
from infrastructure.embedded import redis as redis_server
from infrastructure.release import RELEASE
from infrastructure.settings import SETTINGS, Settings
from infrastructure.settings_sources import PREFIX, running_stack

ROOM = 1_000_000_000


def machine(settings: Settings) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield judged("python", version, "use Python 3.11 or newer", good=sys.version_info >= (3, 11))
    if settings.database_url and settings.sources["database_url"] != "running stack":
        return
    for server in (postgres, nats, redis_server, s3):
        yield _binary(server.binary(), "version" if server is s3 else "--version")


def _binary(path: Path, word: str) -> Finding:
    what = f"binary {path.name}"
    try:
        ran = subprocess.run(  # noqa: S603 (our own binaries)
            [str(path), word], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        return wrong(what, f"{path} does not run: {error}", "install the wheels again: `make clean demo`")
    return well(what, ran.stdout.splitlines()[0])


def directory(settings: Settings) -> Iterator[Finding]:
    path = settings.data_dir
    if not path.exists():
        yield well("data directory", f"{path} will be made")
        return
    readable = [file for file in sorted((path / "secrets").glob("*")) if file.stat().st_mode & 0o077]
    said = ", ".join(map(str, readable)) or str(path)
    fix = f"`chmod 600 {' '.join(map(str, readable))}`, and make new ones: others may have read them"
    yield judged("data directory", said, fix, good=not readable)
    free = shutil.disk_usage(path).free
    yield judged(
        "free disk",
        f"{free / 1e9:.1f} GB",
        f"make room on the disk of {path}: commands are refused when it is full",
        good=free > ROOM,
    )


def secret_files(_settings: Settings, environ: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """Those that CHANCERY_<NAME>_FILE names: nobody else may read them."""
    environ = os.environ if environ is None else environ
    variables = [f"{PREFIX}{name.upper()}_FILE" for name in SETTINGS]
    files = [Path(environ[variable]) for variable in variables if environ.get(variable)]
    if not files:
        return
    mounted = Path("/run/secrets")  # kept in memory, for one container
    open_ones = [
        file
        for file in files
        if mounted not in file.parents and file.exists() and file.stat().st_mode & 0o007
    ]
    said = f"others may read {', '.join(map(str, open_ones))}" if open_ones else f"{len(files)}, for us alone"
    yield judged("secret files", said, f"`chmod o= {' '.join(map(str, open_ones))}`", good=not open_ones)


def port(settings: Settings) -> Iterator[Finding]:
    """Either a Chancery of this release answers, or nobody listens yet."""
    url = running_stack(settings.data_dir).get("url") or f"http://{_host(settings)}:{settings.port}"
    said = _version_at(f"{url}{settings.root_path}/version")
    if said is None:
        yield _free(settings)
        return
    fix = "stop it and start this release: `chancery upgrade --check` says how far the store is"
    yield judged("API", f"release {said.version} answers at {url}", fix, good=said.version == RELEASE)


class _Said(msgspec.Struct):
    name: str
    version: str


def _version_at(url: str) -> _Said | None:
    """None: no Chancery answers there."""
    try:
        said = msgspec.json.decode(httpx.get(url, timeout=5, trust_env=False).content, type=_Said)
    except (httpx.HTTPError, msgspec.MsgspecError):
        return None
    return said if said.name == "chancery" else None


def _free(settings: Settings) -> Finding:
    where = f"{settings.host}:{settings.port}"
    try:
        free_port(settings.host, settings.port)
    except PortTaken:
        return wrong("API", f"something else listens on {where}", "set another CHANCERY_PORT, or stop it")
    except OSError as error:
        return wrong("API", f"{where}: {line(error)}", "set CHANCERY_HOST to an address of this machine")
    return well("API", f"nobody listens on {where} yet")


def _host(settings: Settings) -> str:
    return "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104
