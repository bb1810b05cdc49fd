"""Personal fields are sealed with AES-256-GCM under their subject's own key; destroying the key erases the person."""

import os
import time
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct
from psycopg_pool import AsyncConnectionPool

from infrastructure.entropy import random_bytes
from infrastructure.settings import Settings

KEPT_SECONDS = 60
"""How long an unwrapped key may stay in memory."""
KEPT_AT_MOST = 20_000


class SubjectErased(Exception):
    """The subject's key was destroyed: nothing can be written or read for it any more."""


class Wrapping:
    """The key-encryption key from the settings, and what is derived from it. Its 32 bytes never leave this object."""

    def __init__(self, key: bytes) -> None:
        if len(key) != 32:
            raise ValueError("the key-encryption key has 32 bytes")
        self._aead = AESGCM(key)
        self._claims = HKDF(hashes.SHA256(), 32, None, b"chancery claims").derive(key)
        self._files = HKDF(hashes.SHA256(), 32, None, b"chancery files").derive(key)

    def wrap(self, secret: bytes, purpose: bytes) -> bytes:
        nonce = os.urandom(12)
        return nonce + self._aead.encrypt(nonce, secret, purpose)

    def unwrap(self, wrapped: bytes, purpose: bytes) -> bytes:
        return self._aead.decrypt(wrapped[:12], wrapped[12:], purpose)

    def mac(self, purpose: bytes) -> hmac.HMAC:
        """Of a file that goes out and comes back: whoever has not this key cannot have changed it."""
        mac = hmac.HMAC(self._files, hashes.SHA256())
        mac.update(purpose + b"\0")
        return mac

    def blind(self, kind: str, value: str) -> str:
        """What a claim keeps instead of a personal value: equal values stay equal, and nobody can guess them back."""
        mac = hmac.HMAC(self._claims, hashes.SHA256())
        mac.update(f"{kind}\0{value}".encode())
        return urlsafe_b64encode(mac.finalize()).decode().rstrip("=")


def wrapping_of(settings: Settings) -> Wrapping:
    return Wrapping(b64decode(settings.key_encryption_key))


class SubjectKey(Struct, frozen=True):
    """A subject's unwrapped key. `fresh` is its wrapped form while no append has stored it yet."""

    key: bytes
    aead: Any
    fresh: bytes | None = None

    def seal(self, plain: bytes, associated: bytes) -> str:
        nonce = random_bytes(12)
        return urlsafe_b64encode(nonce + self.aead.encrypt(nonce, plain, associated)).decode()

    def open(self, sealed: str, associated: bytes) -> bytes:
        raw = urlsafe_b64decode(sealed)
        opened: bytes = self.aead.decrypt(raw[:12], raw[12:], associated)
        return opened


class Vault:
    """Hands out subject keys: makes them, reads them in one query for many, forgets them after a minute."""

    def __init__(self, pool: AsyncConnectionPool[Any], wrapping: Wrapping) -> None:
        self._pool, self._wrapping = pool, wrapping
        # bounded: by KEPT_AT_MOST keys, each for KEPT_SECONDS
        self._keys: OrderedDict[UUID, tuple[float, SubjectKey]] = OrderedDict()

    async def to_seal(
        self, subjects: Collection[UUID], *, unseen: UUID | None = None
    ) -> dict[UUID, SubjectKey]:
        """A key for each subject, made now where there is none; raises SubjectErased.

        `unseen` has just been named, so nobody can have stored a key for it: append will tell if that is wrong.
        """
        found = self._remembered(subjects)
        if missing := [s for s in subjects if s not in found]:
            asked = [s for s in missing if s != unseen]
            stored = await self.read(asked) if asked else {}
            for subject in missing:
                key = stored.get(subject, ...)
                if key is None:
                    raise SubjectErased(str(subject))
                found[subject] = self._make(subject) if key is ... else key
                self._keep(subject, found[subject])
        return found

    async def to_open(self, subjects: Collection[UUID]) -> Mapping[UUID, SubjectKey | None]:
        """The key of each subject that has one; None: destroyed, or never there."""
        found: dict[UUID, SubjectKey | None] = {
            subject: key for subject, key in self._remembered(subjects).items() if key.fresh is None
        }
        if missing := [s for s in subjects if s not in found]:
            stored = await self.read(missing)
            for subject in missing:
                found[subject] = key = stored.get(subject)
                if key is not None:
                    self._keep(subject, key)
        return found

    async def read(self, subjects: Collection[UUID]) -> dict[UUID, SubjectKey | None]:
        """As the table has them now."""
        async with self._pool.connection() as connection:
            rows = await connection.execute(
                "select subject_id, wrapped from subject_keys where subject_id = any(%s)", (list(subjects),)
            )
            return {
                subject: None
                if wrapped is None
                else _subject_key(self._wrapping.unwrap(wrapped, subject.bytes))
                for subject, wrapped in await rows.fetchall()
            }

    def stored(self, subject: UUID, wrapped: bytes) -> None:
        """An append has stored this fresh key, which need not be the one remembered: two commands may have made one."""
        if (kept := self._keys.get(subject)) and kept[1].fresh == wrapped:
            self._keys[subject] = (kept[0], SubjectKey(kept[1].key, kept[1].aead))

    def forget(self, subject: UUID) -> None:
        self._keys.pop(subject, None)

    def _remembered(self, subjects: Collection[UUID]) -> dict[UUID, SubjectKey]:
        now = time.monotonic()
        return {s: kept[1] for s in subjects if (kept := self._keys.get(s)) and kept[0] > now}

    def _make(self, subject: UUID) -> SubjectKey:
        key = os.urandom(32)
        return SubjectKey(key, AESGCM(key), self._wrapping.wrap(key, subject.bytes))

    def _keep(self, subject: UUID, key: SubjectKey) -> None:
        """The oldest stand first, since all live equally long."""
        now = time.monotonic()
        self._keys[subject] = (now + KEPT_SECONDS, key)
        self._keys.move_to_end(subject)
        while len(self._keys) > KEPT_AT_MOST or next(iter(self._keys.values()))[0] <= now:
            self._keys.popitem(last=False)


def _subject_key(key: bytes) -> SubjectKey:
    return SubjectKey(key, AESGCM(key))
