"""Access tokens of outside issuers: judged as strictly as our own, by keys of theirs that we hold already."""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Never

import httpx
import jwt
import msgspec
from msgspec import Meta, Struct

from application.outside import Vouched
from domain.shared import DomainError
from domain.user.identity import check
from infrastructure.outbound import client
from infrastructure.security.issuer import ID_TOKEN, UNVERIFIED_EMAIL, Issuer, issuer_of
from infrastructure.security.jwks import IssuerKeys, KeptSets, Key
from infrastructure.security.strict_jwt import InvalidToken, Unverified, read
from infrastructure.tasks import end

LEEWAY = 30
"""Seconds by which an issuer's clock and ours may differ."""
REMEMBERED = 10_000
"""Verified tokens that are not verified again."""
HEADER = frozenset({"alg", "typ", "kid", "x5t", "x5t#S256"})
"""What a header may hold: nothing that brings or names a key, nothing critical (RFC 8725 3.10)."""
OF_ID_TOKENS = ("nonce", "at_hash", "c_hash")
"""Claims that an ID token has and an access token has not (OpenID Connect Core 1.0, 2 and 3.3.2.11)."""

_Seconds = Annotated[int, Meta(ge=0, lt=2**33)]


class _Claims(Struct, frozen=True, kw_only=True):
    """The claims that are judged, each of its one type: PyJWT would take an `exp` of "12" or true."""

    iss: str
    sub: str
    exp: _Seconds
    iat: _Seconds | None = None
    nbf: _Seconds | None = None
    auth_time: _Seconds | None = None
    aud: str | list[str] | None = None
    sid: str | None = None
    email_verified: Any = None


class _Verified(Struct, frozen=True, kw_only=True):
    vouched: Vouched
    keys: IssuerKeys
    edition: int


class Issuers:
    """Every issuer of the settings. Its `run` must be at work."""

    def __init__(
        self, entries: Sequence[str], kept: KeptSets, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._client: httpx.AsyncClient | None = client() if entries else None
        self._clock = clock
        # bounded: by the issuers of the settings
        self._issuers: dict[str, tuple[Issuer, IssuerKeys]] = {}
        for issuer in map(issuer_of, entries):
            assert self._client is not None
            self._issuers[issuer.url] = issuer, IssuerKeys(issuer, self._client, kept, clock=clock)
        # bounded: by REMEMBERED tokens, the oldest goes
        self._verified: dict[str, _Verified] = {}

    @property
    def default(self) -> str:
        """The issuer that is meant where none is named: the first one, else a word that is nobody's URL."""
        return next(iter(self._issuers), "default")

    async def run(self) -> Never:
        """Keeps the keys up to date, for ever."""
        looking = [asyncio.create_task(keys.run()) for _, keys in self._issuers.values()]
        try:
            await asyncio.gather(*looking)
            await asyncio.Event().wait()  # none is configured
            raise AssertionError("an issuer's keys were given up")
        finally:
            await end(*looking)

    async def close(self) -> None:
        for _, keys in self._issuers.values():
            await keys.close()
        if self._client is not None:
            await self._client.aclose()

    async def verify(self, token: str) -> Vouched:
        """Raises InvalidToken, and ProviderUnavailable where no key to judge by is known."""
        known = self._verified.get(token)
        if known is not None and known.keys.good and known.edition == known.keys.edition:
            if known.vouched.expires_at.timestamp() + LEEWAY > self._clock():
                return known.vouched
            del self._verified[token]
            raise InvalidToken("expired")
        said = read(token)
        issuer, keys = self._of(said)
        kid, algorithm = _header(said, issuer)
        vouched = _judged(said, issuer, self._clock())
        key = await keys.key(kid)
        if key is None or key.algorithm != algorithm:
            raise InvalidToken("signed by no key of this issuer's")
        _check(token, issuer, key)
        if len(self._verified) >= REMEMBERED:
            del self._verified[next(iter(self._verified))]
        self._verified[token] = _Verified(vouched=vouched, keys=keys, edition=keys.edition)
        return vouched

    def _of(self, said: Unverified) -> tuple[Issuer, IssuerKeys]:
        """By the exact text; nothing is ever asked of an issuer that nobody has configured."""
        found = self._issuers.get(url) if isinstance(url := said.claims.get("iss"), str) else None
        if found is None:
            raise InvalidToken("issued by somebody unknown")
        return found


def _header(said: Unverified, issuer: Issuer) -> tuple[str, str]:
    """Key id and algorithm. Raises InvalidToken."""
    kid, algorithm, typ = (said.header.get(name) for name in ("kid", "alg", "typ"))
    if said.header.keys() - HEADER:
        raise InvalidToken("a header that brings a key, or wants more than we do")
    if not (isinstance(kid, str) and 0 < len(kid) <= 255 and isinstance(algorithm, str)):
        raise InvalidToken("no key id, or no algorithm")
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") not in issuer.types:
        raise InvalidToken("not the type of an access token")
    return kid, algorithm


def _judged(said: Unverified, issuer: Issuer, now: float) -> Vouched:
    """All but the signature and how long it is good. Raises InvalidToken."""
    try:
        claims = msgspec.convert(said.claims, _Claims)
        check(claims.iss, claims.sub)
    except (msgspec.ValidationError, DomainError) as problem:
        raise InvalidToken(str(problem)) from None
    if ID_TOKEN not in issuer.accept and any(name in said.claims for name in OF_ID_TOKENS):
        raise InvalidToken("an ID token")
    audience = [claims.aud] if isinstance(claims.aud, str) else claims.aud or []
    if issuer.audience and not (len(audience) == 1 and audience[0] in issuer.audience):
        raise InvalidToken("meant for somebody else")
    if claims.auth_time is not None and claims.auth_time > now + LEEWAY:
        raise InvalidToken("proved in the future")
    vouching = claims.email_verified is not False or UNVERIFIED_EMAIL in issuer.accept
    return Vouched(
        issuer=claims.iss,
        sub=claims.sub,
        sign_in=_sign_in(claims),
        lasts=claims.sid is not None or claims.auth_time is not None,
        expires_at=datetime.fromtimestamp(claims.exp, UTC),
        proved_at=None if claims.auth_time is None else datetime.fromtimestamp(claims.auth_time, UTC),
        email=_text(said.claims.get("email")) if vouching else None,
        display_name=_text(said.claims.get("name")) or _text(said.claims.get("preferred_username")),
    )


def _sign_in(claims: _Claims) -> str:
    for name in ("sid", "auth_time", "iat"):
        if (value := getattr(claims, name)) is not None:
            return f"{name}:{value}"
    return f"exp:{claims.exp}"


def _text(claim: Any) -> str | None:
    return claim if isinstance(claim, str) and claim.strip() else None


def _check(token: str, issuer: Issuer, key: Key) -> None:
    """Signature and time. Raises InvalidToken."""
    try:
        jwt.decode(
            token,
            key.key,
            algorithms=[key.algorithm],
            issuer=issuer.url,
            leeway=LEEWAY,
            options={"require": ["iss", "sub", "exp"], "verify_aud": False},
        )
    except jwt.PyJWTError as problem:
        raise InvalidToken(str(problem)) from None
