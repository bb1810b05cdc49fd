"""API keys: `chk_<key id>_<secret><checksum>`, 256 bits each, of which a SHA-256 is kept and nothing else.

The prefix tells scanners of source code what they have found, and the checksum (CRC-32 in base 62, as in GitHub's
tokens) tells a mistyped or invented key without a look at the database. Imported keys look as they like; their bcrypt
and argon2 hashes are slow by intent, and are replaced by a SHA-256 when the key has been shown once.
"""

import hmac
import re
import secrets
from collections.abc import Sequence
from hashlib import sha256
from string import ascii_letters, digits
from zlib import crc32

import bcrypt
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import Argon2Error, InvalidHashError

from application.api_client import MadeKey
from infrastructure.bounded import Bounded

PREFIX = "chk_"
LONGEST = 1024
"""Bytes of a key; nobody's is longer."""
BCRYPT_LONGEST = 72
"""Bytes that bcrypt looks at; of two longer keys that begin alike each would open what the other does."""

_ALPHABET = digits + ascii_letters
_ID, _SECRET, _CHECKSUM = 12, 43, 6
_OURS = re.compile(rf"chk_[0-9A-Za-z]{{{_ID}}}_[0-9A-Za-z]{{{_SECRET + _CHECKSUM}}}")
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}")
_MOST_MEMORY_KIB, _MOST_PASSES, _MOST_LANES = 262_144, 10, 16
_NOBODYS = "sha256:" + "0" * 64


class ApiKeys:
    """Implements application.api_client.Keys. Slow hashes are checked in a pool of their own: sign-ins have theirs."""

    def __init__(self, *, threads: int = 1, waiting: int = 8) -> None:
        self._run = Bounded("imported API keys", threads=threads, waiting=waiting)
        self._argon2 = PasswordHasher()

    def sound(self, key: str) -> bool:
        """Whether it can be a key at all: one of ours has its checksum."""
        if key.startswith(PREFIX):
            return _OURS.fullmatch(key) is not None and checksum(key[:-_CHECKSUM]) == key[-_CHECKSUM:]
        return 0 < len(key) <= LONGEST

    def fingerprint(self, key: str) -> str:
        """What is kept of a key. A plain SHA-256 will do: nobody guesses 256 bits (OWASP ASVS 6.5.2)."""
        return f"sha256:{sha256(_bytes(key)).hexdigest()}"

    def name(self) -> str:
        return "ck_" + _random(_ID + 8)

    def make(self) -> MadeKey:
        key_id, secret = _random(_ID), _base62(secrets.randbits(256), _SECRET)
        body = f"{PREFIX}{key_id}_{secret}"
        key = body + checksum(body)
        return MadeKey(key_id=key_id, key=key, hash=self.fingerprint(key))

    def adopt(self, hashed: str) -> MadeKey:
        return MadeKey(key_id=_random(_ID), key="", hash=hashed)

    def refused(self, hashed: str) -> str | None:
        if _SHA256.fullmatch(hashed) or _BCRYPT.fullmatch(hashed) or _is_argon2(hashed):
            return None
        return (
            "A hash is sha256:<64 hex digits>, bcrypt ($2b$, cost 4 to 14), or argon2 as a PHC string"
            f" (at most {_MOST_MEMORY_KIB} KiB, {_MOST_PASSES} passes, {_MOST_LANES} lanes)."
        )

    async def match(self, key: str, hashes: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
        """Which of the (key id, hash) pairs the key opens; None: none of them. Raises Busy."""
        if not self.sound(key):
            return None
        shown, found = self.fingerprint(key), None
        for key_id, hashed in hashes or (("", _NOBODYS),):  # all of them, so that time tells nothing
            if hmac.compare_digest(hashed, shown):
                found = key_id, hashed
        if found is not None or key.startswith(PREFIX):
            return found
        for key_id, hashed in hashes:
            if not hashed.startswith("sha256:") and await self._run(self._slow, _bytes(key), hashed):
                return key_id, hashed
        return None

    def close(self) -> None:
        self._run.close()

    def _slow(self, key: bytes, hashed: str) -> bool:
        try:
            if _BCRYPT.fullmatch(hashed):
                return (
                    len(key) <= BCRYPT_LONGEST and b"\0" not in key and bcrypt.checkpw(key, hashed.encode())
                )
            return self._argon2.verify(hashed, key)
        except (Argon2Error, ValueError):  # the latter: it only looked like a hash
            return False


def checksum(body: str) -> str:
    return _base62(crc32(body.encode()), _CHECKSUM)


def _bytes(key: str) -> bytes:
    """As they came: a header is read as latin-1."""
    return key.encode("latin-1")


def _base62(number: int, length: int) -> str:
    found = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        found.append(_ALPHABET[digit])
    return "".join(reversed(found))


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _is_argon2(hashed: str) -> bool:
    try:
        asked = extract_parameters(hashed)
    except (InvalidHashError, ValueError):
        return False
    return (
        asked.memory_cost <= _MOST_MEMORY_KIB
        and asked.time_cost <= _MOST_PASSES
        and asked.parallelism <= _MOST_LANES
    )
