"""Verifies an export of a Chancery log, offline: this file is all you need to read, and all you need to run.

    python verify_export.py log.ndjson [--key VKEY]... [--checkpoint KEPT]

Python 3.11 and the package `cryptography`. VKEY is the key of the log as you know it (`GET /audit/keys` once, kept
apart); KEPT is the checkpoint of your last verification. Without either, a signature shows only that log and key belong
together. Prints every finding; ends with 0 (sound), 2 (tampered with), 3 (incomplete) or 4 (not signed by your key).

What it checks, after C2SP tlog-tiles, tlog-checkpoint, signed-note and RFC 6962: every entry is there, in order, and
hashes to what stands beside it; all hashes together have the root of the checkpoint; the checkpoint is signed; the log
begins with exactly what the kept checkpoint covered.
"""

import argparse
import json
import sys
from base64 import b64decode
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SOUND, TAMPERED, INCOMPLETE, UNTRUSTED = 0, 2, 3, 4
GRAVITY = (TAMPERED, UNTRUSTED, INCOMPLETE)
BLOCK = 256
LONGEST_LINE = 1_100_000


class Key(NamedTuple):
    """An Ed25519 key under a name, as signed-note publishes it: `<name>+<id>+<base64>`."""

    name: str
    id: bytes
    public: bytes

    @classmethod
    def of(cls, text: str) -> "Key":
        name, key_id, data = text.split("+", 2)
        raw = b64decode(data, validate=True)
        expected = sha256(name.encode() + b"\n" + raw).digest()[:4]
        if raw[:1] != b"\x01" or len(raw) != 33 or expected.hex() != key_id:
            raise ValueError(f"not an Ed25519 key of signed-note: {text[:80]}")
        return cls(name, expected, raw[1:])


class Checkpoint(NamedTuple):
    """A signed note over origin, size and root."""

    text: str
    signatures: list[tuple[str, bytes, bytes]]
    origin: str
    size: int
    root: bytes

    @classmethod
    def of(cls, note: str) -> "Checkpoint":
        text, blank, tail = note.rpartition("\n\n")
        if not blank or not tail.endswith("\n"):
            raise ValueError("a note ends with an empty line and its signatures")
        signatures = []
        for line in tail[:-1].split("\n"):
            dash, name, value = line.split(" ")
            raw = b64decode(value, validate=True)
            if dash != "\u2014" or len(raw) < 5:
                raise ValueError("not a signature line")
            signatures.append((name, raw[:4], raw[4:]))
        origin, size, root = text.split("\n")
        if str(int(size)) != size:
            raise ValueError("a size has one spelling")
        return cls(text + "\n", signatures, origin, int(size), b64decode(root, validate=True))

    def signers(self, keys: Iterable[Key]) -> list[Key]:
        """Those of the keys that signed it. Raises InvalidSignature for a signature in a key's name that is not its."""
        known = {(key.name, key.id): key for key in keys}
        found = []
        for name, key_id, value in self.signatures:
            key = known.get((name, key_id))
            if key is not None:
                Ed25519PublicKey.from_public_bytes(key.public).verify(value, self.text.encode())
                found.append(key)
        return found


class Tree:
    """A Merkle tree (RFC 6962 2.1) that grows by leaf hashes and remembers only the roots of its full parts."""

    def __init__(self) -> None:
        self.size = 0
        self._parts: list[tuple[int, bytes]] = []  # (leaves, root), each smaller than the one before

    def add(self, leaf: bytes) -> None:
        self.size += 1
        width, top = 1, leaf
        while self._parts and self._parts[-1][0] == width:
            top = sha256(b"\x01" + self._parts.pop()[1] + top).digest()
            width *= 2
        self._parts.append((width, top))

    def root(self) -> bytes:
        if not self._parts:
            return sha256().digest()
        root = self._parts[-1][1]
        for _, left in reversed(self._parts[:-1]):
            root = sha256(b"\x01" + left + root).digest()
        return root


class Examination:
    """Takes the lines of an export, one by one, in memory that does not grow."""

    def __init__(self, keys: list[Key], kept: Checkpoint | None) -> None:
        self.found: list[int] = []
        self._keys, self._kept = keys, kept
        self._kept_root = sha256().digest()
        self._tree, self._block = Tree(), Tree()
        self._header: dict[str, Any] | None = None
        self._trailer: dict[str, Any] | None = None

    def say(self, verdict: int, what: str) -> None:
        self.found.append(verdict)
        if len(self.found) <= 100:
            print(what)

    def take(self, line: bytes) -> None:
        if not line.endswith(b"\n"):
            self.say(INCOMPLETE if len(line) < LONGEST_LINE else TAMPERED, "a line without its end")
            return
        try:
            told = json.loads(line)
            if self._trailer is not None:
                self.say(TAMPERED, "there are lines after the checkpoint")
            elif self._header is None:
                self._header = told
                if told["format"] != "chancery-audit-export@v1":
                    self.say(TAMPERED, "another format")
            elif "i" in told:
                self._entry(
                    told["i"], b64decode(told["leaf"], validate=True), b64decode(told["hash"], validate=True)
                )
            elif "block" in told:
                self._end_block(b64decode(told["hash"], validate=True))
            else:
                self._trailer = told
        except (ValueError, KeyError, TypeError, RecursionError):
            self.say(TAMPERED, f"entry {self._tree.size + 1}: the line cannot be read")

    def _entry(self, index: int, leaf: bytes, stated: bytes) -> None:
        position = self._tree.size + 1
        if index + 1 != position:
            self.say(TAMPERED, f"entry {position}: {index + 1} stands in its place")
        if sha256(b"\x00" + leaf).digest() != stated or json.loads(leaf)[0] != index + 1:
            self.say(TAMPERED, f"entry {index + 1}: its content is not the one whose hash is in the tree")
        self._tree.add(stated)
        self._block.add(stated)
        if self._kept is not None and self._tree.size == self._kept.size:
            self._kept_root = self._tree.root()

    def _end_block(self, stated: bytes) -> None:
        if self._block.root() != stated:
            last, first = self._tree.size, self._tree.size - self._block.size + 1
            self.say(TAMPERED, f"one of the entries {first} to {last} was changed with its hash")
        self._block = Tree()

    def end(self) -> int:
        if self._header is None or self._trailer is None:
            self.say(INCOMPLETE, f"the file ends after entry {self._tree.size}, before its checkpoint")
        else:
            try:
                self._judge(
                    Checkpoint.of(self._trailer["checkpoint"]), list(map(Key.of, self._trailer["keys"]))
                )
            except (ValueError, KeyError, TypeError):
                self.say(TAMPERED, "the checkpoint cannot be read")
        return next((each for each in GRAVITY if each in self.found), SOUND)

    def _judge(self, checkpoint: Checkpoint, published: list[Key]) -> None:
        if checkpoint.size != self._tree.size:
            self.say(TAMPERED, f"{checkpoint.size} entries are signed, and {self._tree.size} are here")
        elif checkpoint.root != self._tree.root():
            self.say(TAMPERED, "the entries do not have the root that is in the checkpoint")
        trusted = self._keys or [key for key in published if key.name == checkpoint.origin]
        try:
            if self._kept is not None:
                self._continues(self._kept, checkpoint)
                trusted = self._kept.signers(trusted)  # a kept checkpoint vouches for the keys that signed it
            signers = checkpoint.signers(trusted)
        except InvalidSignature:
            self.say(TAMPERED, "a signature is not by the key that it names")
            return
        if not signers:
            self.say(UNTRUSTED, "no trusted key signed the checkpoint")
        for key in signers:
            print(
                f"signed by {key.name}+{key.id.hex()}" + ("" if self._keys or self._kept else " (not pinned)")
            )
        print(f"{self._tree.size} entries, root {checkpoint.root.hex()}")

    def _continues(self, kept: Checkpoint, checkpoint: Checkpoint) -> None:
        if kept.origin != checkpoint.origin:
            self.say(UNTRUSTED, f"the kept checkpoint is of the log {kept.origin}")
        elif kept.size > checkpoint.size:
            self.say(TAMPERED, f"the log once had {kept.size} entries")
        elif kept.root != self._kept_root:
            self.say(TAMPERED, f"the first {kept.size} entries are not the ones of the kept checkpoint")


def main() -> int:
    options = argparse.ArgumentParser(description="Verify an export of a Chancery log, offline.")
    options.add_argument("export")
    options.add_argument("--key", action="append", default=[], metavar="VKEY")
    options.add_argument("--checkpoint", metavar="KEPT")
    given = options.parse_args()
    kept = None
    if given.checkpoint:
        kept = Checkpoint.of(Path(given.checkpoint).read_text(encoding="utf-8"))
    examination = Examination([Key.of(key) for key in given.key], kept)
    with Path(given.export).open("rb") as file:
        while line := file.readline(LONGEST_LINE):
            examination.take(line)
    return examination.end()


if __name__ == "__main__":
    sys.exit(main())
