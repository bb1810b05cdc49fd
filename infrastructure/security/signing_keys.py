"""The keys that sign access tokens (ES256): private halves wrapped in a table, states as the log has them."""

import asyncio
from base64 import urlsafe_b64encode
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import msgspec
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
from psycopg_pool import AsyncConnectionPool

from domain.signing_key.guards import ACTIVE, COMPROMISED, PUBLISHED, RETIRED
from infrastructure.personal_data import Wrapping
from infrastructure.postgres import KEYS, LOST, Unavailable, connect

EVERY = 0.5
"""Seconds between two looks, so that every process knows of a compromised key within one."""

_STATES = """select k.kid, k.wrapped, c.kind from claims c join signing_keys k on k.kid = c.value
where c.kind = any(%s) order by k.made_at, k.kid"""

_log = structlog.get_logger("signing_keys")


class KeyRing:
    """The keys as the tables had them at the last look. `edition` moves with every change, `jwks` is the public set."""

    def __init__(self, url: str, wrapping: Wrapping) -> None:
        self._url, self._wrapping = url, wrapping
        # bounded: by the keys there are
        self._rows: list[tuple[str, bytes, str]] = []
        self._connection: AsyncConnection[Any] | None = None
        self._looking = asyncio.Lock()
        self._signer: tuple[str, EllipticCurvePrivateKey] | None = None
        # bounded: by the keys there are
        self.public: Mapping[str, EllipticCurvePublicKey] = {}
        self.jwks = b'{"keys":[]}'
        self.edition = 0

    @property
    def signer(self) -> tuple[str, EllipticCurvePrivateKey]:
        """The key id and the key that sign now. Raises Unavailable."""
        if self._signer is None:
            raise Unavailable("no signing key is active")
        return self._signer

    async def look(self) -> None:
        """Reads the keys now. Raises what psycopg raises, and InvalidTag: the key-encryption key is another one."""
        async with self._looking:
            if self._connection is None or self._connection.closed:
                self._connection = await connect(self._url, name="chancery keys")
            cursor = await self._connection.execute(_STATES, (list(PUBLISHED),), prepare=True)
            self._take(await cursor.fetchall())

    async def run(self) -> None:
        """Looks again and again; without the database the known keys stay good."""
        reached = True
        try:
            while True:
                await asyncio.sleep(EVERY)
                try:
                    await self.look()
                    reached = True
                except LOST as problem:
                    if reached:
                        _log.warning("signing keys could not be read", problem=str(problem))
                    reached = False
                    await self.close()
        finally:
            await self.close()

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
        self._connection = None

    def _take(self, rows: list[tuple[str, bytes, str]]) -> None:
        if rows == self._rows:
            return
        private = {kid: _private(self._wrapping.unwrap(wrapped, _purpose(kid))) for kid, wrapped, _ in rows}
        self.public = {kid: key.public_key() for kid, key in private.items()}
        self._signer = next(((kid, private[kid]) for kid, _, kind in reversed(rows) if kind == ACTIVE), None)
        self.jwks = msgspec.json.encode({"keys": [_published(kid, key) for kid, key in self.public.items()]})
        self._rows = rows
        self.edition += 1


class KeyHalves:
    """Implements application.signing_key.Halves."""

    def __init__(self, url: str, pool: AsyncConnectionPool[Any], wrapping: Wrapping) -> None:
        self._url, self._pool, self._wrapping = url, pool, wrapping

    async def make(self) -> tuple[str, dict[str, str]]:
        key = generate_private_key(SECP256R1())
        jwk = public_jwk(key.public_key())
        kid = thumbprint(jwk)
        secret = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        async with self._pool.connection() as connection:
            await connection.execute(
                "insert into signing_keys (kid, wrapped) values (%s, %s)",
                (kid, self._wrapping.wrap(secret, _purpose(kid))),
            )
        return kid, jwk

    async def states(self) -> dict[str, str]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_STATES, (list(PUBLISHED),))
            return {kid: kind for kid, _, kind in await cursor.fetchall()}

    async def forget(self) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(
                "delete from signing_keys k using claims c where c.value = k.kid and c.kind = any(%s)",
                ([RETIRED, COMPROMISED],),
            )

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[None]:
        async with await connect(self._url, options="", name="chancery first key") as connection:
            await connection.execute("select pg_advisory_lock(%s)", (KEYS,))
            yield


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
