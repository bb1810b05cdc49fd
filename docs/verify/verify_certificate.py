"""Verifies a certificate of signature, offline: this file is all you need to read, and all you need to run.

    python verify_certificate.py certificate.pdf --key VKEY [--key VKEY]...

Python 3.11 and the package `cryptography`. VKEY is the key of the log as you know it (`GET /audit/keys` once, kept
apart). What was signed is printed out of the evidence that the file carries: read it here, not on the page, which only
`chancery audit certificate` sets again and compares. Ends with 0 (sound), 2 (tampered with) or 4 (not by your key).

What it checks, after C2SP tlog-proof, tlog-checkpoint, signed-note and RFC 6962: the document has the SHA-256 that the
entry says was signed; the entry stands, by its hash and the hashes beside its way, under the root of the checkpoint;
the checkpoint is signed.
"""

import argparse
import json
import re
import sys
import zlib
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SOUND, TAMPERED, UNTRUSTED = 0, 2, 4
HEADER = "c2sp.org/tlog-proof@v1"


class Tampered(Exception):
    """Something does not belong together."""


class Entry(NamedTuple):
    """An entry of the log; `meta` and `state` are JSON."""

    position: int
    event_id: str
    stream_id: str
    version: int
    topic: str
    microseconds: int
    meta: dict[str, Any]
    state: dict[str, Any]


def evidence_in(pdf: bytes) -> dict[str, Any]:
    """The attached JSON; there is exactly one."""
    found = [data for data in streams(pdf) if data.startswith(b'{"format":"chancery-certificate@')]
    if len(found) != 1:
        raise Tampered(f"{len(found)} pieces of evidence can be read in this file")
    evidence: dict[str, Any] = json.loads(found[0])
    if evidence["format"] != "chancery-certificate@v1":
        raise Tampered("another format")
    return evidence


def streams(pdf: bytes) -> Iterator[bytes]:
    view = memoryview(pdf)
    for start in re.finditer(rb"(?<!end)stream\r?\n", pdf):
        begin = start.end()
        try:
            yield zlib.decompressobj().decompress(view[begin : begin + 1_000_000], 1_000_000)
        except zlib.error:
            continue


def entry_of(leaf: bytes) -> Entry:
    *plain, meta, state = json.loads(leaf)
    return Entry(*plain, json.loads(b64decode(meta)), json.loads(b64decode(state)))


def root_of(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """RFC 9162 2.1.3.2: the root that the path leads to."""
    if not 0 <= index < size:
        raise Tampered("the entry lies outside of the checkpoint")
    node, last = index, size - 1
    top = sha256(b"\x00" + leaf).digest()
    for beside in path:
        if last == 0:
            raise Tampered("the proof is too long")
        if node % 2 or node == last:
            top = sha256(b"\x01" + beside + top).digest()
            while node % 2 == 0 and node:
                node, last = node // 2, last // 2
        else:
            top = sha256(b"\x01" + top + beside).digest()
        node, last = node // 2, last // 2
    if last:
        raise Tampered("the proof is too short")
    return top


def proved(leaf: bytes, position: int, proof: str) -> tuple[str, str]:
    """The signed text and its signatures, after the entry was found under the root in it."""
    head, _, note = proof.partition("\n\n")
    header, index, *path = head.split("\n")
    text, _, signatures = note.rpartition("\n\n")
    _, size, root = text.split("\n")
    if header != HEADER or index != f"index {position - 1}" or not signatures.endswith("\n"):
        raise Tampered("the proof is another entry's, or none")
    parts = [b64decode(each, validate=True) for each in path]
    if root_of(leaf, position - 1, int(size), parts) != b64decode(root, validate=True):
        raise Tampered("the entry does not stand under the root that is signed")
    return text + "\n", signatures


def signers(text: str, signatures: str, keys: list[str]) -> list[str]:
    """Those of the keys (`<name>+<id>+<base64>`) that signed it."""
    found = []
    for key in keys:
        name, key_id, data = key.split("+", 2)
        raw = b64decode(data, validate=True)
        expected = sha256(name.encode() + b"\n" + raw).digest()[:4]
        if raw[:1] != b"\x01" or len(raw) != 33 or expected.hex() != key_id:
            raise SystemExit(f"not an Ed25519 key of signed-note: {key[:80]}")
        for line in signatures[:-1].split("\n"):
            dash, by, value = line.split(" ")
            signature = b64decode(value, validate=True)
            if (dash, by, signature[:4]) == ("\u2014", name, expected):
                Ed25519PublicKey.from_public_bytes(raw[1:]).verify(signature[4:], text.encode())
                found.append(f"{name}+{key_id}")
    return found


def verify(pdf: bytes, keys: list[str]) -> int:
    evidence = evidence_in(pdf)
    leaf, document = (
        b64decode(evidence["leaf"], validate=True),
        b64decode(evidence["document"], validate=True),
    )
    entry, content = entry_of(leaf), json.loads(document)
    signed = entry.state
    if entry.topic != "contract.signed.v1":
        raise Tampered("the entry is no signature")
    if sha256(document).hexdigest() != signed["document_sha256"]:
        raise Tampered("the document is not the one whose SHA-256 was signed")
    if (content["id"], content["version"]) != (entry.stream_id, signed["signed_version"]):
        raise Tampered("the document is another contract's, or of another version")
    by = signers(*proved(leaf, entry.position, evidence["proof"]), keys)
    recorded = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=entry.microseconds)
    print(f"document: {document.decode()}")
    print(f"signed by {' '.join(entry.meta['actor'])} at {signed['signed_at']}")
    print(f"known by {signed.get('credential')}, password given at {signed.get('proved_at')}")
    print(f"entry {entry.position}, event {entry.event_id}, recorded at {recorded.isoformat()}")
    print(f"in the office's words, not proved: {evidence['signer']}, {evidence['organisation']}")
    if not by:
        print("no trusted key signed the checkpoint")
        return UNTRUSTED
    print(f"checkpoint signed by {', '.join(by)}")
    return SOUND


def main() -> int:
    options = argparse.ArgumentParser(description="Verify a certificate of signature, offline.")
    options.add_argument("certificate")
    options.add_argument("--key", action="append", required=True, metavar="VKEY")
    given = options.parse_args()
    try:
        return verify(Path(given.certificate).read_bytes(), given.key)
    except InvalidSignature:
        print("tampered with: a signature is not by the key that it names")
        return TAMPERED
    except (Tampered, ValueError, KeyError, TypeError, OverflowError, RecursionError) as reason:
        print(f"tampered with: {reason}")
        return TAMPERED


if __name__ == "__main__":
    sys.exit(main())
