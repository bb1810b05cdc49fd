"""The recorded stores, and how one is put into a database."""

import base64
import contextlib
import lzma
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import psycopg
from msgspec import Struct

from infrastructure.embedded.postgres import OWNER, binary
from tests import servers

FOLDER = Path(__file__).parent
KEK = base64.b64encode(bytes(32)).decode()
"""The key-encryption key of every recorded store, as of every test: its people are inventions."""
ONCE = ("/departments", {"name": "Once"}, {"Idempotency-Key": "recorded-once"})
"""A command that was accepted: path, body, headers."""


class Facts(Struct, frozen=True, kw_only=True):
    """What was true of the store when it was recorded, said by the release that wrote it.

    `migrations`: number to the sha256 of the file; `models`: read model to its version and, for each table, rows and
    sha256 as `chancery projections verify --deep` compares them.
    """

    release: str
    events: int
    topics: dict[str, int]
    checkpoint: str
    keys: list[str]
    migrations: dict[int, str]
    models: dict[str, tuple[int, dict[str, tuple[int, str]]]]


class Recorded(Struct, frozen=True):
    folder: Path

    @property
    def release(self) -> str:
        return self.folder.name

    @property
    def dump(self) -> Path:
        return self.folder / "store.sql.xz"

    @property
    def facts(self) -> Facts:
        return msgspec.json.decode((self.folder / "facts.json").read_bytes(), type=Facts)


def recorded() -> list[Recorded]:
    """Every one there is, by release."""
    return [Recorded(path.parent) for path in sorted(FOLDER.glob("*/facts.json"))]


@contextlib.contextmanager
def loaded(cluster: servers.Addresses, store: Recorded) -> Iterator[servers.Addresses]:
    """An empty database with what the dump holds: tables, functions, rights and rows as that release left them."""
    name = f"t{uuid4().hex}"
    with psycopg.connect(cluster.admin, autocommit=True) as admin:
        admin.execute(f"create database {name} template template0 owner {OWNER}")
    try:
        addresses = servers.Addresses(*(servers.at(url, name) for url in cluster))
        run(
            "psql",
            addresses.admin,
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            given=lzma.decompress(store.dump.read_bytes()),
        )
        yield addresses
    finally:
        with psycopg.connect(cluster.admin, autocommit=True) as admin:
            admin.execute(f"drop database {name} with (force)")


def run(program: str, url: str, *words: str, given: bytes = b"") -> bytes:
    """A program of PostgreSQL's, on that database."""
    where: dict[str, Any] = psycopg.conninfo.conninfo_to_dict(url)
    environ = {
        "PGHOST": where["host"],
        "PGUSER": where["user"],
        "PGPASSWORD": where["password"],
        "PGDATABASE": where["dbname"],
    }
    done = subprocess.run(
        [binary().parent / program, *words], input=given, env=environ, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
