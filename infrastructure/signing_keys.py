"""The keys that sign access tokens (ES256): kept wrapped in a table, read again and again, published by half."""

import asyncio
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Any

import msgspec
import psycopg
import structlog
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from infrastructure.personal_data import Wrapping
from infrastructure.postgres import TIMEOUTS, connect

PUBLISHED = ("pending", "active", "retiring")
"""pending: known to everybody before it signs · active: signs · retiring: verifies until its last token has expired.
The others, retired and compromised, verify nothing any more."""
EVERY = 30.0
"""Seconds between two looks at the table."""

_log = structlog.get_logger("signing_keys")


class KeyRing:
    """The keys as the table had them at the last look. `edition` moves with every change, `jwks` is the public set."""

    def __init__(self, url: str, wrapping: Wrapping) -> None:
        self._url, self._wrapping = url, wrapping
        self._rows: list[tuple[str, bytes, str]] = []
        self._wanted = asyncio.Event()
        self._last_wish = -EVERY
        self._signer: tuple[str, EllipticCurvePrivateKey] | None = None
        self.public: Mapping[str, EllipticCurvePublicKey] = {}
        self.jwks = b'{"keys":[]}'
        self.edition = 0

    @property
    def signer(self) -> tuple[str, EllipticCurvePrivateKey]:
        """The key id and the key that sign now."""
        if self._signer is None:
            raise LookupError("no signing key is active")
        return self._signer

    async def open(self) -> None:
        """Reads the keys; the very first start makes one, however many processes start at once."""
        connection = await connect(self._url, options=TIMEOUTS, name="chancery keys")
        async with connection:
            await self._read(connection)
            if self._signer is None:
                await self._make(connection)
                await self._read(connection)

    async def run(self) -> None:
        """Looks again every 30 s, or when a key was wanted; without the database the known keys stay good."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await self._wanted.wait()
            self._wanted.clear()
            try:
                async with await connect(self._url, options=TIMEOUTS, name="chancery keys") as connection:
                    await self._read(connection)
            except (psycopg.OperationalError, psycopg.InterfaceError) as problem:
                _log.warning("signing keys could not be read", problem=str(problem))

    def want(self) -> None:
        """Somebody came with a key id that is not here: look now, but for strangers' sake at most once in 30 s."""
        now = time.monotonic()
        if now - self._last_wish >= EVERY:
            self._last_wish = now
            self._wanted.set()

    async def _read(self, connection: AsyncConnection[Any]) -> None:
        cursor = await connection.execute(
            "select kid, wrapped, state from signing_keys where state = any(%s) order by made_at, kid",
            (list(PUBLISHED),),
        )
        rows = await cursor.fetchall()
        if rows == self._rows:
            return
        private = {kid: _private(self._wrapping.unwrap(wrapped, _purpose(kid))) for kid, wrapped, _ in rows}
        self.public = {kid: key.public_key() for kid, key in private.items()}
        self._signer = next(
            ((kid, private[kid]) for kid, _, state in reversed(rows) if state == "active"), None
        )
        self.jwks = msgspec.json.encode({"keys": [_published(kid, key) for kid, key in self.public.items()]})
        self._rows = rows
        self.edition += 1

    async def _make(self, connection: AsyncConnection[Any]) -> None:
        async with connection.transaction():
            await connection.execute("lock table signing_keys in share row exclusive mode")
            cursor = await connection.execute("select from signing_keys where state = 'active'")
            if await cursor.fetchone() is not None:
                return
            key = generate_private_key(SECP256R1())
            jwk = public_jwk(key.public_key())
            kid = thumbprint(jwk)
            secret = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
            await connection.execute(
                "insert into signing_keys (kid, wrapped, public_jwk, state) values (%s, %s, %s, 'active')",
                (kid, self._wrapping.wrap(secret, _purpose(kid)), Jsonb(jwk)),
            )


def public_jwk(key: EllipticCurvePublicKey) -> dict[str, str]:
    """The required members of an elliptic curve key (RFC 7518 6.2.1), in the order of RFC 7638."""
    point = key.public_numbers()
    return {
        "crv": "P-256",
        "kty": "EC",
        "x": _b64(point.x.to_bytes(32, "big")),
        "y": _b64(point.y.to_bytes(32, "big")),
    }


def thumbprint(jwk: Mapping[str, str]) -> str:
    """The key id: RFC 7638 over the required members."""
    return _b64(sha256(msgspec.json.encode(jwk, order="sorted")).digest())


def _published(kid: str, key: EllipticCurvePublicKey) -> dict[str, str]:
    return {**public_jwk(key), "kid": kid, "use": "sig", "alg": "ES256"}


def _private(der: bytes) -> EllipticCurvePrivateKey:
    key = load_der_private_key(der, None)
    assert isinstance(key, EllipticCurvePrivateKey)
    return key


def _purpose(kid: str) -> bytes:
    """A wrapped key opens under its own id only."""
    return b"signing key " + kid.encode()


def _b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")
