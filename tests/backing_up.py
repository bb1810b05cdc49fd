"""A small office with everything that a backup has to carry, and empty places to bring it back to."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid4

import psycopg
from msgspec import structs

from application.ports import Secrets
from domain.file.events import FileUploaded
from domain.user.events import UserRegistered
from infrastructure.embedded.postgres import OWNER
from infrastructure.event_store import new_id
from infrastructure.object_store import ObjectStore
from infrastructure.postgres import connect
from infrastructure.settings import Settings
from projections.audit_log import AuditLog
from tests import people, servers, serving
from tests.auditing import follow
from tests.store import WRAPPING, open_store
from workers.signer import sign_once

ORIGIN = "chancery.example/audit"
CONTENT = b"%PDF-1.7 what a file says"
HASHED = "$argon2id$what-nobody-reads"


class Lived(NamedTuple):
    """Who and what is in it; `note` is the signed checkpoint over its first `signed` events."""

    settings: Settings
    user: UUID
    contents: UUID
    note: str
    signed: int


def settings(addresses: servers.Addresses, bucket: servers.ObjectStore) -> Settings:
    return structs.replace(
        serving.settings(addresses.app, "", **bucket.settings), database_owner_url=addresses.owner
    )


async def live(given: Settings, *, after: int = 3) -> Lived:
    """`after`: how many events come when all is signed."""
    objects = ObjectStore(given)
    content = new_id()
    try:
        await objects.store(content, _once(CONTENT))
    finally:
        objects.close()
    async with (
        open_store(given.database_url) as (store, log),
        await connect(given.database_url) as connection,
    ):
        user = new_id()
        registered = UserRegistered(email="ann@example.org", first_name="Ann", role="admin")
        await people.append(store, user, registered, secrets=Secrets(password_hash=(user, HASHED)))
        await people.signed_in(store, user, secret=b"r" * 32)
        uploaded = FileUploaded(
            owner_id=user,
            purpose="document",
            name="Ann's paper",
            size=len(CONTENT),
            content_type="application/pdf",
            sha256=sha256(CONTENT).hexdigest(),
            object_id=content,
        )
        await people.append(store, new_id(), uploaded)
        await connection.execute(AuditLog().ddl("read").encode())
        size = await log.head()
        await follow(connection, AuditLog(), [size])
        signed = await sign_once(connection, WRAPPING, ORIGIN)
        assert signed is not None
        for _ in range(after):
            await people.registered(store)
    return Lived(given, user, content, signed.note, size)


async def _once(content: bytes):
    yield content


@contextmanager
def nothing(cluster: servers.Addresses) -> Iterator[servers.Addresses]:
    """A database in which there is nothing at all."""
    name = f"t{uuid4().hex}"
    with psycopg.connect(cluster.admin, autocommit=True) as admin:
        admin.execute(f"create database {name} owner {OWNER}".encode())
    try:
        yield servers.Addresses(*(servers.at(url, name) for url in cluster))
    finally:
        with psycopg.connect(cluster.admin, autocommit=True) as admin:
            admin.execute(f"drop database {name} with (force)".encode())


def environment(given: Settings, monkeypatch, folder: Path) -> None:
    """What a command that is typed there finds."""
    monkeypatch.chdir(folder)
    for name in [name for name in os.environ if name.startswith("CHANCERY_")]:
        monkeypatch.delenv(name)
    for name in ("database_url", "database_owner_url", "key_encryption_key", "data_dir", "s3_bucket"):
        monkeypatch.setenv(f"CHANCERY_{name.upper()}", str(getattr(given, name)))
    for name in ("s3_endpoint", "s3_access_key", "s3_secret_key"):
        monkeypatch.setenv(f"CHANCERY_{name.upper()}", getattr(given, name))


def lived(given: Settings) -> Lived:
    return asyncio.run(live(given))
