"""Reads JSON strictly: what no sender may mean twice is refused, text comes out trimmed and in NFC."""

import json
import re
from collections.abc import Iterator
from functools import cache
from itertools import islice
from math import isfinite
from typing import Any, Generic, NoReturn, TypeVar, cast
from unicodedata import is_normalized, normalize

import msgspec

from api.faults import step
from api.problems import BodyTooLarge, Problem
from api.shape import counts_bytes, faults, verbatim_fields
from domain.shared import FieldError

T = TypeVar("T")

LARGEST = 1 << 20
"""Bytes of a JSON body."""
DEEPEST = 32
"""Arrays and objects one inside the other."""
MOST_ERRORS = 100


class BodyMalformed(Problem):
    """The body is not JSON that this API takes: broken, too deep, a key twice, not UTF-8, or with a NUL."""

    code, status = "body.malformed", 400


class BodyInvalid(Problem):
    """Some fields of the body are unknown, missing or have wrong values; `errors` lists them all."""

    code, status = "body.invalid", 400


def too_large() -> BodyTooLarge:
    return BodyTooLarge(f"A JSON body has at most {LARGEST} bytes.")


class Reader(Generic[T]):
    """Reads bodies of one type. Making one is slow, using one costs about 3 us for 200 bytes."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self._verbatim, self._counts = verbatim_fields(kind), counts_bytes(kind)
        self._scan = json.JSONDecoder(
            object_pairs_hook=self._object, parse_constant=_no_constant, parse_float=_finite
        ).decode

    def read(self, body: bytes) -> T:
        """Raises BodyMalformed (it is no JSON we take) or BodyInvalid (it is, with wrong fields)."""
        tree = self.tree(body)
        try:
            body = msgspec.convert(tree, self.kind)
        except msgspec.ValidationError:
            raise BodyInvalid(errors=tuple(islice(faults(self.kind, tree), MOST_ERRORS))) from None
        if self._counts and (wrong := tuple(faults(self.kind, tree))):
            raise BodyInvalid(errors=wrong)
        return cast(T, body)

    def tree(self, body: bytes) -> Any:
        """The body as plain values, its text already in normal form. Raises BodyMalformed."""
        if len(body) > LARGEST:
            raise too_large()
        if body.count(b"{") + body.count(b"[") > DEEPEST and _deeper(body):
            raise BodyMalformed(f"The body is nested deeper than {DEEPEST} levels.")
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            raise BodyMalformed(f"The body is not valid UTF-8 at byte {error.start}.") from None
        try:
            tree = self._scan(text)
        except json.JSONDecodeError as error:
            if text.startswith("\ufeff"):
                raise BodyMalformed("The body starts with a byte order mark; send it without.") from None
            where = f"line {error.lineno}, column {error.colno}"
            raise BodyMalformed(f"The body is not valid JSON at {where}.") from None
        except ValueError:
            raise BodyMalformed("A number in the body has too many digits.") from None
        if "\\u" in text:
            _refuse_bad_escapes(tree)
        return tree if isinstance(tree, dict) else _normal(tree)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise BodyMalformed("A key stands twice in one object.", errors=(_twice(twice),))
        for key, value in pairs:
            if value.__class__ is str:
                if not (value.isascii() and value.strip() is value) and key not in self._verbatim:
                    found[key] = _normal(value)
            elif value.__class__ is list:
                found[key] = _normal(value)
        return found


@cache  # bounded: by the types that bodies have
def reader(kind: Any) -> Reader[Any]:
    """The reader of a type, made once."""
    return Reader(kind)


def _normal(value: Any) -> Any:
    """Trimmed and NFC, also inside lists; objects have been through it already."""
    if isinstance(value, str):
        value = value.strip()
        return value if is_normalized("NFC", value) else normalize("NFC", value)
    if isinstance(value, list):
        return [_normal(one) for one in value]
    return value


def _twice(key: str) -> FieldError:
    return FieldError(pointer=step("", key), code="repeated", detail="This key stands twice in one object.")


def _no_constant(_: str) -> NoReturn:
    raise BodyMalformed("NaN and Infinity are not JSON.")


def _finite(digits: str) -> float:
    value = float(digits)
    if not isfinite(value):
        raise BodyMalformed("A number in the body is too large.")
    return value


_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_BUT_BRACKETS = bytes(c for c in range(256) if c not in b"[]{}")


def _deeper(body: bytes) -> bool:
    """Whether brackets outside of strings stand too deep: innermost pairs are peeled off, level by level."""
    rest = _STRING.sub(b"", body).translate(None, _BUT_BRACKETS).translate(bytes.maketrans(b"{}", b"[]"))
    for _ in range(DEEPEST):
        rest = _peel(rest)
        if not rest:
            return False
    return True


def _peel(brackets: bytes) -> bytes:
    """Take away every array that holds no other."""
    return re.sub(rb"(?:\[\])++", b"", brackets)


def _refuse_bad_escapes(tree: Any) -> None:
    """Escapes can spell NUL, which PostgreSQL text cannot hold, and half a surrogate pair."""
    plain = "".join(_texts(tree))
    if "\0" in plain:
        raise BodyMalformed("The body holds a NUL character.")
    try:
        plain.encode()
    except UnicodeEncodeError:
        raise BodyMalformed("The body holds half of a surrogate pair.") from None


def _texts(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict):
        for key, value in cast(dict[str, Any], tree).items():
            yield key
            yield from _texts(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _texts(value)
