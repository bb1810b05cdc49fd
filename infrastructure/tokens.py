"""Access tokens (RFC 9068): issued short-lived and without rights inside, and accepted in exactly one form."""

import json
import os
import re
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Annotated, Any, NoReturn
from uuid import UUID

import jwt
import msgspec
from msgspec import Meta, Struct

from infrastructure.personal_data import Wrapping
from infrastructure.signing_keys import KeyRing

LIFETIME = 600
"""Seconds a token is good for."""
LEEWAY = 30
"""Seconds by which clocks of our own machines may differ."""
LONGEST = 8192
REMEMBERED = 10_000
"""Verified tokens that are not verified again."""
ALGORITHM, TYPE, CLIENT = "ES256", "at+jwt", "chancery"

_PARTS = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")


class InvalidToken(Exception):
    """No token of ours, or not any more. The reason is for logs; callers learn only that it is invalid."""


class AccessToken(Struct, frozen=True, kw_only=True):
    """What a verified token says. `expires_at` in seconds since 1970."""

    user_id: UUID
    session_id: UUID
    expires_at: int


_Seconds = Annotated[int, Meta(ge=0, lt=2**40)]


class _Claims(Struct, frozen=True, kw_only=True):
    """Every claim we issue is required, and of its one type: PyJWT would take an `exp` of "12" or true."""

    iss: str
    sub: UUID
    aud: str
    exp: _Seconds
    iat: _Seconds
    nbf: _Seconds
    jti: str
    sid: UUID
    client_id: str
    auth_time: _Seconds


class Tokens:
    """Issues and verifies. `ring.jwks` is what the world may verify with."""

    def __init__(self, ring: KeyRing, *, issuer: str) -> None:
        self.ring, self._issuer, self._audience = ring, issuer, f"{issuer}/api/v1"
        self._verified: dict[str, AccessToken] = {}
        self._edition = ring.edition

    @classmethod
    async def open(cls, url: str, wrapping: Wrapping, *, issuer: str) -> "Tokens":
        """With its keys read, or the first one made."""
        ring = KeyRing(url, wrapping)
        await ring.open()
        return cls(ring, issuer=issuer)

    async def run(self) -> None:
        """Keeps the keys up to date, for ever."""
        await self.ring.run()

    def issue(
        self, user_id: UUID, session_id: UUID, proved_at: datetime, *, now: datetime | None = None
    ) -> str:
        """A token of the session, good for 10 minutes from `now` (else from this moment)."""
        kid, key = self.ring.signer
        issued = int(time.time() if now is None else now.timestamp())
        claims = {
            "iss": self._issuer,
            "sub": str(user_id),
            "aud": self._audience,
            "exp": issued + LIFETIME,
            "iat": issued,
            "nbf": issued,
            "jti": os.urandom(16).hex(),
            "sid": str(session_id),
            "client_id": CLIENT,
            "auth_time": int(proved_at.timestamp()),
        }
        return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"typ": TYPE, "kid": kid})

    def verify(self, token: str) -> AccessToken:
        """Raises InvalidToken. Whether the session is still live is asked elsewhere, each time."""
        if self._edition != self.ring.edition:
            self._verified, self._edition = {}, self.ring.edition
        verified = self._verified.get(token)
        if verified is None:
            verified = self._judge(token)
            if len(self._verified) >= REMEMBERED:
                del self._verified[next(iter(self._verified))]
            self._verified[token] = verified
        elif verified.expires_at + LEEWAY <= time.time():
            del self._verified[token]
            raise InvalidToken("expired")
        return verified

    def _judge(self, token: str) -> AccessToken:
        if len(token) > LONGEST or (parts := _PARTS.fullmatch(token)) is None:
            raise InvalidToken("not of three parts in base64url")
        try:
            header, claims, _ = (_decoded(part) for part in parts.groups())
            kid = _key_id(_object(header))
            said = msgspec.convert(_object(claims), _Claims)
        except (ValueError, RecursionError, msgspec.ValidationError) as problem:
            raise InvalidToken(str(problem)) from None
        key = self.ring.public.get(kid)
        if key is None:
            self.ring.want()
            raise InvalidToken("signed by a key that is not ours")
        try:
            jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY,
                options={"require": list(_Claims.__struct_fields__), "strict_aud": True},
            )
        except jwt.PyJWTError as problem:
            raise InvalidToken(str(problem)) from None
        return AccessToken(user_id=said.sub, session_id=said.sid, expires_at=said.exp)


def _decoded(part: str) -> bytes:
    """Strict base64url without padding: one text for each value (RFC 7515 2). Raises ValueError."""
    raw = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if urlsafe_b64encode(raw).decode().rstrip("=") != part:
        raise ValueError("not the one base64url form of its value")
    return raw


def _object(raw: bytes) -> dict[str, Any]:
    """A JSON object without a key twice, NaN or infinity. Raises ValueError, RecursionError."""
    value = json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_refuse)
    if isinstance(value, dict):
        return value
    raise ValueError("not a JSON object")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _key_id(header: dict[str, Any]) -> str:
    """Exactly our three members: so no crit, jku, jwk, x5u, x5c or b64 (RFC 8725 3.10). Raises ValueError."""
    match header:
        case {"alg": "ES256", "typ": "at+jwt", "kid": str(kid)} if len(header) == 3:
            return kid
        case _:
            raise ValueError("not the header of an access token")
