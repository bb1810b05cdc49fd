"""The public keys of outside issuers (RFC 7517): fetched with every precaution, remembered through their outages."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Never, Protocol

import httpx
import jwt
import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from application.provider import ProviderUnavailable
from infrastructure.outbound import Unreachable, fetched
from infrastructure.security.issuer import Issuer, safe
from infrastructure.tasks import end

EVERY, AGAIN = 300.0, 5.0
"""Seconds between two looks at the keys; while there are none at all."""
STALE = 24 * 3600.0
"""Seconds for which the last keys stay good when no look succeeds; then the issuer's tokens are refused."""
WISH = 30.0
"""Seconds within which unknown key ids, however many, cause one look."""
LARGEST, MOST = 64 << 10, 32
"""Bytes of a key set, and keys in it."""
SHORTEST_RSA = 2048

ALGORITHMS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("RSA", ""): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
"""By type and curve of a key: what it may be used with; the first is meant when it does not say (RFC 8725 3.1)."""

_log = structlog.get_logger("jwks")


class Key(NamedTuple):
    """A key and the one algorithm it verifies; `jwk` is the text it came in, to tell whether it is still the same."""

    jwk: bytes
    key: Any
    algorithm: str


class KeptSets(Protocol):
    """Key sets that outlive this process."""

    async def load(self, issuer: str) -> tuple[bytes, float] | None:
        """The set and when it was fetched, in seconds since 1970."""
        ...

    async def keep(self, issuer: str, raw: bytes) -> None: ...


class IssuerKeys:
    """One issuer's keys. `edition` moves with every change of them. Its `run` must be at work."""

    def __init__(
        self,
        issuer: Issuer,
        client: httpx.AsyncClient,
        kept: KeptSets,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._issuer, self._client, self._kept, self._clock = issuer, client, kept, clock
        # bounded: by the keys an issuer may have
        self._keys: Mapping[str, Key] = {}
        self._good_at = self._wished_at = 0.0
        self._looking: asyncio.Task[None] | None = None
        self._opened = False
        self.edition = 0

    @property
    def good(self) -> bool:
        """Whether any key is known, and lately enough confirmed."""
        return bool(self._keys) and self._clock() - self._good_at < STALE

    async def open(self) -> None:
        """With the keys that an earlier process left behind. Once is enough."""
        if self._opened:
            return
        found, self._opened = await self._kept.load(self._issuer.url), True
        if found is not None and not self._keys:
            self._keys, self._good_at = keys_of(found[0]), found[1]

    async def run(self) -> Never:
        """Looks every five minutes, sooner while there is nothing."""
        await self.open()
        while True:
            await self._look(adding=False)
            await asyncio.sleep(EVERY if self.good else AGAIN)

    async def close(self) -> None:
        if self._looking is not None:
            await end(self._looking)

    async def key(self, kid: str) -> Key | None:
        """An unknown one is looked for, once in 30 s whoever asks. Raises ProviderUnavailable without any good key."""
        await self.open()
        if not (self.good and kid in self._keys):
            await self._wish()
        if not self.good:
            raise ProviderUnavailable(f"the keys of {self._issuer.url} cannot be had")
        return self._keys.get(kid)

    async def _wish(self) -> None:
        if self._looking is not None and not self._looking.done():
            await asyncio.shield(self._looking)
        elif self._clock() - self._wished_at >= WISH:
            self._wished_at = self._clock()
            await self._look(adding=True)

    async def _look(self, *, adding: bool) -> None:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._renew(adding=adding))
        await asyncio.shield(self._looking)

    async def _renew(self, *, adding: bool) -> None:
        """`adding`: somebody wished for it, so that keys known under their ids stay as they are until the next look."""
        try:
            raw = await self._fetch()
            found = keys_of(raw)
        except (Unreachable, ValueError) as problem:
            _log.warning("issuer.keys_not_fetched", issuer=self._issuer.url, problem=str(problem)[:200])
            return
        if adding and self.good:
            found = {**found, **self._keys}
        else:
            self._good_at = self._clock()
            await self._kept.keep(self._issuer.url, raw)
        if {kid: key.jwk for kid, key in found.items()} != {kid: key.jwk for kid, key in self._keys.items()}:
            self._keys = found
            self.edition += 1
            _log.info("issuer.keys_changed", issuer=self._issuer.url, kids=sorted(found))

    async def _fetch(self) -> bytes:
        where = self._issuer.jwks or await self._discovered()
        return await fetched(self._client, where, LARGEST)

    async def _discovered(self) -> str:
        """As OpenID Connect Discovery 1.0 has it, 4; where that says nothing of use, where Authentik has its keys."""
        issuer = self._issuer.url
        at = issuer.rstrip("/")
        try:
            raw = await fetched(self._client, f"{at}/.well-known/openid-configuration", LARGEST)
            said = msgspec.json.decode(raw, type=_Discovery)
        except Unreachable as problem:
            if not problem.answered:
                raise
        except msgspec.DecodeError as problem:
            _log.warning("issuer.discovery_unreadable", issuer=issuer, problem=str(problem))
        else:
            if said.issuer == issuer and safe(said.jwks_uri) and _as_safe(said.jwks_uri, issuer):
                return said.jwks_uri
            _log.warning("issuer.discovery_refused", issuer=issuer, says=said.issuer[:200])
        return f"{at}/jwks/"


class _Discovery(msgspec.Struct, frozen=True):
    issuer: str
    jwks_uri: str


def _as_safe(url: str, issuer: str) -> bool:
    return url.startswith("https:") or issuer.startswith("http:")


def keys_of(raw: bytes) -> dict[str, Key]:
    """By id, those that verify signatures; symmetric, private, nameless and odd ones are left out.

    Raises ValueError when it is no key set, holds more than 32 keys, or none of use.
    """
    try:
        listed = msgspec.json.decode(raw, type=dict[str, Any]).get("keys")
    except (msgspec.DecodeError, RecursionError) as problem:
        raise ValueError(f"not a key set: {problem}") from None
    if not isinstance(listed, list) or len(listed) > MOST:
        raise ValueError(f"not a set of at most {MOST} keys")
    found: dict[str, Key] = {}
    for jwk in listed:
        key = _key_of(jwk) if isinstance(jwk, dict) else None
        if key is not None:
            found.setdefault(jwk["kid"], key)
    if not found:
        raise ValueError("no key in it verifies a signature")
    return found


def _key_of(jwk: dict[str, Any]) -> Key | None:
    kid, said = jwk.get("kid"), jwk.get("alg")
    possible = ALGORITHMS.get((str(jwk.get("kty")), str(jwk.get("crv", ""))), ())
    algorithm = said if said is not None else next(iter(possible), None)
    meant = jwk.get("use", "sig") == "sig" and "verify" in jwk.get("key_ops", ["verify"])
    if not (isinstance(kid, str) and algorithm in possible and meant) or "d" in jwk:
        return None
    try:
        key = jwt.PyJWK(jwk, algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if isinstance(key, RSAPublicKey) and key.key_size < SHORTEST_RSA:
        return None
    return Key(msgspec.json.encode(jwk, order="sorted"), key, str(algorithm))
