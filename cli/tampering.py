"""Copies of a log with one byte changed: of an exported file, and of the whole database, as only root could do it."""

import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from infrastructure.embedded import postgres
from infrastructure.embedded.folder import Folder
from infrastructure.settings_sources import running_stack

_AS_WE_ARE = ("--no-owner", "--no-privileges")


def changed_export(export: Path, changed: Path, position: int) -> None:
    """Copy the export, with one byte in the middle of the entry at this position changed."""
    shutil.copy(export, changed)
    lines = changed.read_bytes().splitlines(keepends=True)
    number = next(n for n, line in enumerate(lines) if line.startswith(b'{"i":%d,' % (position - 1)))
    line = bytearray(lines[number])
    at = line.index(b'"leaf":"') + 200
    line[at] = ord("A") if line[at] != ord("A") else ord("B")
    lines[number] = bytes(line)
    changed.write_bytes(b"".join(lines))


@contextmanager
def copied_database(data_dir: Path) -> Generator[str]:
    """The embedded database dumped and restored under another name: its URL, as the superuser who may do anything."""
    where = conninfo_to_dict(running_stack(data_dir)["database_url"])
    password = Folder(data_dir).secret("postgres_password")
    superuser = make_conninfo("", host=where["host"], user="postgres", password=password)
    name = f"copy_{token_hex(4)}"
    with psycopg.connect(superuser, dbname="postgres", autocommit=True) as admin:
        admin.execute(sql.SQL("create database {} template template0").format(sql.Identifier(name)))
        try:
            dumped = _run("pg_dump", superuser, str(where["dbname"]), "--format=custom", "--compress=0")
            _run("pg_restore", superuser, name, *_AS_WE_ARE, "--exit-on-error", said=dumped)
            yield f"postgresql://postgres:{password}@/{name}?host={quote(str(where['host']), safe='')}"
        finally:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def change_stored_byte(url: str, position: int) -> None:
    """Past every trigger, in the event stored at this position."""
    with psycopg.connect(url) as connection:
        connection.execute("set session_replication_role = replica")  # no trigger fires
        connection.execute(
            "update stored_events set state = set_byte(state, 20, get_byte(state, 20) # 1)"
            " where notification_id = %s",
            (position,),
        )


def _run(tool: str, superuser: str, database: str, *words: str, said: bytes = b"") -> bytes:
    """A client program of PostgreSQL on one database. Raises CalledProcessError."""
    where = conninfo_to_dict(superuser)
    environ = {
        "PGHOST": str(where["host"]),
        "PGUSER": str(where["user"]),
        "PGPASSWORD": str(where["password"]),
    }
    command = [str(postgres.binary().with_name(tool)), f"--dbname={database}", *words]
    return subprocess.run(command, env=environ, input=said, capture_output=True, check=True).stdout  # noqa: S603
