"""The form of a JWT, read to the letter (RFC 7515, RFC 8725 3): what PyJWT lets through is refused here."""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, NamedTuple, NoReturn

LONGEST = 8192
_PARTS = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")


class InvalidToken(Exception):
    """Not a token that is good here, or not any more. The reason is for logs; callers learn only that it is invalid."""


class Unverified(NamedTuple):
    """What a token says before anybody has looked at its signature."""

    header: dict[str, Any]
    claims: dict[str, Any]


def read(token: str) -> Unverified:
    """Three parts in the one base64url form of their value, two of them JSON objects. Raises InvalidToken."""
    if len(token) > LONGEST or (parts := _PARTS.fullmatch(token)) is None:
        raise InvalidToken("not of three parts in base64url")
    try:
        header, claims, _ = (_decoded(part) for part in parts.groups())
        return Unverified(_object(header), _object(claims))
    except (ValueError, RecursionError) as problem:
        raise InvalidToken(str(problem)) from None


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
