"""A backup of subject keys as a file: a line for each, wrapped, between a head that says of which log and a MAC."""

import os
import secrets
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import msgspec
from msgspec import Struct

from infrastructure.personal_data import Wrapping

FORMAT = "chancery-subject-keys/1"
_PURPOSE = b"subject keys"


class KeysRefused(Exception):
    """The file or the database is not what is asked for; the message says why. Nothing was changed."""


class Head(Struct, frozen=True, kw_only=True):
    """The first line: which log its keys are of (the id of its first event), in which epoch, how far it had come."""

    format: str = FORMAT
    log: UUID | None
    epoch: UUID
    position: int
    taken_at: str


class Line(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One subject's key, wrapped by the key-encryption key; None: destroyed, which is for ever."""

    subject: UUID
    made_at: str
    wrapped: str | None = None
    destroyed_at: str | None = None


class Tail(Struct, frozen=True, kw_only=True):
    """The last line: how many keys stand above it, and a MAC over every byte that does."""

    keys: int
    mac: str


class KeyFile:
    """Flat in memory, however many keys."""

    def __init__(self, path: Path, wrapping: Wrapping) -> None:
        self.path, self._wrapping = path, wrapping

    @property
    def exists(self) -> bool:
        return self.path.exists()

    def head(self) -> Head:
        """After every byte was looked at. Raises KeysRefused."""
        mac, keys, last = self._wrapping.mac(_PURPOSE), 0, b""
        try:
            with self.path.open("rb") as file:
                first = file.readline()
                head = msgspec.json.decode(first, type=Head)
                mac.update(first)
                for raw in file:
                    if last:
                        mac.update(last)
                        keys += 1
                    last = raw
            tail = msgspec.json.decode(last, type=Tail)
        except (OSError, msgspec.MsgspecError, RecursionError) as error:
            raise KeysRefused(f"{self.path} is no whole backup of subject keys: {error}") from None
        if head.format != FORMAT:
            raise KeysRefused(f"{self.path} is a backup of another kind: {head.format[:60]}")
        if tail.keys != keys or not secrets.compare_digest(mac.finalize().hex().encode(), tail.mac.encode()):
            raise KeysRefused(f"{self.path} was changed, or was made under another key-encryption key.")
        return head

    def lines(self) -> Iterator[Line]:
        """Of a file whose head was asked for before."""
        decode, last = msgspec.json.Decoder(Line).decode, b""
        with self.path.open("rb") as file:
            file.readline()
            for raw in file:
                if last:
                    yield decode(last)
                last = raw

    @contextmanager
    def written(self, head: Head) -> Generator[Callable[[Line], None]]:
        """Takes line after line, and the old file's place when all are on the disk; for its owner's eyes alone."""
        fresh = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        mac, keys = self._wrapping.mac(_PURPOSE), 0
        try:
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:

                def write(line: Head | Line) -> None:
                    raw = msgspec.json.encode(line) + b"\n"
                    mac.update(raw)
                    file.write(raw)

                def add(line: Line) -> None:
                    nonlocal keys
                    write(line)
                    keys += 1

                write(head)
                yield add
                file.write(msgspec.json.encode(Tail(keys=keys, mac=mac.finalize().hex())) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
        _sync(self.path.parent)


def _sync(folder: Path) -> None:
    """That the new name is there after a crash."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
