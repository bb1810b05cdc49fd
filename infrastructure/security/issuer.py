"""An outside issuer of tokens as the settings name it: its URL, and after it what is particular about its tokens."""

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct, structs

TYPES = frozenset({"jwt", "at+jwt"})
"""Of an access token, as most issuers write it and as RFC 9068 2.1 does; in any letter case (RFC 7515 4.1.9)."""
ID_TOKEN, UNVERIFIED_EMAIL = "id_token", "unverified_email"


class Issuer(Struct, frozen=True, kw_only=True):
    """`url` is compared with `iss` letter by letter. `audience`: one of these must be the only one; none: any will do.

    `jwks`: where its keys are, unless it is to be discovered. `accept`: what is refused unless it is named here: its ID
    tokens as access tokens, and addresses of which it says that nobody has verified them.
    """

    url: str
    audience: frozenset[str] = frozenset()
    jwks: str = ""
    types: frozenset[str] = TYPES
    accept: frozenset[str] = frozenset()


def issuer_of(entry: str) -> Issuer:
    """`https://idp.example/application/o/app/ audience=chancery jwks=https://… typ=at+jwt accept=id_token`.

    Each word after the URL may stand several times. Raises ValueError with what is wrong.
    """
    url, *words = entry.split()
    issuer = Issuer(url=_safe(url))
    for word in words:
        name, _, value = word.partition("=")
        if name not in _WORDS or not value:
            raise ValueError(f"has `{word}` behind the URL; expected one of {'=, '.join(_WORDS)}=")
        issuer = structs.replace(issuer, **_WORDS[name](issuer, value))
    return issuer


def _audience(issuer: Issuer, value: str) -> dict[str, Any]:
    return {"audience": issuer.audience | {value}}


def _jwks(_: Issuer, value: str) -> dict[str, Any]:
    return {"jwks": _safe(value)}


def _typ(issuer: Issuer, value: str) -> dict[str, Any]:
    return {"types": {value.lower()} | (issuer.types if issuer.types is not TYPES else frozenset())}


def _accept(issuer: Issuer, value: str) -> dict[str, Any]:
    if value not in (ID_TOKEN, UNVERIFIED_EMAIL):
        raise ValueError(f"cannot accept `{value}`; expected {ID_TOKEN} or {UNVERIFIED_EMAIL}")
    return {"accept": issuer.accept | {value}}


_WORDS: Mapping[str, Callable[[Issuer, str], dict[str, Any]]] = {
    "audience": _audience,
    "jwks": _jwks,
    "typ": _typ,
    "accept": _accept,
}


def safe(url: str) -> bool:
    """Whether keys may be fetched from there: over https, or from this very machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and _loopback(host)))


def _safe(url: str) -> str:
    if not safe(url):
        raise ValueError("must begin with https:// (http:// only at a loopback address)")
    return url


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
