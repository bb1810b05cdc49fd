"""Verifies an export of a Chancery log, offline: this file is all you need to read, and all you need to run.

    python verify_export.py log.ndjson [--key VKEY]... [--checkpoint KEPT]

Python 3.11 and the package `cryptography`. VKEY is the key of the log as you know it (`GET /audit/keys` once, kept
apart); KEPT is the checkpoint of your last verification. Without either, a signature shows only that log and key belong
together. Prints every finding; ends with 0 (sound), 2 (tampered with), 3 (incomplete) or 4 (not signed by your key).

What it checks, after C2SP tlog-tiles, tlog-checkpoint, signed-note and RFC 6962: every entry is there, in order, and
hashes to what stands beside it; all hashes together have the root of the checkpoint; the checkpoint is signed; the log
begins with exactly what the kept checkpoint covered.

Of a selection (a range, or the entries that fit a filter): each entry is proved under the root of the signed
checkpoint, and fits; a range without a filter is without a gap; no byte of the file has changed since it was written.
Whether an entry that fits a filter was left out, no selection can show.
"""

import argparse
import json
import sys
from base64 import b64decode, b64encode
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SOUND, TAMPERED, INCOMPLETE, UNTRUSTED = 0, 2, 3, 4
GRAVITY = (TAMPERED, UNTRUSTED, INCOMPLETE)
WHOLE, SELECTION = "chancery-audit-export@v1", "chancery-audit-selection@v1"
LONGEST_LINE = 1_100_000


def exact(text: str) -> bytes:
    """Base64 in its one spelling."""
    raw = b64decode(text, validate=True)
    if b64encode(raw).decode() != text:
        raise ValueError("spare bits in base64")
    return raw


def spelled(line: bytes) -> Any:
    """JSON in its one spelling."""
    told = json.loads(line)
    if json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode() + b"\n" != line:
        raise ValueError("another spelling")
    return told


class Key(NamedTuple):
    """An Ed25519 key under a name, as signed-note publishes it: `<name>+<id>+<base64>`."""

    name: str
    id: bytes
    public: bytes

    @classmethod
    def of(cls, text: str) -> "Key":
        name, key_id, data = text.split("+", 2)
        raw = exact(data)
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
            raw = exact(value)
            if dash != "\u2014" or len(raw) < 5:
                raise ValueError("not a signature line")
            signatures.append((name, raw[:4], raw[4:]))
        origin, size, root = text.split("\n")
        if str(int(size)) != size:
            raise ValueError("a size has one spelling")
        return cls(text + "\n", signatures, origin, int(size), exact(root))

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


def joined(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def is_included(leaf: bytes, index: int, size: int, root: bytes, path: list[bytes]) -> bool:
    """RFC 9162 2.1.3.2: whether the leaf with this hash stands at `index` in the tree of `size` leaves."""
    if not 0 <= index < size:
        return False
    last, found = size - 1, leaf
    for part in path:
        if last == 0:
            return False
        if index & 1 or index == last:
            found = joined(part, found)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            found = joined(found, part)
        index, last = index >> 1, last >> 1
    return last == 0 and found == root


def is_continued(old: int, new: int, old_root: bytes, new_root: bytes, path: list[bytes]) -> bool:
    """RFC 9162 2.1.4.2: whether the tree of `new` leaves begins with the tree of `old`; `old` is the smaller."""
    if not 0 < old < new:
        return old == 0 and old_root == sha256().digest() and not path
    parts = [old_root, *path] if old & (old - 1) == 0 else path
    if len(parts) < 2:
        return False
    index, last = old - 1, new - 1
    while index & 1:
        index, last = index >> 1, last >> 1
    before = after = parts[0]
    for part in parts[1:]:
        if last == 0:
            return False
        if index & 1 or index == last:
            before, after = joined(part, before), joined(part, after)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            after = joined(after, part)
        index, last = index >> 1, last >> 1
    return last == 0 and before == old_root and after == new_root


class Findings:
    """What was found; prints it, and holds what the auditor relies on."""

    def __init__(self, keys: list[Key], kept: Checkpoint | None) -> None:
        self.found: list[int] = []
        self.keys, self.kept = keys, kept

    def say(self, verdict: int, what: str) -> None:
        self.found.append(verdict)
        if len(self.found) <= 100:
            print(what)

    def verdict(self) -> int:
        return next((each for each in GRAVITY if each in self.found), SOUND)

    def can_continue(self, checkpoint: Checkpoint) -> bool:
        if self.kept is None:
            return False
        if self.kept.origin != checkpoint.origin:
            self.say(UNTRUSTED, f"the kept checkpoint is of the log {self.kept.origin}")
        elif self.kept.size > checkpoint.size:
            self.say(TAMPERED, f"the log once had {self.kept.size} entries")
        else:
            return True
        return False

    def signatures(self, checkpoint: Checkpoint, published: list[Key]) -> None:
        """A kept checkpoint vouches for the keys that signed it, and for no other. In the log's own name nobody signs
        but keys that it publishes; others, such as witnesses, sign in names of their own.
        """
        known = [*published, *self.keys]
        ours = {key.id for key in known}
        if any(name == checkpoint.origin and key_id not in ours for name, key_id, _ in checkpoint.signatures):
            self.say(TAMPERED, "a signature in the log's name is by a key that the log does not publish")
        trusted = self.keys or [key for key in published if key.name == checkpoint.origin]
        try:
            checkpoint.signers(known)
            trusted = trusted if self.kept is None else self.kept.signers(trusted)
            signers = checkpoint.signers(trusted)
        except InvalidSignature:
            self.say(TAMPERED, "a signature is not by the key that it names")
            return
        if not signers:
            self.say(UNTRUSTED, "no trusted key signed the checkpoint")
        for key in signers:
            print(
                f"signed by {key.name}+{key.id.hex()}" + ("" if self.keys or self.kept else " (not pinned)")
            )


class Examination:
    """Takes the lines of an export, one by one, in memory that does not grow. Each kind says what a line means."""

    def __init__(self, findings: Findings) -> None:
        self.findings, self.say = findings, findings.say
        self._unreadable: str | None = None
        self.position = 0  # of the last entry

    def take(self, line: bytes) -> None:
        if self._unreadable is not None:
            self.say(TAMPERED, self._unreadable)
            self._unreadable = None
        try:
            self.understand(spelled(line))
        except (ValueError, KeyError, TypeError, RecursionError):
            self._unreadable = f"entry {self.position + 1}: the line cannot be read"

    def understand(self, told: dict[str, Any]) -> None:
        """Raises ValueError, KeyError or TypeError for a line that says nothing."""
        raise NotImplementedError

    def has_begun(self) -> bool:
        raise NotImplementedError

    def is_whole(self) -> bool:
        raise NotImplementedError

    def judge(self) -> None:
        """What only shows at the end. Raises ValueError, KeyError or TypeError."""
        raise NotImplementedError

    def end(self) -> int:
        if not self.has_begun():
            self.say(TAMPERED, "this is no export")
        elif self._unreadable is not None or not self.is_whole():
            self.say(INCOMPLETE, f"the file ends after entry {self.position}, before its last line")
        else:
            try:
                self.judge()
            except (ValueError, KeyError, TypeError):
                self.say(TAMPERED, "the checkpoint cannot be read")
        return self.findings.verdict()


class WholeLog(Examination):
    """Every entry from the first to the last that is signed."""

    def __init__(self, findings: Findings) -> None:
        super().__init__(findings)
        self._kept_root = sha256().digest()
        self._tree, self._block = Tree(), Tree()
        self._header: dict[str, Any] | None = None
        self._trailer: dict[str, Any] | None = None

    def understand(self, told: dict[str, Any]) -> None:
        if self._trailer is not None:
            self.say(TAMPERED, "there are lines after the checkpoint")
        elif self._header is None:
            self._header = told
            if (list(told), told["format"]) != (["format", "origin", "size"], WHOLE):
                self.say(TAMPERED, "another format")
        elif list(told) == ["i", "leaf", "hash"]:
            self._entry(told["i"], exact(told["leaf"]), exact(told["hash"]))
        elif list(told) == ["block", "hash"]:
            self._end_block(told["block"], exact(told["hash"]))
        elif list(told) == ["checkpoint", "keys"]:
            self._trailer = told
        else:
            raise ValueError("no line of an export")

    def has_begun(self) -> bool:
        return self._header is not None

    def is_whole(self) -> bool:
        return self._trailer is not None

    def _entry(self, index: int, leaf: bytes, stated: bytes) -> None:
        if index != self.position:
            self.say(TAMPERED, f"entry {self.position + 1}: {index + 1} stands in its place")
        if sha256(b"\x00" + leaf).digest() != stated or json.loads(leaf)[0] != index + 1:
            self.say(TAMPERED, f"entry {index + 1}: its content is not the one whose hash is in the tree")
        self.position += 1
        self._tree.add(stated)
        self._block.add(stated)
        if self.findings.kept is not None and self._tree.size == self.findings.kept.size:
            self._kept_root = self._tree.root()

    def _end_block(self, number: int, stated: bytes) -> None:
        last, first = self._tree.size, self._tree.size - self._block.size + 1
        if self._block.root() != stated or number != (first - 1) // 256:
            self.say(TAMPERED, f"one of the entries {first} to {last} was changed with its hash")
        self._block = Tree()

    def judge(self) -> None:
        assert self._header is not None
        assert self._trailer is not None
        checkpoint = Checkpoint.of(self._trailer["checkpoint"])
        if (self._header["origin"], self._header["size"]) != (checkpoint.origin, checkpoint.size):
            self.say(TAMPERED, "the first line and the checkpoint are not of one log")
        if checkpoint.size != self._tree.size:
            self.say(TAMPERED, f"{checkpoint.size} entries are signed, and {self._tree.size} are here")
        elif checkpoint.root != self._tree.root() or self._block.size:
            self.say(TAMPERED, "the entries do not have the root that is in the checkpoint")
        kept = self.findings.kept
        if kept is not None and self.findings.can_continue(checkpoint) and kept.root != self._kept_root:
            self.say(TAMPERED, f"the first {kept.size} entries are not the ones of the kept checkpoint")
        self.findings.signatures(checkpoint, list(map(Key.of, self._trailer["keys"])))
        print(f"{self._tree.size} entries, root {checkpoint.root.hex()}")


class Selection(Examination):
    """Some entries, each with its proof; the first line says which were asked for."""

    def __init__(self, findings: Findings) -> None:
        super().__init__(findings)
        self._digest = sha256()
        self._checkpoint: Checkpoint | None = None
        self._asked: dict[str, Any] = {}
        self._first = self._last = self._entries = 0
        self._ended = False

    @property
    def _filtered(self) -> bool:
        return bool(self._asked.keys() - {"from", "to"})

    def take(self, line: bytes) -> None:
        super().take(line)
        self._digest.update(line)

    def understand(self, told: dict[str, Any]) -> None:
        if self._ended:
            self.say(TAMPERED, "there are lines after the last")
        elif self._checkpoint is None:
            self._begin(told)
        elif list(told) == ["i", "leaf", "path"]:
            self._entry(told["i"], exact(told["leaf"]), list(map(exact, told["path"])))
        elif list(told) == ["entries", "sha256"]:
            self._finish(told["entries"], told["sha256"])
        else:
            raise ValueError("no line of a selection")

    def has_begun(self) -> bool:
        return self._checkpoint is not None

    def is_whole(self) -> bool:
        return self._ended

    def judge(self) -> None:
        assert self._checkpoint is not None
        what = ", ".join(f"{name} {value}" for name, value in self._asked.items())
        print(f"a selection out of {self._checkpoint.size} entries: {what or 'all'}")
        print(
            "whether everything that fits is in it, it cannot show"
            if self._filtered
            else f"it has every entry from {self._first} to {self._last}"
        )
        print(f"{self._entries} entries, root {self._checkpoint.root.hex()}")

    def _begin(self, told: dict[str, Any]) -> None:
        checkpoint, asked = Checkpoint.of(told["checkpoint"]), told["selection"]
        unknown = asked.keys() - {"from", "to", "topic", "subject", "actor", "request", "allowed_by"}
        first, last = asked.get("from", 1), asked.get("to", 2**63 - 1)
        if told["format"] != SELECTION or unknown or not 1 <= first <= last <= checkpoint.size:
            self.say(TAMPERED, "no selection that could be asked for")
        self._asked, self._first, self._last, self.position = asked, first, last, first - 1
        self.findings.signatures(checkpoint, list(map(Key.of, told["keys"])))
        self._checkpoint = checkpoint
        if self.findings.kept is not None and self.findings.can_continue(checkpoint):
            self._continues(self.findings.kept, checkpoint, told.get("continues"))

    def _continues(self, kept: Checkpoint, checkpoint: Checkpoint, shown: dict[str, Any] | None) -> None:
        if kept.size == checkpoint.size:
            same = kept.root == checkpoint.root
        elif shown is not None and shown["size"] == kept.size:
            path = list(map(exact, shown["proof"]))
            same = is_continued(kept.size, checkpoint.size, kept.root, checkpoint.root, path)
        else:
            self.say(INCOMPLETE, "this selection does not show that the log continues the kept checkpoint")
            return
        if not same:
            self.say(TAMPERED, f"the first {kept.size} entries are not the ones of the kept checkpoint")

    def _entry(self, index: int, leaf: bytes, path: list[bytes]) -> None:
        assert self._checkpoint is not None
        self._entries += 1
        if index + 1 <= self.position:
            self.say(TAMPERED, f"entry {index + 1}: it stands out of its order, or twice")
            return
        self._gap(index + 1)
        self.position = index + 1
        leaf_hash = sha256(b"\x00" + leaf).digest()
        if not is_included(leaf_hash, index, self._checkpoint.size, self._checkpoint.root, path):
            self.say(TAMPERED, f"entry {index + 1}: with this content it is not under the signed root")
        elif not self._fits(index + 1, json.loads(leaf)):
            self.say(TAMPERED, f"entry {index + 1}: it is not among what was selected")

    def _gap(self, position: int) -> None:
        if not self._filtered and position > self.position + 1:
            self.say(TAMPERED, f"entry {self.position + 1}: all from here to {position - 1} are missing")

    def _fits(self, position: int, leaf: list[Any]) -> bool:
        """A leaf has position, event, stream, version, topic, microseconds, and what stands beside it in base64."""
        asked = self._asked
        if leaf[0] != position or not self._first <= position <= self._last:
            return False
        if "topic" in asked and not f"{leaf[4]}.".startswith(tuple(f"{each}." for each in asked["topic"])):
            return False
        if "subject" in asked and leaf[2] not in asked["subject"]:
            return False
        if not asked.keys() & {"actor", "request", "allowed_by"}:
            return True
        beside = json.loads(b64decode(leaf[6]))
        return (
            ("actor" not in asked or beside["actor"][1] in asked["actor"])
            and ("request" not in asked or beside["request_id"] in asked["request"])
            and ("allowed_by" not in asked or beside.get("allowed_by") in asked["allowed_by"])
        )

    def _finish(self, entries: int, digest: str) -> None:
        self._ended = True
        self._gap(self._last + 1)
        if entries != self._entries:
            self.say(TAMPERED, f"{entries} entries were written, and {self._entries} are here")
        if digest != self._digest.hexdigest():
            self.say(TAMPERED, "the file is not, byte for byte, the one that was written")


def examined(lines: Iterable[bytes], findings: Findings) -> int:
    lines = iter(lines)
    first = next(lines, b"")
    if not first:
        findings.say(TAMPERED, "an empty file")
        return findings.verdict()
    selection = first.startswith(b'{"format":"%s"' % SELECTION.encode())
    examination = Selection(findings) if selection else WholeLog(findings)
    examination.take(first)
    for line in lines:
        examination.take(line)
    return examination.end()


def main() -> int:
    options = argparse.ArgumentParser(description="Verify an export of a Chancery log, offline.")
    options.add_argument("export")
    options.add_argument("--key", action="append", default=[], metavar="VKEY")
    options.add_argument("--checkpoint", metavar="KEPT")
    given = options.parse_args()
    kept = None
    if given.checkpoint:
        kept = Checkpoint.of(Path(given.checkpoint).read_text(encoding="utf-8"))
    findings = Findings([Key.of(key) for key in given.key], kept)
    with Path(given.export).open("rb") as file:
        return examined(iter(lambda: file.readline(LONGEST_LINE), b""), findings)


if __name__ == "__main__":
    sys.exit(main())
