"""The page token of a list that is sorted anew for every page: a page's number, bound to what is looked for."""

import binascii
from base64 import b64decode, urlsafe_b64encode
from hashlib import blake2b

import msgspec
from msgspec import Struct

from projections.keyset import PageTokenMalformed, PageTokenMismatch

_BINDING = 8


def token_of(number: int, what: Struct) -> str:
    return urlsafe_b64encode(_bound(what) + number.to_bytes(2, "big")).rstrip(b"=").decode()


def page_number(token: str | None, what: Struct) -> int:
    """Without a token the first. Raises PageTokenMalformed, PageTokenMismatch."""
    if token is None:
        return 1
    try:
        said = b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        said = b""
    if len(said) != _BINDING + 2:
        raise PageTokenMalformed(
            "This is not a page token that this look-up gave out.", parameter="page_token"
        )
    if said[:_BINDING] != _bound(what):
        raise PageTokenMismatch("This page token belongs to another search.", parameter="page_token")
    return max(1, int.from_bytes(said[_BINDING:], "big"))


def _bound(what: Struct) -> bytes:
    return blake2b(msgspec.json.encode(what), digest_size=_BINDING).digest()
