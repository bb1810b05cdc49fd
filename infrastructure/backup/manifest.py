"""What a backup says of itself: JSON with a MAC under the key-encryption key, and every part by its SHA-256."""

import os
import secrets
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct

from infrastructure.object_store import sync
from infrastructure.personal_data import Wrapping

FORMAT, KEYS_FORMAT = "chancery-backup/1", "chancery-backup-keys/1"
MANIFEST, KEYS_MANIFEST = "manifest.json", "keys.json"
DUMP, OBJECTS, SECRETS, SUBJECT_KEYS = (
    "database.dump",
    "objects.ndjson",
    "secrets.dump",
    "subject-keys.ndjson",
)
READ = 1 << 20
_PURPOSE = b"backup"


class BackupRefused(Exception):
    """What was asked for cannot be done; the message says why, and holds no secret."""


class Incomplete(BackupRefused):
    """Something is not there."""


class Altered(BackupRefused):
    """Something is not what it was."""


class Distrusted(BackupRefused):
    """Made under another key-encryption key, or changed by somebody who does not have it."""


class Part(Struct, frozen=True, kw_only=True):
    """A file of a backup, with its length in bytes."""

    name: str
    size: int
    sha256: str


class Content(Struct, frozen=True, kw_only=True):
    """An object of the bucket: a line of `objects.ndjson`. Its bytes lie under their SHA-256, the same ones once."""

    name: str
    size: int
    sha256: str
    etag: str

    def path(self, folder: Path) -> Path:
        return folder / "objects" / self.sha256[:2] / self.sha256


class Manifest(Struct, frozen=True, kw_only=True):
    """`position`: of the last event that is in it. `checkpoint`: the newest signed note up to there, `keys` who signs.

    `log`: the id of the first event. `postgres`: the major version the dump is of.
    """

    format: str = FORMAT
    id: UUID
    made_at: str
    made_by: str
    postgres: int
    migrations: tuple[int, ...]
    log: UUID | None
    epoch: UUID
    position: int
    checkpoint: str | None
    keys: tuple[str, ...]
    objects: int
    object_bytes: int
    parts: tuple[Part, ...]
    mac: str = ""


class KeysManifest(Struct, frozen=True, kw_only=True):
    """Of the folder with the keys of one backup."""

    format: str = KEYS_FORMAT
    backup: UUID
    parts: tuple[Part, ...]
    mac: str = ""


class _Any(Struct):
    format: str = ""


M = TypeVar("M", Manifest, KeysManifest)


def write(path: Path, manifest: M, wrapping: Wrapping) -> None:
    """The last thing that is written of a backup: without it there is none."""
    sealed = msgspec.structs.replace(manifest, mac=_mac(manifest, wrapping))
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(sealed)) + b"\n")
    sync(path)


def read(folder: Path) -> Manifest:
    """Raises Incomplete without one, Altered for one that cannot be read, BackupRefused for a later format."""
    return _read(folder / MANIFEST, Manifest, FORMAT)


def read_keys(folder: Path) -> KeysManifest:
    """As `read`."""
    return _read(folder / KEYS_MANIFEST, KeysManifest, KEYS_FORMAT)


def authentic(manifest: M, wrapping: Wrapping) -> None:
    """Raises Distrusted."""
    if not secrets.compare_digest(manifest.mac.encode(), _mac(manifest, wrapping).encode()):
        raise Distrusted("the manifest was changed, or made under another key-encryption key")


def part_of(folder: Path, name: str) -> Part:
    path = folder / name
    digest, size = digest_of(path)
    sync(path)
    return Part(name=name, size=size, sha256=digest)


def check(folder: Path, part: Part) -> None:
    """Reads every byte. Raises Incomplete, Altered."""
    same(folder / part.name, part.name, part.size, part.sha256)


def same(path: Path, name: str, size: int, digest: str) -> None:
    """Raises Incomplete, Altered."""
    if not path.is_file():
        raise Incomplete(f"{name} is missing")
    if (there := path.stat().st_size) < size:
        raise Incomplete(f"{name} has {there} bytes of {size}")
    if digest_of(path)[0] != digest:
        raise Altered(f"{name} is not what it was: its SHA-256 is another")


def digest_of(path: Path) -> tuple[str, int]:
    """SHA-256 in hexadecimal, and length."""
    digest, size = sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(READ):
            digest.update(piece)
            size += len(piece)
    return digest.hexdigest(), size


def contents(folder: Path) -> Iterator[Content]:
    """Raises Altered."""
    decode = msgspec.json.Decoder(Content).decode
    with (folder / OBJECTS).open("rb") as lines:
        for line in lines:
            try:
                yield decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise Altered(f"{OBJECTS} cannot be read: {error}") from None


def _read(path: Path, kind: type[M], form: str) -> M:
    try:
        raw = path.read_bytes()
        told = msgspec.json.decode(raw, type=_Any).format
        if told != form:
            stem = form.partition("/")[0]
            why = (
                "a later version of Chancery made it"
                if told.startswith(f"{stem}/")
                else "this is no such file"
            )
            raise BackupRefused(f"{path} cannot be read here: {why} (format {told[:60]!r}, not {form!r})")
        return msgspec.json.decode(raw, type=kind)
    except FileNotFoundError:
        raise Incomplete(f"{path} is missing: this is no whole backup") from None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Altered(f"{path} cannot be read: {error}") from None


def _mac(manifest: M, wrapping: Wrapping) -> str:
    mac = wrapping.mac(_PURPOSE)
    mac.update(msgspec.json.encode(msgspec.structs.replace(manifest, mac="")))
    return mac.finalize().hex()
