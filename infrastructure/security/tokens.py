"""Access tokens (RFC 9068): issued short-lived and without rights inside, and accepted in exactly one form."""

import os
import time
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import jwt
import msgspec
from msgspec import Meta, Struct

from infrastructure.security.signing_keys import KeyRing
from infrastructure.security.strict_jwt import InvalidToken, read

LIFETIME = 600
"""Seconds a token is good for."""
LEEWAY = 30
"""Seconds by which clocks of our own machines may differ."""
REMEMBERED = 10_000
"""Verified tokens that are not verified again."""
ALGORITHM, TYPE, CLIENT = "ES256", "at+jwt", "chancery"


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
        # bounded: by REMEMBERED tokens, the oldest goes
        self._verified: dict[str, AccessToken] = {}
        self._edition = ring.edition

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
        header, claims = read(token)
        try:
            kid = _key_id(header)
            said = msgspec.convert(claims, _Claims)
        except (ValueError, msgspec.ValidationError) as problem:
            raise InvalidToken(str(problem)) from None
        if said.iss != self._issuer:
            raise InvalidToken("issued by somebody else")
        key = self.ring.public.get(kid)
        if key is None:
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


def _key_id(header: dict[str, Any]) -> str:
    """Exactly our three members: so no crit, jku, jwk, x5u, x5c or b64 (RFC 8725 3.10). Raises ValueError."""
    match header:
        case {"alg": "ES256", "typ": "at+jwt", "kid": str(kid)} if len(header) == 3:
            return kid
        case _:
            raise ValueError("not the header of an access token")
