"""Signed notes (C2SP signed-note) with Ed25519: what signs the log's checkpoints, and what checks them."""

from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from infrastructure.personal_data import Wrapping
from projections.proofs import Malformed, exact_base64

MOST_SIGNATURES = 64
MOST_BYTES = 1_000_000

_ED25519 = b"\x01"
_DASH = "— "


class Untrusted(Exception):
    """No signature by a key that the reader trusts."""


class Forged(Exception):
    """A signature that names a trusted key, and is not by it."""


class Signature(Struct, frozen=True, kw_only=True):
    name: str
    key_id: bytes
    value: bytes

    def line(self) -> str:
        return f"{_DASH}{self.name} {b64encode(self.key_id + self.value).decode()}\n"


class Note(Struct, frozen=True, kw_only=True):
    """A text that ends in a newline, and who signed it."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return self.text + "\n" + "".join(signature.line() for signature in self.signatures)


class Verifier(Struct, frozen=True, kw_only=True):
    """A public key under the name its signatures bear."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    def vkey(self) -> str:
        """`<name>+<key id>+<base64>`, the form in which keys are published and pinned."""
        return f"{self.name}+{self.key_id.hex()}+{b64encode(_ED25519 + self.public).decode()}"

    def verifies(self, text: str, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True


class Signer:
    """A private key under the name its signatures bear. The key shows in no repr."""

    def __init__(self, name: str, private: bytes) -> None:
        """`private` is the 32-byte seed of RFC 8032."""
        self._key = Ed25519PrivateKey.from_private_bytes(private)
        self.verifier = Verifier(name=_exact_name(name), public=self._key.public_key().public_bytes_raw())

    def sign(self, text: str) -> Signature:
        return Signature(
            name=self.verifier.name, key_id=self.verifier.key_id, value=self._key.sign(text.encode())
        )


def new_signer(name: str, wrapping: Wrapping) -> tuple[Signer, bytes]:
    """A fresh key, and its seed wrapped, as it may be stored."""
    seed = Ed25519PrivateKey.generate().private_bytes_raw()
    signer = Signer(name, seed)
    return signer, wrapping.wrap(seed, signer.verifier.vkey().encode())


def stored_signer(verifier: Verifier, wrapped: bytes, wrapping: Wrapping) -> Signer:
    """The signer whose seed was stored. Raises InvalidTag under another key-encryption key, or Untrusted."""
    signer = Signer(verifier.name, wrapping.unwrap(wrapped, verifier.vkey().encode()))
    if signer.verifier != verifier:
        raise Untrusted("the stored private key does not belong to its public key")
    return signer


def sign(text: str, signers: Iterable[Signer]) -> Note:
    """The note of a text, one signature per signer. Raises Malformed for a text that no note can carry."""
    return parse_note(str(Note(text=text, signatures=tuple(signer.sign(text) for signer in signers))))


def parse_note(raw: str | bytes) -> Note:
    """A note whose signatures nobody has verified yet. Raises Malformed."""
    if len(raw) > MOST_BYTES:
        raise Malformed("a note of more than a million bytes")
    try:
        whole = raw.decode() if isinstance(raw, bytes) else raw
        whole.encode()
    except UnicodeError:
        raise Malformed("not UTF-8") from None
    if any(character < " " and character != "\n" for character in whole):
        raise Malformed("a control character in a note")
    text, blank, tail = whole.rpartition("\n\n")
    if not blank or not tail.endswith("\n"):
        raise Malformed("no signatures after an empty line")
    lines = tail[:-1].split("\n")
    if len(lines) > MOST_SIGNATURES:
        raise Malformed(f"more than {MOST_SIGNATURES} signatures")
    return Note(text=text + "\n", signatures=tuple(_signature(line) for line in lines))


def open_note(note: Note, trusted: Iterable[Verifier]) -> tuple[Verifier, ...]:
    """The trusted keys that signed the note; signatures of others are passed over.

    Raises Forged when a signature that names a trusted key is not by it, Untrusted when no trusted key signed.
    """
    known = {(verifier.name, verifier.key_id): verifier for verifier in trusted}
    found: dict[Verifier, None] = {}
    for signature in note.signatures:
        verifier = known.get((signature.name, signature.key_id))
        if verifier is None:
            continue
        if not verifier.verifies(note.text, signature.value):
            raise Forged(f"the signature of {verifier.name}+{verifier.key_id.hex()} is not by that key")
        found[verifier] = None
    if not found:
        raise Untrusted("no trusted key signed this note")
    return tuple(found)


def parse_vkey(text: str) -> Verifier:
    """A published key. Raises Malformed for another algorithm, a wrong key id or any other spelling."""
    name, key_id, key = (*text.split("+", 2), "", "")[:3]
    raw = exact_base64(key)
    if len(raw) != 33 or raw[:1] != _ED25519:
        raise Malformed("not an Ed25519 key")
    verifier = Verifier(name=_exact_name(name), public=raw[1:])
    if verifier.key_id.hex() != key_id:
        raise Malformed("the key id does not belong to name and key")
    return verifier


def _signature(line: str) -> Signature:
    name, space, value = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space:
        raise Malformed("not a signature line")
    raw = exact_base64(value)
    if len(raw) < 5:
        raise Malformed("a signature without a key id")
    return Signature(name=_exact_name(name), key_id=raw[:4], value=raw[4:])


def _exact_name(name: str) -> str:
    if not name or "+" in name or any(character.isspace() or character < " " for character in name):
        raise Malformed("a key name has neither spaces nor a plus sign")
    return name
