"""The lines of an export, of a whole log and of a selection: NDJSON, each with one spelling.

`docs/how-to/audit-a-year.md` describes them for people.
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import Struct

from infrastructure.audit.selection import Selection
from infrastructure.audit.signed_note import parse_note
from projections.proofs import Checkpoint, parse_checkpoint

FORMAT = "chancery-audit-export@v1"
SELECTION = "chancery-audit-selection@v1"
LONGEST_LINE = 1_100_000

T = TypeVar("T", bound=Struct)


class Header(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: str
    origin: str
    size: int


class Line(Struct, frozen=True, forbid_unknown_fields=True):
    """An entry: its index from 0, the leaf, and the hash that stands for it in the tree."""

    i: int
    leaf: bytes
    hash: bytes


class Block(Struct, frozen=True, forbid_unknown_fields=True):
    """The hash over the entries since the last block; it narrows down what was changed together with its hash."""

    block: int
    hash: bytes


class Trailer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The signed note over all that came before, and the keys the log publishes."""

    checkpoint: str
    keys: tuple[str, ...]


class Continued(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That the log begins with the `size` entries of an earlier checkpoint (RFC 9162 2.1.4)."""

    size: int
    proof: tuple[bytes, ...]


class SelectionHeader(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What was asked for, and the signed note that every entry is proved against."""

    format: str
    selection: Selection
    checkpoint: str
    keys: tuple[str, ...]
    continues: Continued | None = None


class ProvedLine(Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of a selection, and its inclusion proof (RFC 9162 2.1.3), from its sibling up."""

    i: int
    leaf: bytes
    path: tuple[bytes, ...]


class End(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last line of a selection: how many entries, and the SHA-256 of every byte before, in hexadecimal."""

    entries: int
    sha256: str


class Misspelled(ValueError):
    """A line that says something, but not in the one form that says it."""


encode = msgspec.json.Encoder().encode


def written(line: Struct) -> bytes:
    return encode(line) + b"\n"


def exactly(decode: Callable[[bytes], T], line: bytes) -> T:
    """What a line says. Raises Misspelled for another spelling, such as spare bits in its base64; msgspec's errors."""
    found = decode(line)
    if written(found) != line:
        raise Misspelled
    return found


def checkpoint_of(note: str) -> Checkpoint:
    """What a note says, whoever signed it. Raises Malformed."""
    return parse_checkpoint(parse_note(note).text)
