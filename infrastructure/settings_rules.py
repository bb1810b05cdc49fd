"""What a single setting must look like beyond its type: each rule answers the problem, or None."""

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_network
from string import ascii_lowercase, ascii_uppercase, digits, punctuation
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from infrastructure.mail.address import address_of
from infrastructure.mail.server import server_of
from infrastructure.security.issuer import issuer_of

Rule = Callable[[str], str | None]


def _url(*schemes: str) -> Rule:
    def rule(value: str) -> str | None:
        wanted = " or ".join(f"{scheme}://" for scheme in schemes)
        try:
            parts = urlsplit(value)
        except ValueError:
            return f"is not a URL; expected {wanted}…"
        return (
            None
            if parts.scheme in schemes and value.startswith(parts.scheme + "://")
            else f"must begin with {wanted}"
        )

    return rule


def _matches(pattern: str, problem: str) -> Rule:
    expression = re.compile(pattern)
    return lambda value: None if expression.fullmatch(value) else problem


def _time_zone(value: str) -> str | None:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "is not a time zone; expected a name like Europe/Paris"
    return None


def _key(value: str) -> str | None:
    try:
        length = len(base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError):
        return "is not base64"
    return None if length == 32 else f"must be 32 bytes in base64, not {length}"


_WITNESS = _matches(
    r"https?://\S+ +[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]+=*",
    "must be a URL, a space and a key: name+id+base64",
)


def _no_letter(value: str) -> str | None:
    return "must be no letters, digits or spaces" if any(c.isalnum() or c.isspace() for c in value) else None


def _network(value: str) -> str | None:
    try:
        ip_network(value)
    except ValueError:
        return "is not an address or network; expected one like 10.0.0.0/8"
    return None


def _issuer(value: str) -> str | None:
    try:
        issuer_of(value)
    except ValueError as problem:
        return str(problem)
    return None


def _mail_server(value: str) -> str | None:
    try:
        server_of(value)
    except ValueError as problem:
        return str(problem)
    return None


def _mail_address(value: str) -> str | None:
    try:
        address_of(value)
    except ValueError as problem:
        return str(problem)
    return None


_HTTP = _url("http", "https")
_HEADERS = _matches(
    r" *[A-Za-z0-9-]+ *=[^,\r\n]+( *, *[A-Za-z0-9-]+ *=[^,\r\n]+)*",
    "must be name=value, with a comma between two",
)
_SINK = _matches(
    r"https://[^/\s@]+(/\S*)?|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/\S*)?",
    "must begin with https:// (http:// to this machine alone), and hold no password",
)
_DATABASE = _url("postgresql", "postgres")
_NATS = _url("nats", "tls")

RULES: Mapping[str, Rule] = {
    "database_url": _DATABASE,
    "database_owner_url": _DATABASE,
    "nats_url": _NATS,
    "nats_relay_url": _NATS,
    "redis_url": _url("redis", "rediss", "unix"),
    "s3_endpoint": _matches(r"[^/\s:]+(:\d+)?", "must be host:port; https is said by s3_secure"),
    "s3_public_endpoint": _matches(r"[^/\s:]+(:\d+)?", "must be host:port; https is said by s3_secure"),
    "public_url": _matches(
        r"https?://[^/\s?#]+[^\s?#]*[^/\s?#]", "must be http(s)://… without a slash at the end"
    ),
    "root_path": _matches(r"(/[^/\s?#]+)+", "must begin with a slash and not end with one"),
    "admin_email": _matches(r"[^@\s]+@[^@\s]+", "is not an e-mail address"),
    "seller_identifiers": _matches(
        r"[a-z][a-z0-9_]{0,31}=[^=]+", "must be name=value, such as siren=732829320"
    ),
    "time_zone": _time_zone,
    "password_special_characters": _no_letter,
    "key_encryption_key": _key,
    "email_domains": _matches(
        r"[a-z0-9-]+(\.[a-z0-9-]+)+", "must be an exact domain in lower case, no wildcard"
    ),
    "cors_origins": _matches(
        r"https?://[^/*\s]+", "must be an exact origin like https://app.example, never *"
    ),
    "trusted_proxies": _network,
    "oidc_issuers": _issuer,
    "idp_admin_url": _HTTP,
    "egrul_url": _HTTP,
    "sirene_url": _HTTP,
    "geo_url": _HTTP,
    "smtp_url": _mail_server,
    "mail_from": _mail_address,
    "contact_email": _mail_address,
    "contact_url": _HTTP,
    "witnesses": _WITNESS,
    "log_sink_url": _SINK,
    "traces_url": _HTTP,
    "traces_headers": _HEADERS,
}
"""By setting; for a list, the rule of each of its entries."""


def password_disagreements(
    values: Mapping[str, Any], sources: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    """Rules that no password could keep: (setting, where it was said, problem)."""
    longest = values.get("password_max_length")
    if longest is not None and longest < (values.get("password_min_length") or 12):
        yield "password_max_length", sources["password_max_length"], "is less than password_min_length"
    forbidden = set(values.get("password_forbidden_characters") or "")
    special = values.get("password_special_characters") or punctuation
    known = {"upper": ascii_uppercase, "lower": ascii_lowercase, "digit": digits, "special": special}
    for need in values.get("password_needs") or ():
        if need in known and forbidden.issuperset(known[need]):
            source = sources["password_forbidden_characters"]
            yield "password_forbidden_characters", source, f"leave nothing of what is needed: {need}"
