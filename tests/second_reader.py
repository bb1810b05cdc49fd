"""A reader of transparency logs, from the text of C2SP alone: signed-note, tlog-checkpoint, tlog-tiles, tlog-proof.

Nothing here comes from Chancery. Where it disagrees with Chancery, one of them has misread the text.
"""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Fetch = Callable[[str], bytes]
TILE = 256


def hash_leaf(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def open_note(note: str, vkey: str) -> str:
    """signed-note: the text, if the key signed it. Raises ValueError, InvalidSignature."""
    name, key_hash, encoded = vkey.split("+", 2)
    key = b64decode(encoded, validate=True)
    assert key[0] == 1, "Ed25519 is signature type 0x01"
    assert hashlib.sha256(name.encode() + b"\n" + key).digest()[:4].hex() == key_hash
    text, signatures = note.split("\n\n")
    for line in signatures.removesuffix("\n").split("\n"):
        dash, signer, value = line.split(" ")
        assert dash == "—"
        raw = b64decode(value, validate=True)
        if (signer, raw[:4].hex()) == (name, key_hash):
            Ed25519PublicKey.from_public_bytes(key[1:]).verify(raw[4:], (text + "\n").encode())
            return text + "\n"
    raise ValueError("this key did not sign")


def read_checkpoint(text: str) -> tuple[str, int, bytes]:
    """tlog-checkpoint: origin, size, root hash; extension lines may follow."""
    origin, size, root, *_ = text.split("\n")
    assert size == str(int(size))
    assert b64encode(b64decode(root)).decode() == root
    return origin, int(size), b64decode(root)


def path(level: int | str, index: int, width: int = TILE) -> str:
    """tlog-tiles: three digits to an element, all but the last with an x before it; a partial tile says how wide."""
    elements = [f"{index % 1000:03}"]
    while index := index // 1000:
        elements.insert(0, f"x{index % 1000:03}")
    return f"tile/{level}/{'/'.join(elements)}" + ("" if width == TILE else f".p/{width}")


def tiles(fetch: Fetch, level: int, size: int) -> list[bytes]:
    """All hashes of a level that a tree of that size has whole."""
    count, found = size // TILE**level, list[bytes]()
    for index in range(-(-count // TILE)):
        width = min(TILE, count - index * TILE)
        data = fetch(path(level, index, width))
        assert len(data) == width * 32
        found += [data[at : at + 32] for at in range(0, len(data), 32)]
    return found


def entries(fetch: Fetch, size: int) -> list[bytes]:
    """Entry bundles: each entry after its length, big-endian, in two bytes."""
    found = list[bytes]()
    for index in range(-(-size // TILE)):
        data = fetch(path("entries", index, min(TILE, size - index * TILE)))
        while data:
            length = int.from_bytes(data[:2], "big")
            found.append(data[2 : 2 + length])
            data = data[2 + length :]
    return found


def root_of(hashes: list[bytes]) -> bytes:
    """RFC 6962 2.1, word for word."""
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return hash_node(root_of(hashes[:split]), root_of(hashes[split:]))


def check_proof(proof: str, entry: bytes, vkey: str) -> tuple[int, int]:
    """tlog-proof: the entry's index and the size of the tree it is in, by RFC 9162 2.1.3.2."""
    head, _, note = proof.partition("\n\n")
    lines = head.split("\n")
    assert lines.pop(0) == "c2sp.org/tlog-proof@v1"
    if lines[0].startswith("extra "):
        lines.pop(0)
    word, number = lines.pop(0).split(" ")
    assert word == "index"
    _, size, root = read_checkpoint(open_note(note, vkey))
    index, last, computed = int(number), size - 1, hash_leaf(entry)
    assert index < size
    for sibling in map(b64decode, lines):
        assert last != 0
        if index & 1 or index == last:
            computed = hash_node(sibling, computed)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            computed = hash_node(computed, sibling)
        index, last = index >> 1, last >> 1
    assert last == 0
    assert computed == root
    return int(number), size
